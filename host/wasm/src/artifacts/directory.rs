//! A directory that only its owner can enter, and files in it that are written whole or not at all.
//!
//! Symbolic links are never followed, and a directory that belongs to somebody else, or that others may write, is not
//! used. Everything is reached from the open directory, not by its path, which somebody may exchange meanwhile.

use std::ffi::{CStr, CString};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use peat_core::digest::{Digest, Hasher};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

/// What is appended to the name of what is not trusted any more. One is kept, for whoever looks for the reason.
const ASIDE: &str = ".rejected";

/// How much of a file is read at a time: it is still in the processor's cache when it is hashed and written.
const PIECE_BYTES: usize = 64 * 1024;

/// Most directories in each other that are removed: nothing here makes more than one.
const REMOVED_DEPTH_MAX: u32 = 16;

/// An owner-only directory.
#[derive(Debug)]
pub(super) struct OwnedDirectory {
    path: PathBuf,
    handle: File,
}

/// Something in an owner-only directory.
#[derive(Debug)]
pub(super) struct KeptEntry {
    pub(super) name: String,
    pub(super) kind: FileType,
    pub(super) bytes: u64,
    /// The same for all names of one file.
    pub(super) inode: u64,
    /// When it was written or used last, in milliseconds since 1970.
    pub(super) changed_ms: u64,
}

