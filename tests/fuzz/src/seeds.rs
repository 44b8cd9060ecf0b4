//! The inputs that fuzzing begins with: small and real, one directory a target. Those whose name begins with `refused` are
//! no valid inputs; all others must be accepted.

use std::path::PathBuf;

/// One seed.
#[derive(Debug)]
pub struct Seed {
    /// Name of its file.
    pub name: String,
    /// The input.
    pub input: Vec<u8>,
}

impl Seed {
    /// Whether its target accepts it.
    pub fn is_valid(&self) -> bool {
        !self.name.starts_with("refused")
    }
}

/// The directory of a target's seeds.
pub fn directory(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target)
}

/// The seeds of a target, by name. None where the directory is not there.
pub fn of(target: &str) -> Vec<Seed> {
    let Ok(entries) = std::fs::read_dir(directory(target)) else { return Vec::new() };
    let mut seeds: Vec<Seed> = entries
        .map(|entry| {
            let entry = entry.expect("the seeds are files of this project");
            let input = std::fs::read(entry.path()).expect("the seeds are files of this project");
            Seed { name: entry.file_name().to_string_lossy().into_owned(), input }
        })
        .collect();
    seeds.sort_by(|left, right| left.name.cmp(&right.name));
    seeds
}
