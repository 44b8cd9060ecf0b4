//! Files on their way to their place, and what is left of them when their process died.
//!
//! A temporary file is locked by whoever writes it, for as long as it is open. What is old and not locked belongs to
//! nobody any more, wherever its process ran: no process id is trusted.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::{FlockOperation, flock};

use crate::random;

/// Files are for their owner alone.
const OWNER_ONLY: u32 = 0o600;

/// Random bytes of a temporary name: no two ever agree.
const NAME_BYTES: usize = 16;

/// A file under a unique name, which goes when this is dropped.
#[derive(Debug)]
pub(crate) struct TemporaryFile {
    directory: Arc<Dir>,
    name: String,
    file: File,
    placed: bool,
}

impl TemporaryFile {
    /// Creates an empty file in `directory`.
    pub(crate) fn create(directory: &Arc<Dir>) -> io::Result<Self> {
        let name = random::hexadecimal(&random::bytes::<NAME_BYTES>());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(OWNER_ONLY);
        let file = directory.open_with(&name, &options)?.into_std();
        let temporary = Self { directory: Arc::clone(directory), name, file, placed: false };
        flock(&temporary.file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(temporary)
    }

    /// The open file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Moves the file over `target`. Durable once the target's directory is synced.
    pub(crate) fn rename(mut self, target: &Dir, name: &str) -> io::Result<()> {
        self.directory.rename(&self.name, target, name)?;
        self.placed = true;
        Ok(())
    }

    /// Gives the file a second name; `AlreadyExists` when that is taken. This one stays until it is dropped.
    pub(crate) fn link(&self, target: &Dir, name: &str) -> io::Result<()> {
        self.directory.hard_link(&self.name, target, name)
    }

    /// Where it lies.
    pub(crate) fn directory(&self) -> &Arc<Dir> {
        &self.directory
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if !self.placed {
            // What cannot be removed now is a leftover, found by the next sweep.
            let _ = self.directory.remove_file(&self.name);
        }
    }
}

/// A temporary file whose process is gone, locked by us.
#[derive(Debug)]
pub(crate) struct Leftover {
    /// Its name.
    pub(crate) name: String,
    /// Open for reading, and locked.
    pub(crate) file: File,
}

/// Temporary files in `directory` older than `age` that nobody writes any more.
pub(crate) fn leftovers(directory: &Dir, age: Duration) -> io::Result<Vec<Leftover>> {
    let mut found = Vec::new();
    for entry in directory.entries()? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        // Whatever vanishes meanwhile was somebody else's to remove.
        let Ok(file) = directory.open(&name).map(cap_std::fs::File::into_std) else { continue };
        let Ok(metadata) = file.metadata() else { continue };
        let old =
            metadata.modified().is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|past| past >= age));
        if metadata.is_file() && old && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            found.push(Leftover { name, file });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, Arc<Dir>) {
        let place = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(place.path(), cap_std::ambient_authority()).unwrap();
        (place, Arc::new(dir))
    }

    #[test]
    fn a_file_in_use_is_no_leftover_and_one_of_a_dead_writer_is() {
        let (_place, dir) = directory();
        let alive = TemporaryFile::create(&dir).unwrap();
        dir.write("dead", b"half").unwrap();
        let found = leftovers(&dir, Duration::ZERO).unwrap();
        assert_eq!(found.iter().map(|leftover| leftover.name.as_str()).collect::<Vec<_>>(), ["dead"]);
        assert!(leftovers(&dir, Duration::from_secs(60)).unwrap().is_empty(), "a young file was taken for a leftover");
        drop(alive);
    }

    #[test]
    fn a_temporary_file_goes_with_its_handle_unless_it_was_placed() {
        let (_place, dir) = directory();
        drop(TemporaryFile::create(&dir).unwrap());
        TemporaryFile::create(&dir).unwrap().rename(&dir, "kept").unwrap();
        let names: Vec<_> = dir.entries().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["kept"]);
    }
}