impl OwnedDirectory {
    /// Opens a directory and creates what is missing of it.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Self::open(path.to_owned())
    }

    /// Opens a directory that is there.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let handle =
            OpenOptions::new().read(true).custom_flags(flags(OFlags::NOFOLLOW | OFlags::DIRECTORY)).open(&path)?;
        Self::owned(path, handle)
    }

    /// A directory inside, created when it is missing.
    pub(super) fn child(&self, name: &str) -> io::Result<Self> {
        match rustix::fs::mkdirat(&self.handle, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => self.existing_child(name),
            Err(error) => Err(error.into()),
        }
    }

    /// A directory inside that is there.
    pub(super) fn existing_child(&self, name: &str) -> io::Result<Self> {
        Self::owned(self.path.join(name), self.open_file(name, OFlags::RDONLY | OFlags::DIRECTORY)?)
    }

    fn owned(path: PathBuf, handle: File) -> io::Result<Self> {
        let metadata = handle.metadata()?;
        if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("{} is not a directory that only this user can write", path.display()),
            ));
        }
        Ok(Self { path, handle })
    }

    /// Where it was found.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this is what is found by its path now.
    pub(super) fn is_in_place(&self) -> bool {
        let own = self.handle.metadata().map(|own| (own.dev(), own.ino())).ok();
        own.is_some() && own == self.path.symlink_metadata().map(|found| (found.dev(), found.ino())).ok()
    }

    /// Whether this is what `parent` has under this name now.
    pub(super) fn is_child(&self, parent: &Self, name: &str) -> io::Result<bool> {
        let own = rustix::fs::fstat(&self.handle)?;
        match rustix::fs::statat(&parent.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok((found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// All bytes of a file; none when there is none. More than `limit` are an error.
    pub(super) fn read(&self, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let Some((file, length)) = self.open_bounded(name, limit)? else { return Ok(None) };
        let mut bytes = Vec::with_capacity(usize::try_from(length).map_err(io::Error::other)?);
        file.take(limit + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// SHA-256 and length of a file; none when there is none. More than `limit` bytes are an error.
    pub(super) fn digest(&self, name: &str, limit: u64) -> io::Result<Option<(Digest, u64)>> {
        self.copy(name, limit, &mut io::sink())
    }

    /// Copies a file; answers SHA-256 and length of what was written, none when there is no such file. More than `limit` bytes
    /// are an error.
    pub(super) fn copy(&self, name: &str, limit: u64, into: &mut dyn io::Write) -> io::Result<Option<(Digest, u64)>> {
        let Some((file, _)) = self.open_bounded(name, limit)? else { return Ok(None) };
        let mut file = file.take(limit + 1);
        let (mut hasher, mut length, mut piece) = (Hasher::default(), 0, vec![0; PIECE_BYTES]);
        loop {
            match file.read(&mut piece) {
                Ok(0) => return Ok(Some((hasher.finish(), length))),
                Ok(read) => {
                    hasher.update(&piece[..read]);
                    into.write_all(&piece[..read])?;
                    length += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn open_bounded(&self, name: &str, limit: u64) -> io::Result<Option<(File, u64)>> {
        let file = match self.open_file(name, OFlags::RDONLY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a file of a possible length"));
        }
        Ok(Some((file, metadata.len())))
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
        written.and_then(|()| self.sync())
    }

    /// Gives a file of this directory a second name in another one.
    pub(super) fn link(&self, name: &str, to: &Self, new_name: &str) -> io::Result<()> {
        Ok(rustix::fs::linkat(&self.handle, name, &to.handle, new_name, AtFlags::empty())?)
    }

    /// Gives a directory inside, which is whole, the name by which it is found; durably. Fails where there is one already.
    pub(super) fn put_in_place(&self, name: &str, in_place: &str) -> io::Result<()> {
        rustix::fs::renameat(&self.handle, name, &self.handle, in_place)?;
        self.sync()
    }

    /// Makes the names in it durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    /// What is in it. What goes while it is looked at is left out.
    pub(super) fn entries(&self) -> io::Result<Vec<KeptEntry>> {
        let mut found = Vec::new();
        for entry in Dir::read_from(&self.handle)? {
            let entry = entry?;
            // Everything that is written here has a name in ASCII.
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name == "." || name == ".." {
                continue;
            }
            let status = match rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                other => other?,
            };
            found.push(KeptEntry {
                name: name.to_owned(),
                kind: FileType::from_raw_mode(status.st_mode),
                bytes: u64::try_from(status.st_size).unwrap_or(0),
                inode: status.st_ino,
                changed_ms: u64::try_from(status.st_mtime.saturating_mul(1_000)).unwrap_or(0)
                    + status.st_mtime_nsec / 1_000_000,
            });
        }
        Ok(found)
    }

    /// The directories in it, by name.
    pub(super) fn children(&self) -> io::Result<Vec<String>> {
        let entries = self.entries()?.into_iter();
        Ok(entries.filter(|entry| entry.kind == FileType::Directory).map(|entry| entry.name).collect())
    }

    /// Notes that a file was used now, for whoever asks which was not used for longest.
    pub(super) fn note_use(&self, name: &str) -> io::Result<()> {
        let now = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        Ok(rustix::fs::utimensat(&self.handle, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Removes a file, or a directory with everything in it. What is gone already is a success; a file that is open stays
    /// for those who have it open.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        remove_tree(&self.handle, &CString::new(name)?, REMOVED_DEPTH_MAX)
    }

    /// Takes a file or a directory out of use. Nothing is lost when that fails: the next look finds the same fault again.
    pub(super) fn set_aside(&self, name: &str) {
        let aside = format!("{name}{ASIDE}");
        let rename = || rustix::fs::renameat(&self.handle, name, &self.handle, &aside);
        // A file takes the place of another one, a directory does not.
        if !matches!(rename(), Ok(()) | Err(Errno::NOENT)) && self.remove(&aside).is_ok() {
            let _ = rename();
        }
    }

    pub(super) fn open_file(&self, name: &str, access: OFlags) -> io::Result<File> {
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let descriptor = rustix::fs::openat(&self.handle, name, flags, Mode::from_raw_mode(0o600))?;
        Ok(File::from(descriptor))
    }
}

fn remove_tree(directory: &File, name: &CStr, depth: u32) -> io::Result<()> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) if depth > 0 => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let inside = File::from(rustix::fs::openat(directory, name, flags, Mode::empty())?);
    for entry in Dir::read_from(&inside)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            remove_tree(&inside, entry.file_name(), depth - 1)?;
        }
    }
    match rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
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
