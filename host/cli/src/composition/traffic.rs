//! Counts what a command asks of the object store under its datastore.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use peat_core::content::SharedContent;
use peat_core::ports::{Condition, Listing, Lookup, ObjectError, ObjectStore, Range};
use peat_core::statistics::Requests;

/// What was asked so far. A large object that is written in parts counts once.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    reads: AtomicU64,
    range_reads: AtomicU64,
    writes: AtomicU64,
    copies: AtomicU64,
    listings: AtomicU64,
    deletions: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Traffic {
    /// By kind.
    pub(super) fn requests(&self) -> Requests {
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Requests {
            reads: count(&self.reads),
            range_reads: count(&self.range_reads),
            writes: count(&self.writes),
            copies: count(&self.copies),
            listings: count(&self.listings),
            deletions: count(&self.deletions),
        }
    }

    /// Bytes of objects sent and received.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }
}

/// `store`, counted.
pub(super) fn counted(store: Arc<dyn ObjectStore>, traffic: &Arc<Traffic>) -> Arc<dyn ObjectStore> {
    Arc::new(Counted { store, traffic: Arc::clone(traffic) })
}

struct Counted {
    store: Arc<dyn ObjectStore>,
    traffic: Arc<Traffic>,
}

fn one(count: &AtomicU64) {
    add(count, 1);
}

fn add(count: &AtomicU64, number: u64) {
    count.fetch_add(number, Ordering::Relaxed);
}

#[async_trait]
impl ObjectStore for Counted {
    fn description(&self) -> String {
        self.store.description()
    }

    async fn get(&self, key: &str, unless_etag: Option<&str>) -> Result<Lookup, ObjectError> {
        one(&self.traffic.reads);
        let lookup = self.store.get(key, unless_etag).await?;
        if let Lookup::Found(found) = &lookup {
            add(&self.traffic.received, found.content.size());
        }
        Ok(lookup)
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range]) -> Result<Vec<SharedContent>, ObjectError> {
        one(&self.traffic.range_reads);
        let contents = self.store.get_ranges(key, ranges).await?;
        add(&self.traffic.received, contents.iter().map(|content| content.size()).sum());
        Ok(contents)
    }

    async fn put(&self, key: &str, content: SharedContent, condition: Condition) -> Result<String, ObjectError> {
        one(&self.traffic.writes);
        add(&self.traffic.sent, content.size());
        self.store.put(key, content, condition).await
    }

    async fn copy(&self, source: &str, target: &str) -> Result<String, ObjectError> {
        one(&self.traffic.copies);
        self.store.copy(source, target).await
    }

    async fn list(&self, prefix: &str, delimiter: bool, cursor: Option<&str>) -> Result<Listing, ObjectError> {
        one(&self.traffic.listings);
        self.store.list(prefix, delimiter, cursor).await
    }

    async fn delete(&self, keys: &[String]) -> Result<Vec<(String, ObjectError)>, ObjectError> {
        one(&self.traffic.deletions);
        self.store.delete(keys).await
    }
}
