//! A datastore extension: one trait an interface of `peat:datastore`, and
//! [`export_datastore!`](crate::export_datastore).
//!
//! [`Capabilities`] and [`Sync`] are required, the others optional. Every call comes to a fresh value of the author's
//! type, made by [`Datastore::open`]: nothing is kept between calls but what is in the store, in the replica's cache or
//! in the `state` of a lease.

#![allow(async_fn_in_trait, reason = "a guest has one thread: its futures need no Send")]

mod export;

#[doc(hidden)]
pub use export::{Chosen, Exported};

pub use crate::bindings::datastore::exports::peat::datastore::capabilities::{
    Description, Features, Finding, Profile, Verdict,
};
pub use crate::bindings::datastore::exports::peat::datastore::sync::{
    DeltaMode, Depth, PartitionDelta, PullPage, PullRequest, PulledEntry, PushRequest, Receipt,
};
pub use crate::bindings::datastore::peat::datastore::types::{Entry, Lease, NewEntry, VersionReference};
pub use crate::bindings::host::peat::host::data::{Lifetime, Tag};
pub use crate::bindings::hydration::exports::peat::datastore::hydration::Wanted;
pub use crate::bindings::locks::exports::peat::datastore::locks::{AcquireRequest, Status, StatusPage, Waiter};
pub use crate::bindings::maintenance::exports::peat::datastore::maintenance::{
    CheckPage, CheckRequest, CollectRequest, Collected, Damage, DamagedVersion, KnownEntry, Part, RepairRequest,
    Repaired, Room, RoomPage, Supplied,
};
pub use crate::bindings::namespaces::exports::peat::datastore::namespaces::{
    Amount, FoldConflict, Namespace, Page as NamespacePage, State as NamespaceState, Step,
};

use crate::Error;
use crate::content::Blob;

/// What a datastore extension may ask of its host.
pub mod host {
    pub use crate::bindings::host::peat::host::holders::{Holder, current, is_dead};
    pub use crate::bindings::host::peat::host::objects::{
        Condition, Failure, Found, Listing, Lookup, Object, ObjectStore, Range,
    };
    pub use crate::bindings::host::peat::host::replica::{cache, cached, known};
    pub use crate::bindings::host::peat::host::{bucket, directory};
}

/// The author's type: made anew for every call.
pub trait Datastore: Sized {
    /// Reads the settings. Makes no request to the store.
    async fn open() -> Result<Self, Error>;
}

/// Required. What this datastore is and whether the store under it can be trusted.
pub trait Capabilities: Datastore {
    /// No request to the store. `features` is filled in by the export macro: leave it empty.
    async fn describe(&self) -> Result<Description, Error>;
    /// Creates what is missing and probes the store. Safe to repeat and to do at once. Fails closed.
    async fn setup(&self, namespace: String) -> Result<Profile, Error>;
    /// Probes the store again, changing nothing but scratch objects.
    async fn verify(&self, namespace: String) -> Result<Profile, Error>;
}

/// Required. Index and content in both directions.
pub trait Sync: Datastore {
    /// What differs from what the replica knows, one page.
    async fn pull(&self, request: PullRequest) -> Result<PullPage, Error>;
    /// Commits one partition, all or nothing. An `Ok` is as durable as the store promises.
    async fn push(&self, request: PushRequest) -> Result<Receipt, Error>;
}

/// Optional. Leases per partition.
pub trait Locks: Datastore {
    /// Acquires in the order given; on failure those already acquired are released.
    async fn acquire(&self, request: AcquireRequest) -> Result<Vec<Lease>, Error>;
    /// The lease of the whole namespace.
    async fn acquire_structural(&self, namespace: String, ttl_ms: u64, wait_ms: u64) -> Result<Lease, Error>;
    /// `lease-lost` when it is somebody else's by now.
    async fn renew(&self, namespace: String, lease: Lease) -> Result<Lease, Error>;
    /// Gives up without a commit.
    async fn release(&self, namespace: String, lease: Lease) -> Result<(), Error>;
    /// Who holds and who waits; takes no lock.
    async fn inspect(&self, namespace: String, cursor: Option<String>) -> Result<StatusPage, Error>;
    /// Ends another holder's lease, fenced.
    async fn break_lease(&self, namespace: String, partition: String, nonce: String) -> Result<(), Error>;
}

/// Optional. Content on demand.
pub trait Hydration: Datastore {
    /// One result per wanted content, in order.
    async fn fetch(&self, namespace: String, wanted: Vec<Wanted>) -> Result<Vec<Result<Blob, Error>>, Error>;
}

/// Optional. Room and health.
pub trait Maintenance: Datastore {
    /// How much room the partitions take up, one page. Takes no lock.
    async fn measure(&self, namespace: String, cursor: Option<String>) -> Result<RoomPage, Error>;
    /// Lets what is over leave the index, and deletes what has left it. One answer per partition, in order.
    async fn collect(&self, request: CollectRequest) -> Result<Vec<Collected>, Error>;
    /// What is damaged, one page. Takes no lock and changes nothing.
    async fn check(&self, request: CheckRequest) -> Result<CheckPage, Error>;
    /// Makes again what is damaged in one partition.
    async fn repair(&self, request: RepairRequest) -> Result<Repaired, Error>;
}

/// Optional. Namespaces of one store.
pub trait Namespaces: Datastore {
    /// One page of them.
    async fn list(&self, cursor: Option<String>) -> Result<NamespacePage, Error>;
    /// Makes one.
    async fn create(
        &self,
        name: String,
        parent: Option<String>,
        expires_at_ms: Option<u64>,
    ) -> Result<Namespace, Error>;
    /// Moves a namespace that may be busy, one repeatable step a call.
    async fn migrate(&self, source: String, target: String, state: Option<String>) -> Result<Step, Error>;
    /// Commits what was committed in a run scope into its parent, one repeatable step a call.
    async fn fold(&self, name: String, state: Option<String>) -> Result<Step, Error>;
    /// Deletes a namespace, one repeatable step a call.
    async fn delete(&self, name: String, in_use: bool, state: Option<String>) -> Result<Step, Error>;
}
