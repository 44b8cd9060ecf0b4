//! What the protocol needs of the world: the semantics of `peat:host/objects`, `replica`, `holders`, `clock`, `random` and
//! `progress`, as traits. Content is an abstract handle: its bytes need not pass through this crate.
//!
//! Single-threaded by intent: no future here is `Send`. Nothing else of the world is used (no file, no clock, no spawn).
#![allow(async_fn_in_trait, reason = "callers are generic; the futures stay on one thread by design")]

use crate::error::Result;

/// Immutable bytes behind a handle.
pub trait Blob {
    /// Length in bytes.
    fn size(&self) -> u64;
    /// Bytes from `offset`: fewer than `length` only at the end; at most 1 MiB a call.
    async fn read(&self, offset: u64, length: u32) -> Result<Vec<u8>>;
    /// A view of a part, without a copy.
    fn slice(&self, offset: u64, length: u64) -> Result<Self>
    where
        Self: Sized;
}

/// One object of a listing or answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Relative to the store's scope.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Opaque; passed back as it came.
    pub etag: String,
    /// By the store's clock, milliseconds since the Unix epoch.
    pub modified_ms: u64,
}

/// Answer of a conditional read.
#[derive(Debug)]
pub enum Lookup<B> {
    /// The object and its bytes.
    Found {
        /// What it is.
        object: Object,
        /// Its bytes as of that ETag.
        content: B,
        /// The store's clock at this answer.
        store_time_ms: u64,
    },
    /// It still has the ETag that was asked against.
    NotModified,
}

/// When a write may happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Whatever is there.
    Always,
    /// Only when nothing is there.
    Absent,
    /// Only when the object has this ETag.
    Matches(String),
}

/// Part of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// A page of keys, sorted.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// At most 1,000.
    pub objects: Vec<Object>,
    /// To go on, when there is more.
    pub cursor: Option<String>,
    /// The store's clock at this answer.
    pub store_time_ms: u64,
}

/// A page of first segments of keys.
#[derive(Debug, Clone, Default)]
pub struct Folders {
    /// As `namespace/`.
    pub names: Vec<String>,
    /// To go on, when there is more.
    pub cursor: Option<String>,
    /// The store's clock at this answer.
    pub store_time_ms: u64,
}

/// The object store, scoped.
pub trait ObjectStore {
    /// Its content handles.
    type Blob: Blob;
    /// A blob of these bytes.
    async fn blob(&self, bytes: &[u8]) -> Result<Self::Blob>;
    /// What it is, for a person.
    fn description(&self) -> String;
    /// `not-found` when there is no such object.
    async fn get(&self, key: &str, unless_etag: Option<&str>) -> Result<Lookup<Self::Blob>>;
    /// Parts of one object, in order.
    async fn get_ranges(&self, key: &str, ranges: &[Range]) -> Result<Vec<Self::Blob>>;
    /// Answers the new ETag. Not cancel safe: dropped, it may or may not have been applied.
    async fn put(&self, key: &str, content: &Self::Blob, condition: Condition) -> Result<String>;
    /// The same with the bytes of `parts` one after the other.
    async fn put_concatenated(&self, key: &str, parts: &[&Self::Blob], condition: Condition) -> Result<String>;
    /// Copies an object inside the store. `conflict` when `to` exists.
    async fn copy(&self, source: &str, to: &str) -> Result<String>;
    /// The first segments of the keys that begin with `prefix`, each with its "/", and how to go on. Sorted, once each.
    async fn folders(&self, prefix: &str, cursor: Option<&str>) -> Result<Folders>;
    /// Keys that begin with `prefix`, in order.
    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<Listing>;
    /// Deletes without condition; answers what failed.
    async fn delete(&self, keys: &[String]) -> Result<Vec<(String, crate::error::Error)>>;
}

/// Time.
pub trait Clock {
    /// Wall clock, milliseconds since the Unix epoch; never trusted for safety.
    fn now_ms(&self) -> u64;
    /// Monotonic, running on while suspended.
    fn elapsed_ms(&self) -> u64;
    /// Waits.
    async fn sleep(&self, duration_ms: u64);
}

/// Randomness.
pub trait Random {
    /// So many secure random bytes.
    fn bytes(&self, length: u32) -> Vec<u8>;
}

/// What this machine remembers of the datastore.
pub trait Replica {
    /// For each partition the version last taken over.
    fn known(&self, partitions: &[String]) -> Result<Vec<Option<String>>>;
    /// Something kept earlier; may be gone at any time.
    async fn cached(&self, key: &str) -> Result<Option<Vec<u8>>>;
    /// Keeps it.
    async fn cache(&self, key: &str, content: &[u8]) -> Result<()>;
}

/// A process that may hold leases.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Holder {
    /// Host name, for people.
    pub host: String,
    /// Changes with every boot.
    pub boot_id: String,
    /// Containers of one machine share a boot id but not their process ids.
    pub pid_namespace: String,
    /// Process id.
    pub pid: u32,
    /// Start of the process in clock ticks since boot.
    pub process_start: u64,
    /// What runs, for people.
    pub command: String,
}

/// Who holds leases.
pub trait Holders {
    /// This process.
    fn current(&self) -> Holder;
    /// True only when it is certain.
    fn is_dead(&self, holder: &Holder) -> bool;
}

/// What progress counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Items,
    /// Bytes.
    Bytes,
}

/// How far work has come.
pub trait Progress {
    /// Cheap; may be dropped.
    fn report(&self, message: &str, done: u64, total: Option<u64>, unit: Unit);
}

/// All of it: what a [`crate::Chain`] works in.
pub trait World: ObjectStore + Clock + Random + Replica + Holders + Progress {}

impl<T: ObjectStore + Clock + Random + Replica + Holders + Progress> World for T {}
