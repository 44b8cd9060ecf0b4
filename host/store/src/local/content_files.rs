//! Large contents as files, `content/ab/abcdef…`, and temporary files beside them.
//!
//! A file gets its place as a second name of a temporary file that was synced before; the first name goes once the
//! transaction is committed. So a process that dies in between leaves a temporary file with two names, which is how the
//! sweep knows that the other name may belong to no row.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use cap_std::fs::Dir;
use peat_core::content::{self, Content};
use peat_core::digest::{Digest, Hasher};

use super::failure::Failure;
use crate::durability;
use crate::temporary_file::TemporaryFile;

/// Hexadecimal digits of the digest that name the directory of a file.
const SHARD_DIGITS: usize = 2;

#[derive(Debug)]
pub(super) struct ContentFiles {
    root: Dir,
    /// Temporary files; on the same file system as the contents.
    pub(super) spool: Arc<Dir>,
}

impl ContentFiles {
    pub(super) fn open(directory: &Dir) -> Result<Self, Failure> {
        let open = |name: &str| {
            durability::open_or_create_in(directory, name).map_err(|error| Failure::File(PathBuf::from(name), error))
        };
        Ok(Self { root: open("content")?, spool: Arc::new(open("spool")?) })
    }

    /// Path of a content relative to the store, for messages.
    pub(super) fn path_of(digest: &Digest) -> PathBuf {
        PathBuf::from("content").join(relative(digest))
    }

    /// An empty temporary file.
    pub(super) fn temporary(&self) -> Result<TemporaryFile, Failure> {
        TemporaryFile::create(&self.spool).map_err(|error| Failure::File("spool".into(), error))
    }

    /// Copies `content` to a temporary file, synced. Answers its digest.
    pub(super) fn copy(&self, content: &dyn Content) -> Result<(TemporaryFile, Digest), Failure> {
        let temporary = self.temporary()?;
        let mut hasher = Hasher::default();
        let written = content::walk(content, |chunk| {
            hasher.update(chunk);
            io::Write::write_all(&mut temporary.file(), chunk)
        });
        written.and_then(|()| temporary.file().sync_all()).map_err(|error| Failure::File("spool".into(), error))?;
        Ok((temporary, hasher.finish()))
    }

    /// Gives a synced temporary file its place, durably, instead of whatever is there. To be called in a transaction
    /// that excludes other writers.
    pub(super) fn place(&self, temporary: &TemporaryFile, digest: &Digest) -> Result<(), Failure> {
        self.try_place(temporary, digest).map_err(|error| Failure::File(Self::path_of(digest), error))
    }

    fn try_place(&self, temporary: &TemporaryFile, digest: &Digest) -> io::Result<()> {
        let text = digest.to_string();
        let shard = durability::open_or_create_in(&self.root, &text[..SHARD_DIGITS])?;
        match shard.remove_file(&text) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        match temporary.link(&shard, &text) {
            Err(error) if cannot_link(&error) => {
                let second = TemporaryFile::create(&self.spool)?;
                io::copy(&mut rewound(temporary.file())?, &mut second.file())?;
                second.file().sync_all()?;
                second.rename(&shard, &text)?;
            }
            other => other?,
        }
        durability::sync_directory(&shard)
    }

    /// Opens the file of a content; none when there is none.
    pub(super) fn open_content(&self, digest: &Digest) -> Result<Option<File>, Failure> {
        match self.root.open(relative(digest)) {
            Ok(file) => Ok(Some(file.into_std())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::File(Self::path_of(digest), error)),
        }
    }

    /// Is there a file of that length?
    pub(super) fn has(&self, digest: &Digest, size: u64) -> bool {
        self.root.metadata(relative(digest)).is_ok_and(|metadata| metadata.is_file() && metadata.len() == size)
    }

    /// Deletes the file of a content, in a transaction that excludes other writers.
    pub(super) fn remove(&self, digest: &Digest) -> Result<(), Failure> {
        match self.root.remove_file(relative(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::File(Self::path_of(digest), error)),
            _ => Ok(()),
        }
    }
}

fn relative(digest: &Digest) -> PathBuf {
    let text = digest.to_string();
    PathBuf::from(&text[..SHARD_DIGITS]).join(text)
}

/// The file system has no second names, or no more of them for this file.
fn cannot_link(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::TooManyLinks
            | io::ErrorKind::CrossesDevices
    )
}

fn rewound(mut file: &File) -> io::Result<&File> {
    io::Seek::rewind(&mut file)?;
    Ok(file)
}
