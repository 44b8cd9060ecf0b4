//! An object store over a directory: a file an object, conditional writes under OS locks.
//!
//! The format is in `docs/directory-objects.md`. Safe among the processes and machines that share the directory, where
//! its file system has working `flock` and atomic renames. Deliberately absent: buckets of a cloud, credentials,
//! retries (a busy lock is waited for, anything else is answered as it is).

mod blocking;
mod file_format;
mod key;
mod listing;
mod write;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use peat_core::content::SharedContent;
use peat_core::ports::{Condition, Listing, Lookup, ObjectError, ObjectStore, Range};

use blocking::Directory;

/// Objects in a directory. Cloning shares it. Needs a tokio runtime: the disk is used on its blocking threads.
#[derive(Debug, Clone)]
pub struct DirectoryObjects {
    directory: Arc<Directory>,
}

impl DirectoryObjects {
    /// Opens the directory `path`, which must exist: creating it would hide a shared file system that is not mounted.
    /// A directory that cannot be written can be read. Blocks on the disk.
    pub fn open(path: &Path) -> Result<Self, ObjectError> {
        Ok(Self { directory: Arc::new(Directory::open(path)?) })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        subject: &str,
        step: impl FnOnce(&Directory) -> Result<T, ObjectError> + Send + 'static,
    ) -> Result<T, ObjectError> {
        let directory = Arc::clone(&self.directory);
        tokio::task::spawn_blocking(move || step(&directory)).await.unwrap_or_else(|failure| {
            Err(ObjectError::Unavailable {
                key: subject.to_owned(),
                reason: format!("the thread that used the directory ended: {failure}"),
                retry_after_ms: None,
            })
        })
    }
}

#[async_trait]
impl ObjectStore for DirectoryObjects {
    fn description(&self) -> String {
        format!("directory {}", self.directory.path.display())
    }

    async fn get(&self, key: &str, unless_etag: Option<&str>) -> Result<Lookup, ObjectError> {
        let (wanted, unless) = (key.to_owned(), unless_etag.map(str::to_owned));
        self.blocking(key, move |directory| directory.get(&wanted, unless.as_deref())).await
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range]) -> Result<Vec<SharedContent>, ObjectError> {
        let (wanted, ranges) = (key.to_owned(), ranges.to_vec());
        self.blocking(key, move |directory| directory.get_ranges(&wanted, &ranges)).await
    }

    async fn put(&self, key: &str, content: SharedContent, condition: Condition) -> Result<String, ObjectError> {
        let target = key.to_owned();
        self.blocking(key, move |directory| directory.put(&target, &*content, &condition)).await
    }

    async fn copy(&self, source: &str, target: &str) -> Result<String, ObjectError> {
        let (from, to) = (source.to_owned(), target.to_owned());
        self.blocking(target, move |directory| directory.copy(&from, &to)).await
    }

    async fn list(&self, prefix: &str, delimiter: bool, cursor: Option<&str>) -> Result<Listing, ObjectError> {
        let (wanted, cursor) = (prefix.to_owned(), cursor.map(str::to_owned));
        self.blocking(prefix, move |directory| directory.list(&wanted, delimiter, cursor.as_deref())).await
    }

    async fn delete(&self, keys: &[String]) -> Result<Vec<(String, ObjectError)>, ObjectError> {
        let keys = keys.to_vec();
        self.blocking("delete", move |directory| Ok(directory.delete(&keys))).await
    }
}
