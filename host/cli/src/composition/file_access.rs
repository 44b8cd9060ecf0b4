//! Files of the repository and of PEAT_HOME: read with a bound, written whole or not at all.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use crate::failure::Failure;

/// Reads a regular file of at most `limit` bytes.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let wrong = |source| Failure::file("read", path, source);
    // Asked before it is opened: opening a pipe or a device may wait for ever.
    if !fs::metadata(path).map_err(wrong)?.is_file() {
        return Err(wrong(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes)).map_err(wrong)?;
    if bytes.len() as u64 > limit {
        return Err(wrong(io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {limit} bytes"))));
    }
    Ok(bytes)
}

/// The same as text; none when there is no such file.
pub(crate) fn read_text_if_there(path: &Path, limit: u64) -> Result<Option<String>, Failure> {
    match read_bounded(path, limit) {
        Ok(bytes) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| Failure::InvalidInput(format!("{}: it is not valid UTF-8", path.display()))),
        Err(Failure::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Replaces a file: whoever reads it sees the old or the new content, also after a crash. Keeps its permissions; a new
/// file gets those the umask leaves.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    replace(path, bytes).map_err(|source| Failure::file("write", path, source))
}

/// Writes a file that must not exist yet; `AlreadyExists` when it does.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let directory = directory_of(path);
    let write = || {
        let mut file = temporary_in(directory, 0o666)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|error| error.error)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|source| Failure::file("write", path, source))
}

/// Creates a directory that only its owner may enter, with those above it.
pub(crate) fn create_private_directory(path: &Path) -> Result<(), Failure> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(|source| Failure::file("create", path, source))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A link keeps leading where it leads.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = directory_of(&path);
    let mut file = temporary_in(directory, 0o666)?;
    if let Ok(old) = fs::metadata(&path) {
        file.as_file().set_permissions(fs::Permissions::from_mode(old.permissions().mode()))?;
    }
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn temporary_in(directory: &Path, mode: u32) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().prefix(".peat-").permissions(fs::Permissions::from_mode(mode)).tempfile_in(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_keeps_its_permissions_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peat.yaml");
        write_new(&path, b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(write_new(&path, b"again").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn reading_is_bounded_and_wants_a_regular_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, b"12345").unwrap();
        assert_eq!(read_bounded(&path, 5).unwrap(), b"12345");
        assert!(read_bounded(&path, 4).is_err());
        assert!(read_bounded(directory.path(), 4).is_err());
        assert!(read_text_if_there(&directory.path().join("none"), 4).unwrap().is_none());
    }
}
