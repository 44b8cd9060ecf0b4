//! The protocol's world as one process has it: requests over the network, its host's clocks and local store, chances of the
//! seed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use peat_chain::ports::{
    Clock, Condition, Folders, Holder, Holders, Listing, Lookup, Object, ObjectStore, Progress, Random, Range, Replica,
    Unit,
};
use peat_chain::{Error, ErrorKind, Result};
use peat_core::content;
use peat_core::identifiers::PartitionName;
use peat_core::ports::{self, Replica as _, StoreError};
use peat_test_support::chain_values::Bytes;

use super::Simulation;
use super::bucket::{self, Listed, Operation, Reply};
use super::host::Host;
use super::local_store::ProcessStore;
use super::network;
use super::scheduler::Process;

/// Largest thing that is brought into memory here, in bytes.
const READ_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Everything that a process sees of the world. Clones are the same process.
#[derive(Debug, Clone)]
pub(super) struct ProcessWorld {
    pub(super) simulation: Arc<Simulation>,
    pub(super) host: Arc<Host>,
    pub(super) process: Process,
    /// The namespace that the configuration named when the process began.
    pub(super) namespace: Arc<str>,
}

impl ProcessWorld {
    pub(super) fn new(simulation: &Arc<Simulation>, host: &Arc<Host>, process: Process) -> Self {
        let (simulation, namespace) = (Arc::clone(simulation), host.namespace());
        Self { simulation, host: Arc::clone(host), process, namespace }
    }

    pub(super) fn store(&self) -> ProcessStore {
        ProcessStore {
            simulation: Arc::clone(&self.simulation),
            host: Arc::clone(&self.host),
            process: self.process,
            namespace: Arc::clone(&self.namespace),
        }
    }

    async fn request(&self, operation: Operation) -> Result<Reply> {
        network::request(&self.simulation, &self.host, self.process, operation).await
    }
}

impl ObjectStore for ProcessWorld {
    type Blob = Bytes;

    async fn blob(&self, bytes: &[u8]) -> Result<Bytes> {
        Ok(Bytes::of(bytes))
    }

    fn description(&self) -> String {
        "simulated".to_owned()
    }

    async fn get(&self, key: &str, unless_etag: Option<&str>) -> Result<Lookup<Bytes>> {
        let operation = Operation::Get { key: key.to_owned(), unless: unless_etag.map(str::to_owned) };
        match self.request(operation).await? {
            Reply::NotModified => Ok(Lookup::NotModified),
            Reply::Object(listed, bytes, store_time_ms) => {
                Ok(Lookup::Found { object: object(listed), content: Bytes::of(&bytes), store_time_ms })
            }
            other => Err(misfit(key, &other)),
        }
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range]) -> Result<Vec<Bytes>> {
        let ranges = ranges.iter().map(|range| (range.offset, range.length)).collect();
        match self.request(Operation::GetRanges { key: key.to_owned(), ranges }).await? {
            Reply::Parts(parts) => Ok(parts.iter().map(|part| Bytes::of(part)).collect()),
            other => Err(misfit(key, &other)),
        }
    }

    async fn put(&self, key: &str, content: &Bytes, condition: Condition) -> Result<String> {
        let condition = match condition {
            Condition::Always => bucket::Condition::Always,
            Condition::Absent => bucket::Condition::Absent,
            Condition::Matches(etag) => bucket::Condition::Matches(etag),
        };
        let bytes = Arc::new(content.to_vec());
        match self.request(Operation::Put { key: key.to_owned(), bytes, condition }).await? {
            Reply::Written(etag) => Ok(etag),
            other => Err(misfit(key, &other)),
        }
    }

    async fn put_concatenated(&self, key: &str, parts: &[&Bytes], condition: Condition) -> Result<String> {
        let whole: Vec<u8> = parts.iter().flat_map(|part| part.to_vec()).collect();
        self.put(key, &Bytes::of(&whole), condition).await
    }

    async fn copy(&self, source: &str, to: &str) -> Result<String> {
        match self.request(Operation::Copy { source: source.to_owned(), key: to.to_owned() }).await? {
            Reply::Written(etag) => Ok(etag),
            other => Err(misfit(to, &other)),
        }
    }

    async fn folders(&self, prefix: &str, cursor: Option<&str>) -> Result<Folders> {
        let listing = self.list(prefix, cursor).await?;
        let first = |key: &str| key.split_once('/').map(|(first, _)| format!("{first}/"));
        let mut names: Vec<String> = listing.objects.iter().filter_map(|object| first(&object.key)).collect();
        names.dedup();
        Ok(Folders { names, cursor: listing.cursor, store_time_ms: listing.store_time_ms })
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<Listing> {
        let operation = Operation::List { prefix: prefix.to_owned(), cursor: cursor.map(str::to_owned) };
        match self.request(operation).await? {
            Reply::Listing(page, cursor, store_time_ms) => {
                Ok(Listing { objects: page.into_iter().map(object).collect(), cursor, store_time_ms })
            }
            other => Err(misfit(prefix, &other)),
        }
    }

    async fn delete(&self, keys: &[String]) -> Result<Vec<(String, Error)>> {
        self.request(Operation::Delete { keys: keys.to_vec() }).await.map(|_| Vec::new())
    }
}

