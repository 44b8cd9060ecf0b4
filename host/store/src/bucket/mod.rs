//! An object store over a bucket that speaks S3, with conditional writes.
//!
//! `docs/bucket-objects.md` says what is expected of the store, how each answer is understood and what is tried again.
//! Deliberately absent: what is stored, the protocol over it (an extension's), and the decision whether a store can be
//! trusted at all (`datastore setup` examines it).

mod body;
mod client;
mod connections;
mod copy;
mod delete;
mod etag;
mod exchange;
mod failure;
mod key;
mod list;
mod multipart;
mod ranges;
mod read;
mod repeat;
mod settings;
mod sink;
mod write;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use aws_sdk_s3::Client;
use peat_core::content::SharedContent;
use peat_core::ports::{Condition, Listing, Lookup, ObjectError, ObjectStore, Range, Spool};
use tokio::sync::Semaphore;

use etag::Etags;
use failure::Place;
use key::Scope;

pub use etag::EtagForm;
pub use settings::{AccessKeys, BucketSettings, NO_PROGRESS_DEFAULT};

/// Requests in flight at once of one process: more wait their turn. Keeps a link of 20 ms and 1 Gbit/s busy with objects of
/// 64 KiB, and is far below what stores allow a client.
const REQUESTS_MAX: usize = 32;

/// Uploads held in memory at once, each of one part at most: 64 MiB.
const UPLOADS_MAX: usize = 8;

/// Objects in a bucket, below a prefix. Cloning shares it. Needs a tokio runtime.
#[derive(Clone)]
pub struct BucketObjects {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    scope: Scope,
    place: Place,
    etags: Etags,
    spool: Arc<dyn Spool>,
    requests: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
    /// The store refuses deletions of many keys at once.
    deletes_singly: AtomicBool,
    /// The store answered a write with the name of a version: what is deleted or replaced is kept.
    keeps_versions: AtomicBool,
    no_progress: std::time::Duration,
}

impl BucketObjects {
    /// Reads the standard configuration of this machine (environment, profile files) and makes no request: whether the
    /// bucket is there and lets us in is known with the first one. Content larger than fits into memory goes to `spool`.
    pub async fn open(settings: BucketSettings, spool: Arc<dyn Spool>) -> Result<Self, ObjectError> {
        let scope = settings.scope()?;
        let (client, place) = client::connect(&settings).await?;
        let inner = Inner {
            client,
            scope,
            place,
            etags: Etags::new(settings.etag_form, settings.learnt),
            spool,
            requests: Arc::new(Semaphore::new(REQUESTS_MAX)),
            uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
            deletes_singly: AtomicBool::new(false),
            keeps_versions: AtomicBool::new(false),
            no_progress: settings.no_progress,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// How this store takes ETags in conditions, once a conditional write showed it, here or in an earlier process.
    pub fn etag_form(&self) -> Option<EtagForm> {
        self.inner.etags.form()
    }

    /// Whether a write showed that the bucket keeps versions: deleting frees no room there until the bucket's own rules
    /// delete them.
    pub fn keeps_versions(&self) -> bool {
        self.inner.keeps_versions.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for BucketObjects {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BucketObjects({})", self.description())
    }
}

#[async_trait]
impl ObjectStore for BucketObjects {
    fn description(&self) -> String {
        self.inner.scope.description(&self.inner.place)
    }

    async fn get(&self, key: &str, unless_etag: Option<&str>) -> Result<Lookup, ObjectError> {
        self.inner.get(key, unless_etag).await
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range]) -> Result<Vec<SharedContent>, ObjectError> {
        self.inner.get_ranges(key, ranges).await
    }

    async fn put(&self, key: &str, content: SharedContent, condition: Condition) -> Result<String, ObjectError> {
        self.inner.put(key, content, condition).await
    }

    async fn copy(&self, source: &str, target: &str) -> Result<String, ObjectError> {
        self.inner.copy(source, target).await
    }

    async fn list(&self, prefix: &str, delimiter: bool, cursor: Option<&str>) -> Result<Listing, ObjectError> {
        self.inner.list(prefix, delimiter, cursor).await
    }

    async fn delete(&self, keys: &[String]) -> Result<Vec<(String, ObjectError)>, ObjectError> {
        self.inner.delete(keys).await
    }
}
