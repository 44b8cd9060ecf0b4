//! Directory changes that survive the machine: what was created or renamed is only safe once its directory is synced.

use std::io;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt};
use rustix::fs::{Mode, OFlags};

/// Directories are for their owner alone: stores hold what methods produced.
const OWNER_ONLY: u32 = 0o700;

/// Makes renames, links and unlinks in `directory` durable.
pub(crate) fn sync_directory(directory: &Dir) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(directory, ".", flags, Mode::empty())?;
    Ok(rustix::fs::fsync(opened)?)
}

/// Opens the directory `path` of the operator, after creating what is missing of it, for the owner alone.
pub(crate) fn open_or_create(path: &Path) -> io::Result<Dir> {
    match Dir::open_ambient_dir(path, ambient_authority()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => open_or_create(parent)?,
        _ => Dir::open_ambient_dir(".", ambient_authority())?,
    };
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    create_directory(&parent, Path::new(name))?;
    parent.open_dir(name)
}

/// Creates `name` in `parent` for the owner alone and makes that durable; fine when it is there already.
pub(crate) fn create_directory(parent: &Dir, name: &Path) -> io::Result<()> {
    match parent.create_dir_with(name, DirBuilder::new().mode(OWNER_ONLY)) {
        Ok(()) => sync_directory(parent),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opens the directory `name` in `parent`, after creating it where it is missing.
pub(crate) fn open_or_create_in(parent: &Dir, name: &str) -> io::Result<Dir> {
    match parent.open_dir(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_directory(parent, Path::new(name))?;
            parent.open_dir(name)
        }
        other => other,
    }
}

/// There is no room: the disk or a quota is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// Writing is refused, by permission or because the file system is read-only.
pub(crate) fn is_denied(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}