impl Clock for ProcessWorld {
    fn now_ms(&self) -> u64 {
        self.host.wall_clock_ms(self.simulation.scheduler.now_ms())
    }

    fn elapsed_ms(&self) -> u64 {
        self.simulation.scheduler.now_ms()
    }

    async fn sleep(&self, duration_ms: u64) {
        self.simulation.scheduler.sleep(duration_ms).await;
    }
}

impl Random for ProcessWorld {
    fn bytes(&self, length: u32) -> Vec<u8> {
        (0..length).map(|_| self.simulation.scheduler.chance().to_le_bytes()[0]).collect()
    }
}

impl Replica for ProcessWorld {
    fn known(&self, partitions: &[String]) -> Result<Vec<Option<String>>> {
        let names: Vec<_> =
            partitions.iter().map(|name| PartitionName::parse(name).expect("a partition of the protocol")).collect();
        self.store().known(&names).map_err(|error| from_store(&error))
    }

    async fn cached(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let content = self.store().cached(key).map_err(|error| from_store(&error))?;
        Ok(content.map(|content| content::read_all(&*content, READ_BYTES_MAX).expect("it is in memory or on disk")))
    }

    async fn cache(&self, key: &str, bytes: &[u8]) -> Result<()> {
        self.store().cache(key, &content::in_memory(bytes)).map_err(|error| from_store(&error))
    }
}

impl Holders for ProcessWorld {
    fn current(&self) -> Holder {
        Holder {
            host: format!("host-{}", self.host.number),
            boot_id: self.host.boot_id(),
            pid_namespace: "4026531836".to_owned(),
            pid: Host::pid_of(self.process),
            process_start: self.process,
            command: "peat".to_owned(),
        }
    }

    fn is_dead(&self, holder: &Holder) -> bool {
        holder.boot_id == self.host.boot_id() && !self.host.is_alive(holder.process_start)
    }
}

impl Progress for ProcessWorld {
    fn report(&self, _message: &str, _done: u64, _total: Option<u64>, _unit: Unit) {}
}

#[async_trait]
impl ports::Clock for ProcessWorld {
    fn now_ms(&self) -> u64 {
        Clock::now_ms(self)
    }

    fn elapsed_ms(&self) -> u64 {
        Clock::elapsed_ms(self)
    }

    async fn sleep(&self, duration: Duration) {
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.simulation.scheduler.sleep(duration_ms).await;
    }
}

impl ports::Random for ProcessWorld {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill_with(|| self.simulation.scheduler.chance().to_le_bytes()[0]);
    }
}

fn object(listed: Listed) -> Object {
    Object { key: listed.key, size: listed.size, etag: listed.etag, modified_ms: listed.modified_ms }
}

fn misfit(subject: &str, reply: &Reply) -> Error {
    Error::new(ErrorKind::Corrupt, subject, format!("{subject}: the store answered {reply:?}"))
}

fn from_store(error: &StoreError) -> Error {
    Error::new(ErrorKind::Exhausted, "local store", error.to_string())
}
