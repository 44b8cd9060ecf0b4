//! The host's ports as the world of the protocol.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use peat_chain::ports::{
    Clock, Condition, Folders, Holder, Holders, Listing, Lookup, Object, ObjectStore, Progress, Random, Range, Replica,
    Unit,
};
use peat_chain::{Error, ErrorKind, Result};
use peat_core::content;
use peat_core::identifiers::PartitionName;
use peat_core::ports::{self, Clock as _, HolderIdentity as _, Random as _};
use peat_store::{ProcessIdentity, SystemClock, SystemRandom};
use peat_test_support::chain_values::Bytes;

/// Largest thing that is brought into memory here, in bytes.
const READ_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Ports of the host, shared by all clones.
#[derive(Clone)]
pub(super) struct NativeWorld {
    objects: Arc<dyn ports::ObjectStore>,
    replica: Arc<dyn ports::Replica>,
    identity: ProcessIdentity,
}

impl NativeWorld {
    pub(super) fn new(objects: Arc<dyn ports::ObjectStore>, replica: Arc<dyn ports::Replica>) -> Self {
        Self { objects, replica, identity: ProcessIdentity::new("conformance").unwrap() }
    }
}

impl fmt::Debug for NativeWorld {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "NativeWorld({})", self.objects.description())
    }
}

impl ObjectStore for NativeWorld {
    type Blob = Bytes;

    async fn blob(&self, bytes: &[u8]) -> Result<Bytes> {
        Ok(Bytes::of(bytes))
    }

    fn description(&self) -> String {
        self.objects.description()
    }

    async fn get(&self, key: &str, unless_etag: Option<&str>) -> Result<Lookup<Bytes>> {
        Ok(match self.objects.get(key, unless_etag).await.map_err(failed)? {
            ports::Lookup::NotModified => Lookup::NotModified,
            ports::Lookup::Found(found) => Lookup::Found {
                object: object(found.object),
                content: Bytes(found.content),
                store_time_ms: found.store_time_ms,
            },
        })
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range]) -> Result<Vec<Bytes>> {
        let range = |range: &Range| ports::Range { offset: range.offset, length: range.length };
        let ranges: Vec<_> = ranges.iter().map(range).collect();
        let parts = self.objects.get_ranges(key, &ranges).await.map_err(failed)?;
        Ok(parts.into_iter().map(Bytes).collect())
    }

    async fn put(&self, key: &str, content: &Bytes, condition: Condition) -> Result<String> {
        let condition = match condition {
            Condition::Always => ports::Condition::Always,
            Condition::Absent => ports::Condition::Absent,
            Condition::Matches(etag) => ports::Condition::Matches(etag),
        };
        self.objects.put(key, Arc::clone(&content.0), condition).await.map_err(failed)
    }

    async fn put_concatenated(&self, key: &str, parts: &[&Bytes], condition: Condition) -> Result<String> {
        let whole = content::concatenate(parts.iter().map(|part| Arc::clone(&part.0)).collect());
        self.put(key, &Bytes(whole), condition).await
    }

    async fn copy(&self, source: &str, to: &str) -> Result<String> {
        self.objects.copy(source, to).await.map_err(failed)
    }

    async fn folders(&self, prefix: &str, cursor: Option<&str>) -> Result<Folders> {
        let listing = self.objects.list(prefix, true, cursor).await.map_err(failed)?;
        let names = listing.objects.into_iter().map(|object| object.key).filter(|key| key.ends_with('/')).collect();
        Ok(Folders { names, cursor: listing.cursor, store_time_ms: listing.store_time_ms })
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<Listing> {
        let listing = self.objects.list(prefix, false, cursor).await.map_err(failed)?;
        Ok(Listing {
            objects: listing.objects.into_iter().map(object).collect(),
            cursor: listing.cursor,
            store_time_ms: listing.store_time_ms,
        })
    }

    async fn delete(&self, keys: &[String]) -> Result<Vec<(String, Error)>> {
        let failures = self.objects.delete(keys).await.map_err(failed)?;
        Ok(failures.into_iter().map(|(key, error)| (key, failed(error))).collect())
    }
}

impl Clock for NativeWorld {
    fn now_ms(&self) -> u64 {
        SystemClock.now_ms()
    }

    fn elapsed_ms(&self) -> u64 {
        SystemClock.elapsed_ms()
    }

    async fn sleep(&self, duration_ms: u64) {
        SystemClock.sleep(Duration::from_millis(duration_ms)).await;
    }
}

impl Random for NativeWorld {
    fn bytes(&self, length: u32) -> Vec<u8> {
        let mut bytes = vec![0; length as usize];
        SystemRandom.fill(&mut bytes);
        bytes
    }
}

impl Replica for NativeWorld {
    fn known(&self, partitions: &[String]) -> Result<Vec<Option<String>>> {
        let names: Vec<_> = partitions.iter().map(|name| PartitionName::parse(name).unwrap()).collect();
        Ok(self.replica.known(&names).unwrap())
    }

    async fn cached(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let content = self.replica.cached(key).unwrap();
        Ok(content.map(|content| content::read_all(&*content, READ_BYTES_MAX).unwrap()))
    }

    async fn cache(&self, key: &str, bytes: &[u8]) -> Result<()> {
        self.replica.cache(key, &content::in_memory(bytes)).unwrap();
        Ok(())
    }
}

impl Holders for NativeWorld {
    fn current(&self) -> Holder {
        let holder = self.identity.current();
        Holder {
            host: holder.host,
            boot_id: holder.boot_id,
            pid_namespace: holder.pid_namespace,
            pid: holder.pid,
            process_start: holder.process_start,
            command: holder.command,
        }
    }

    fn is_dead(&self, holder: &Holder) -> bool {
        let holder = holder.clone();
        self.identity.is_dead(&peat_core::lease::Holder {
            host: holder.host,
            boot_id: holder.boot_id,
            pid_namespace: holder.pid_namespace,
            pid: holder.pid,
            process_start: holder.process_start,
            command: holder.command,
        })
    }
}

impl Progress for NativeWorld {
    fn report(&self, _message: &str, _done: u64, _total: Option<u64>, _unit: Unit) {}
}

fn object(info: ports::ObjectInfo) -> Object {
    Object { key: info.key, size: info.size, etag: info.etag, modified_ms: info.modified_ms }
}

fn failed(error: ports::ObjectError) -> Error {
    use ports::ObjectError;
    let kind = match &error {
        ObjectError::InvalidKey { .. } => ErrorKind::InvalidInput,
        ObjectError::NotFound { .. } => ErrorKind::NotFound,
        ObjectError::Conflict { .. } => ErrorKind::Conflict,
        ObjectError::Denied { .. } => ErrorKind::Denied,
        ObjectError::Exhausted { .. } => ErrorKind::Exhausted,
        ObjectError::Corrupt { .. } => ErrorKind::Corrupt,
        ObjectError::Misconfigured { .. } => ErrorKind::InvalidConfig,
        ObjectError::Unavailable { retry_after_ms, .. } => ErrorKind::Unavailable(*retry_after_ms),
    };
    Error::new(kind, "object", error.to_string())
}
