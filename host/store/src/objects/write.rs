//! Writing, copying and deleting. A write is prepared and synced beside the objects, then put in place under a lock that
//! is held for a header read and a rename, and answered once the directory is synced too.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use peat_core::content::{self, Content};
use peat_core::digest::Digest;
use peat_core::ports::{Condition, ObjectError};
use rustix::fs::{FlockOperation, flock};

use super::blocking::{Directory, Private, of_io};
use super::file_format::{DAMAGED_ETAG, Header, Inspected, inspect};
use super::key::ObjectPath;
use crate::durability;
use crate::file_content::FileContent;
use crate::temporary_file::TemporaryFile;

/// How long a lock is waited for. It is held for microseconds: whoever holds it longer was stopped or lost its server.
const LOCK_WAIT: Duration = Duration::from_secs(20);

/// First and longest pause between two attempts to lock.
const LOCK_PAUSE_FIRST: Duration = Duration::from_micros(100);
const LOCK_PAUSE_LONGEST: Duration = Duration::from_millis(5);

/// Directories remembered as durable; the memory is dropped when it is full.
const DURABLE_DIRECTORIES_MAX: usize = 4_096;

impl Directory {
    pub(super) fn put(&self, key: &str, content: &dyn Content, condition: &Condition) -> Result<String, ObjectError> {
        let path = ObjectPath::of_key(key)?;
        let private = self.writable(key)?;
        let failed = |error: io::Error| of_io(key, &error);
        let header = Header::new(content.size());
        let temporary = TemporaryFile::create(&private.incoming).map_err(failed)?;
        write_object(temporary.file(), header, content).map_err(failed)?;
        let parent = self.durable_directory(&path.directory).map_err(failed)?;
        {
            let _lock = private.lock(key)?;
            self.check(key, &path, condition)?;
            temporary.rename(&parent, &path.file).map_err(failed)?;
        }
        durability::sync_directory(&parent).map_err(failed)?;
        Ok(header.etag())
    }

    pub(super) fn copy(&self, source: &str, target: &str) -> Result<String, ObjectError> {
        let (file, object) = self.open_object(source, &ObjectPath::of_key(source)?)?;
        let content = FileContent::new(file, super::file_format::HEADER_BYTES as u64, object.size);
        self.put(target, &content, &Condition::Absent)
    }

    pub(super) fn delete(&self, keys: &[String]) -> Vec<(String, ObjectError)> {
        let failed = |key: &String| self.delete_one(key).err().map(|error| (key.clone(), error));
        keys.iter().filter_map(failed).collect()
    }

    fn delete_one(&self, key: &str) -> Result<(), ObjectError> {
        let path = ObjectPath::of_key(key)?;
        let private = self.writable(key)?;
        let outcome = {
            let _lock = private.lock(key)?;
            self.root.remove_file(path.whole())
        };
        match outcome {
            Ok(()) => self
                .open_directory(&path.directory)
                .and_then(|parent| durability::sync_directory(&parent))
                .map_err(|error| of_io(key, &error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(of_io(key, &error)),
        }
    }

    /// Does `condition` hold? To be asked under the lock of the key.
    fn check(&self, key: &str, path: &ObjectPath, condition: &Condition) -> Result<(), ObjectError> {
        let conflict = || Err(ObjectError::Conflict { key: key.to_owned() });
        if *condition == Condition::Always {
            return Ok(());
        }
        let found = match self.root.open(path.whole()) {
            Ok(file) => Some(inspect(&file.into_std()).map_err(|error| of_io(key, &error))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(of_io(key, &error)),
        };
        match (condition, found) {
            (Condition::Absent, None) => Ok(()),
            (Condition::Matches(etag), Some(Inspected::Whole(header))) if header.etag() == *etag => Ok(()),
            // Whoever knows that it is damaged may replace it, once: what they write is not.
            (Condition::Matches(etag), Some(Inspected::Damaged(_))) if etag == DAMAGED_ETAG => Ok(()),
            _ => conflict(),
        }
    }

    fn writable(&self, key: &str) -> Result<&Private, ObjectError> {
        self.private.as_ref().ok_or_else(|| ObjectError::Denied {
            key: key.to_owned(),
            reason: format!("{} cannot be written", self.path.display()),
        })
    }

    fn open_directory(&self, directory: &str) -> io::Result<Dir> {
        self.root.open_dir(if directory.is_empty() { "." } else { directory })
    }

    /// Opens a directory of objects, created where missing. It and all above it are durable when this returns: one that
    /// another process has just created may not be yet.
    fn durable_directory(&self, directory: &str) -> io::Result<Dir> {
        let known = |path: &str| self.durable.lock().unwrap_or_else(PoisonError::into_inner).contains(path);
        if directory.is_empty() || known(directory) {
            match self.open_directory(directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => return other,
            }
        }
        let mut current = self.root.try_clone()?;
        for segment in directory.split('/').filter(|segment| !segment.is_empty()) {
            durability::create_directory(&current, Path::new(segment))?;
            durability::sync_directory(&current)?;
            current = current.open_dir(segment)?;
        }
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if durable.len() >= DURABLE_DIRECTORIES_MAX {
            durable.clear();
        }
        durable.insert(directory.to_owned());
        Ok(current)
    }
}

impl Private {
    /// Excludes other writers of the key, in this process and in others, here and on other machines. Keys share 256
    /// locks by their digest.
    fn lock(&self, key: &str) -> Result<File, ObjectError> {
        let stripe = format!("{:02x}", Digest::of(key.as_bytes()).as_bytes()[0]);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o666);
        let file = self.locks.open_with(&stripe, &options).map_err(|error| of_io(key, &error))?.into_std();
        let deadline = Instant::now() + LOCK_WAIT;
        let mut pause = LOCK_PAUSE_FIRST;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(file),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(LOCK_PAUSE_LONGEST);
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(ObjectError::Unavailable {
                        key: key.to_owned(),
                        reason: format!("another process kept its lock {stripe} for {} s", LOCK_WAIT.as_secs()),
                        retry_after_ms: None,
                    });
                }
                Err(error) => return Err(of_io(key, &error.into())),
            }
        }
    }
}

/// Writes header and content, durably. `InvalidData` when the content is not as long as it said.
fn write_object(mut file: &File, header: Header, content: &dyn Content) -> io::Result<()> {
    file.write_all(&header.to_bytes())?;
    let mut written = 0;
    content::walk(content, |chunk| {
        written += chunk.len() as u64;
        file.write_all(chunk)
    })?;
    if written != header.length {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the content changed its length while it was written"));
    }
    file.sync_all()
}
