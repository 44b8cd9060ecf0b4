//! A small file system of its own, to fill up and to make read-only. Needs the right to mount.

use std::path::Path;
use std::process::Command;

/// A mounted tmpfs, unmounted when it is dropped.
#[derive(Debug)]
pub struct ScarceDisk {
    place: tempfile::TempDir,
}

impl ScarceDisk {
    /// Mounts `size_kib` KiB. None, with the reason on stderr, where mounting is not allowed: the check is then skipped.
    pub fn mount(size_kib: u32) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let options = format!("size={size_kib}k,mode=700");
        match run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(place.path())) {
            Ok(()) => Some(Self { place }),
            Err(reason) => {
                eprintln!("SKIPPED: a tmpfs cannot be mounted here: {reason}");
                None
            }
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Makes everything in it read-only, for root too.
    pub fn make_read_only(&self) {
        run(Command::new("mount").args(["-o", "remount,ro"]).arg(self.path())).unwrap();
    }

    /// Fills it up, but for `free_kib` KiB.
    pub fn fill(&self, free_kib: u64) {
        let stuffing = self.path().join("stuffing");
        let mut length = 0_u64;
        while let Ok(written) = append(&stuffing) {
            length += written;
        }
        let file = std::fs::OpenOptions::new().write(true).open(&stuffing).unwrap();
        file.set_len(length.saturating_sub(free_kib * 1024)).unwrap();
    }

    /// Makes room again.
    pub fn empty(&self) {
        std::fs::remove_file(self.path().join("stuffing")).unwrap();
    }
}

impl Drop for ScarceDisk {
    fn drop(&mut self) {
        // Lazily, because a failed check may still have files open.
        let _ = run(Command::new("umount").arg("-l").arg(self.place.path()));
    }
}

fn append(path: &Path) -> std::io::Result<u64> {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    Ok(file.write(&[0; 4096])? as u64)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}
