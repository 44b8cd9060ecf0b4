//! A directory that only its owner can enter, and files in it that are written whole or not at all.
//!
//! Symbolic links are never followed, and a directory that belongs to somebody else, or that others may write, is not
//! used.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;

/// What is appended to the name of a file that is not trusted any more. One is kept, for whoever looks for the reason.
const ASIDE: &str = ".rejected";

/// How often a waiting process looks whether a lock is free: nothing beside the time that compiling takes.
const LOCK_LOOK: Duration = Duration::from_millis(10);

/// An owner-only directory.
#[derive(Debug)]
pub(super) struct OwnedDirectory {
    path: PathBuf,
    handle: File,
}

/// A file in an owner-only directory.
#[derive(Debug)]
pub(super) struct KeptFile {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// When it was written or used last, in milliseconds since 1970.
    pub(super) changed_ms: u64,
}

/// Holds a lock until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl OwnedDirectory {
    /// Opens a directory and creates what is missing of it.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Self::open(path.to_owned())
    }

    /// A directory inside, created when it is missing.
    pub(super) fn child(&self, name: &str) -> io::Result<Self> {
        let path = self.path.join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        Self::open(path)
    }

    /// Opens a directory that is there.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let handle =
            OpenOptions::new().read(true).custom_flags(flags(OFlags::NOFOLLOW | OFlags::DIRECTORY)).open(&path)?;
        let metadata = handle.metadata()?;
        if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("{} is not a directory that only this user can write", path.display()),
            ));
        }
        Ok(Self { path, handle })
    }

    /// All bytes of a file; none when there is none. More than `limit` are an error.
    pub(super) fn read(&self, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let file = match self.open_file(name, OFlags::RDONLY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a file of a possible length"));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).map_err(io::Error::other)?);
        file.take(limit + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Writes a file durably: a unique name, sync, rename, sync of the directory.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = format!("{name}.{}", unique()?);
        let mut file = self.open_file(&temporary, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
        let written = file
            .write_all(bytes)
            .and_then(|()| file.sync_all())
            .and_then(|()| Ok(rustix::fs::renameat(&self.handle, &temporary, &self.handle, name)?));
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&self.handle, &temporary, AtFlags::empty());
        }
        written.and_then(|()| self.handle.sync_all())
    }

    /// The directories in it, by name. What is none is left out, symbolic links too.
    pub(super) fn children(&self) -> io::Result<Vec<String>> {
        let directories = self
            .listed()?
            .into_iter()
            .filter(|(_, status)| FileType::from_raw_mode(status.st_mode) == FileType::Directory);
        Ok(directories.map(|(name, _)| name).collect())
    }

    /// The files in it. What goes while it is looked at is left out.
    pub(super) fn files(&self) -> io::Result<Vec<KeptFile>> {
        let files = self
            .listed()?
            .into_iter()
            .filter(|(_, status)| FileType::from_raw_mode(status.st_mode) == FileType::RegularFile);
        let kept = |(name, status): (String, Stat)| KeptFile {
            name,
            bytes: u64::try_from(status.st_size).unwrap_or(0),
            changed_ms: u64::try_from(status.st_mtime.saturating_mul(1_000)).unwrap_or(0)
                + status.st_mtime_nsec / 1_000_000,
        };
        Ok(files.map(kept).collect())
    }

    fn listed(&self) -> io::Result<Vec<(String, Stat)>> {
        let mut found = Vec::new();
        for entry in Dir::read_from(&self.handle)? {
            let entry = entry?;
            // Everything that is written here has a name in ASCII.
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name == "." || name == ".." {
                continue;
            }
            match rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(status) => found.push((name.to_owned(), status)),
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }

    /// Notes that a file was used now, for whoever asks which was not used for longest.
    pub(super) fn note_use(&self, name: &str) -> io::Result<()> {
        let now = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        Ok(rustix::fs::utimensat(&self.handle, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Removes a file. One that is gone already is a success; one that is open stays for those who have it open.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.handle, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a file out of use. Nothing is lost when that fails: the next look finds the same fault again.
    pub(super) fn set_aside(&self, name: &str) {
        let _ = rustix::fs::renameat(&self.handle, name, &self.handle, format!("{name}{ASIDE}"));
    }

    /// Waits until no other process holds the lock of this name, for `patience` at most: its holder may be stopped.
    pub(super) fn lock(&self, name: &str, patience: Duration) -> io::Result<Lock> {
        let file = self.open_file(name, OFlags::RDWR | OFlags::CREATE)?;
        let begun = Instant::now();
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) if begun.elapsed() < patience => thread::sleep(LOCK_LOOK),
                Err(Errno::WOULDBLOCK) => return Err(io::ErrorKind::TimedOut.into()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn open_file(&self, name: &str, access: OFlags) -> io::Result<File> {
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let descriptor = rustix::fs::openat(&self.handle, name, flags, Mode::from_raw_mode(0o600))?;
        Ok(File::from(descriptor))
    }
}

/// Sixteen hexadecimal digits that no other process chooses.
pub(super) fn unique() -> io::Result<String> {
    let mut bytes = [0; 8];
    super::key_file::fill(&mut bytes)?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}
