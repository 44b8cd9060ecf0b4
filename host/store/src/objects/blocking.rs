//! The directory itself: opening it, reading from it, its clock, and what its errors mean.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use peat_core::content::{self, SharedContent};
use peat_core::ports::{Found, Lookup, ObjectError, ObjectInfo, Range};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens};

use super::file_format::{HEADER_BYTES, Inspected, inspect};
use super::key::{ObjectPath, PRIVATE_DIRECTORY};
use crate::clock;
use crate::durability;
use crate::file_content::FileContent;
use crate::temporary_file::leftovers;

/// Content up to this many bytes is read at once, so that its handle keeps no file open.
const MEMORY_BYTES_MAX: u64 = 256 * 1024;

/// Temporary files older than this, locked by nobody, are of writers that died.
const LEFTOVER_AGE: Duration = Duration::from_secs(3_600);

/// The file whose modification time is set to learn the store's own time.
const CLOCK_FILE: &str = "clock";

/// An open directory of objects. Every call blocks on the disk.
#[derive(Debug)]
pub(super) struct Directory {
    /// For messages.
    pub(super) path: PathBuf,
    pub(super) root: Dir,
    /// Locks and temporary files; none in a directory that cannot be written.
    pub(super) private: Option<Private>,
    /// Directories that this process knows to be durable.
    pub(super) durable: Mutex<HashSet<String>>,
}

/// What the store keeps for itself beside the objects.
#[derive(Debug)]
pub(super) struct Private {
    pub(super) locks: Dir,
    pub(super) incoming: Arc<Dir>,
    clock: File,
}

impl Directory {
    pub(super) fn open(path: &Path) -> Result<Self, ObjectError> {
        let place = path.display().to_string();
        let root = Dir::open_ambient_dir(path, ambient_authority()).map_err(|error| of_io(&place, &error))?;
        let private = match Private::open(&root) {
            Ok(private) => Some(private),
            Err(error) if durability::is_denied(&error) => None,
            Err(error) => return Err(of_io(&place, &error)),
        };
        Ok(Self { path: path.to_owned(), root, private, durable: Mutex::default() })
    }

    pub(super) fn get(&self, key: &str, unless_etag: Option<&str>) -> Result<Lookup, ObjectError> {
        let path = ObjectPath::of_key(key)?;
        let (file, object) = self.open_object(key, &path)?;
        if unless_etag == Some(object.etag.as_str()) {
            return Ok(Lookup::NotModified);
        }
        let content = content_of(file, object.size).map_err(|error| of_io(key, &error))?;
        Ok(Lookup::Found(Found { object, content, store_time_ms: self.now_ms() }))
    }

    pub(super) fn get_ranges(&self, key: &str, ranges: &[Range]) -> Result<Vec<SharedContent>, ObjectError> {
        let path = ObjectPath::of_key(key)?;
        let (file, object) = self.open_object(key, &path)?;
        let whole = content_of(file, object.size).map_err(|error| of_io(key, &error))?;
        let part = |range: &Range| {
            content::slice(&whole, range.offset, range.length).ok_or_else(|| ObjectError::Corrupt {
                key: key.to_owned(),
                reason: format!(
                    "{} bytes from {} on were asked for, it has {}",
                    range.length, range.offset, object.size
                ),
            })
        };
        ranges.iter().map(part).collect()
    }

    /// Opens a whole object. What is read from the file is of one write: writes replace the file.
    pub(super) fn open_object(&self, key: &str, path: &ObjectPath) -> Result<(File, ObjectInfo), ObjectError> {
        let file = self.root.open(path.whole()).map_err(|error| of_io(key, &error))?.into_std();
        let modified = file.metadata().and_then(|metadata| metadata.modified()).map_err(|error| of_io(key, &error))?;
        match inspect(&file).map_err(|error| of_io(key, &error))? {
            Inspected::Whole(header) => {
                let modified_ms = clock::milliseconds(modified);
                let info = ObjectInfo { key: key.to_owned(), size: header.length, etag: header.etag(), modified_ms };
                Ok((file, info))
            }
            Inspected::Damaged(reason) => Err(ObjectError::Corrupt {
                key: key.to_owned(),
                reason: format!("{}: {reason}; restore the file from a backup", self.path.join(path.whole()).display()),
            }),
        }
    }

    /// The time of whoever keeps the directory (a file server has its own), to be compared with modification times.
    pub(super) fn now_ms(&self) -> u64 {
        let touched = self.private.as_ref().and_then(|private| private.touch_clock().ok());
        touched.unwrap_or_else(clock::wall_ms)
    }
}

impl Private {
    fn open(root: &Dir) -> io::Result<Self> {
        let private = durability::open_or_create_in(root, PRIVATE_DIRECTORY)?;
        let locks = durability::open_or_create_in(&private, "locks")?;
        let incoming = durability::open_or_create_in(&private, "incoming")?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o666);
        drop(private.open_with(CLOCK_FILE, &options)?);
        // Setting the time to now needs no file open for writing, which would keep the file system from being remounted.
        let clock = private.open(CLOCK_FILE)?.into_std();
        for leftover in leftovers(&incoming, LEFTOVER_AGE)? {
            let _ = incoming.remove_file(&leftover.name);
        }
        Ok(Self { locks, incoming: Arc::new(incoming), clock })
    }

    fn touch_clock(&self) -> io::Result<u64> {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let keep = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        futimens(&self.clock, &Timestamps { last_access: keep, last_modification: now })?;
        Ok(clock::milliseconds(self.clock.metadata()?.modified()?))
    }
}

/// The content after the header.
fn content_of(file: File, size: u64) -> io::Result<SharedContent> {
    if size > MEMORY_BYTES_MAX {
        return Ok(Arc::new(FileContent::new(file, HEADER_BYTES as u64, size)));
    }
    let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, HEADER_BYTES as u64)?;
    Ok(content::in_memory(bytes))
}

/// What a failure of the system means for `key`.
pub(super) fn of_io(key: &str, error: &io::Error) -> ObjectError {
    let key = key.to_owned();
    let reason = error.to_string();
    match error.kind() {
        io::ErrorKind::NotFound => ObjectError::NotFound { key },
        _ if durability::is_full(error) => ObjectError::Exhausted { key, reason },
        _ if durability::is_denied(error) => ObjectError::Denied { key, reason },
        _ => ObjectError::Unavailable { key, reason, retry_after_ms: None },
    }
}
