//! The world of a component: `peat:host` behind the ports.

use std::rc::Rc;

use peat_sdk::bindings::host::peat::host::{clock, holders, objects, progress, random, replica};
use peat_sdk::content;

use super::convert::{from_holder, from_host_error, to_holder};
use crate::error::{Error, Result};
use crate::limits::SEGMENT_BYTES_MAX;
use crate::ports::{
    Blob, Clock, Condition, Folders, Holder, Holders, Listing, Lookup, Object, ObjectStore, Progress, Random, Range,
    Replica, Unit,
};

/// An object store that the host opened, and the rest of what it offers.
#[derive(Debug, Clone)]
pub struct HostWorld {
    store: Rc<objects::ObjectStore>,
}

/// A content handle of the host.
#[derive(Debug)]
pub struct HostBlob(pub content::Blob);

impl HostWorld {
    /// The world with this store in it.
    pub fn new(store: objects::ObjectStore) -> Self {
        Self { store: Rc::new(store) }
    }
}

impl Blob for HostBlob {
    fn size(&self) -> u64 {
        self.0.size()
    }

    async fn read(&self, offset: u64, length: u32) -> Result<Vec<u8>> {
        self.0.read(offset, length).await.map_err(from_host_error)
    }

    fn slice(&self, offset: u64, length: u64) -> Result<Self> {
        self.0.slice(offset, length).map(Self).map_err(from_host_error)
    }
}

impl ObjectStore for HostWorld {
    type Blob = HostBlob;

    async fn blob(&self, bytes: &[u8]) -> Result<HostBlob> {
        content::of(bytes).await.map(HostBlob).map_err(from_host_error)
    }

    fn description(&self) -> String {
        self.store.description()
    }

    async fn get(&self, key: &str, unless_etag: Option<&str>) -> Result<Lookup<HostBlob>> {
        let lookup = self.store.get(key.to_owned(), unless_etag.map(str::to_owned)).await.map_err(from_host_error)?;
        Ok(match lookup {
            objects::Lookup::NotModified => Lookup::NotModified,
            objects::Lookup::Found(found) => Lookup::Found {
                object: from_object(found.object),
                content: HostBlob(found.content),
                store_time_ms: found.store_time_ms,
            },
        })
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range]) -> Result<Vec<HostBlob>> {
        let ranges = ranges.iter().map(|range| objects::Range { offset: range.offset, length: range.length }).collect();
        let blobs = self.store.get_ranges(key.to_owned(), ranges).await.map_err(from_host_error)?;
        Ok(blobs.into_iter().map(HostBlob).collect())
    }

    async fn put(&self, key: &str, content: &HostBlob, condition: Condition) -> Result<String> {
        self.store.put(key.to_owned(), &content.0, to_condition(condition)).await.map_err(from_host_error)
    }

    async fn put_concatenated(&self, key: &str, parts: &[&HostBlob], condition: Condition) -> Result<String> {
        let parts = parts.iter().map(|part| &part.0).collect();
        self.store.put_concatenated(key.to_owned(), parts, to_condition(condition)).await.map_err(from_host_error)
    }

    async fn copy(&self, source: &str, to: &str) -> Result<String> {
        self.store.copy(source.to_owned(), to.to_owned()).await.map_err(from_host_error)
    }

    async fn folders(&self, prefix: &str, cursor: Option<&str>) -> Result<Folders> {
        let listing =
            self.store.list(prefix.to_owned(), true, cursor.map(str::to_owned)).await.map_err(from_host_error)?;
        // What is not below a folder is no namespace.
        let names = listing.objects.into_iter().map(|object| object.key).filter(|key| key.ends_with('/')).collect();
        Ok(Folders { names, cursor: listing.cursor, store_time_ms: listing.store_time_ms })
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<Listing> {
        let listing =
            self.store.list(prefix.to_owned(), false, cursor.map(str::to_owned)).await.map_err(from_host_error)?;
        Ok(Listing {
            objects: listing.objects.into_iter().map(from_object).collect(),
            cursor: listing.cursor,
            store_time_ms: listing.store_time_ms,
        })
    }

    async fn delete(&self, keys: &[String]) -> Result<Vec<(String, Error)>> {
        let failures = self.store.delete(keys.to_vec()).await.map_err(from_host_error)?;
        Ok(failures.into_iter().map(|failure| (failure.key, from_host_error(failure.error))).collect())
    }
}

impl Clock for HostWorld {
    fn now_ms(&self) -> u64 {
        clock::now_ms()
    }

    fn elapsed_ms(&self) -> u64 {
        clock::elapsed_ms()
    }

    async fn sleep(&self, duration_ms: u64) {
        clock::sleep(duration_ms).await;
    }
}

impl Random for HostWorld {
    fn bytes(&self, length: u32) -> Vec<u8> {
        random::bytes(length)
    }
}

impl Replica for HostWorld {
    fn known(&self, partitions: &[String]) -> Result<Vec<Option<String>>> {
        replica::known(partitions).map_err(from_host_error)
    }

    async fn cached(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let Some(blob) = replica::cached(key.to_owned()).await.map_err(from_host_error)? else { return Ok(None) };
        content::read(&blob, SEGMENT_BYTES_MAX as u64).await.map(Some).map_err(from_host_error)
    }

    async fn cache(&self, key: &str, bytes: &[u8]) -> Result<()> {
        let blob = content::of(bytes).await.map_err(from_host_error)?;
        replica::cache(key.to_owned(), &blob).await.map_err(from_host_error)
    }
}

impl Holders for HostWorld {
    fn current(&self) -> Holder {
        from_holder(holders::current())
    }

    fn is_dead(&self, holder: &Holder) -> bool {
        holders::is_dead(&to_holder(holder.clone()))
    }
}

impl Progress for HostWorld {
    fn report(&self, message: &str, done: u64, total: Option<u64>, unit: Unit) {
        let unit = match unit {
            Unit::Items => progress::Unit::Items,
            Unit::Bytes => progress::Unit::Bytes,
        };
        progress::report(&progress::Update { message: message.to_owned(), done, total, unit });
    }
}

fn from_object(object: objects::Object) -> Object {
    Object { key: object.key, size: object.size, etag: object.etag, modified_ms: object.modified_ms }
}

fn to_condition(condition: Condition) -> objects::Condition {
    match condition {
        Condition::Always => objects::Condition::Always,
        Condition::Absent => objects::Condition::Absent,
        Condition::Matches(etag) => objects::Condition::Matches(etag),
    }
}
