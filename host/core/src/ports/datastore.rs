//! The shared datastore, as a datastore extension provides it.

use std::time::Duration;

use async_trait::async_trait;

use super::{CheckPage, CheckRequest, CollectRequest, Collected, ExtensionError, RepairRequest, Repaired, RoomPage};
use crate::content::SharedContent;
use crate::digest::Digest;
use crate::entry::{ChangeSet, Entry, VersionReference};
use crate::identifiers::{DataName, NamespaceName, PartitionName, Version};
use crate::lease::{Lease, LeasePage};
use crate::namespace::{Namespace, NamespacePage, NamespaceStep};

/// What the caller of a datastore does next. Mirrors `peat:host/errors`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Read again and retry.
    Conflict,
    /// It does not exist.
    NotFound,
    /// Not reachable; whether a write was applied is unknown.
    Unavailable {
        /// When the other side said to come back.
        retry_after: Option<Duration>,
    },
    /// Not granted or refused.
    Denied,
    /// The lease is gone; nothing of this run may be written.
    LeaseLost,
    /// Another holder kept the lease until the wait was over.
    Held,
    /// Bytes are not what they must be.
    Corrupt,
    /// Not done by this implementation.
    Unsupported,
    /// The settings must be changed.
    InvalidConfig,
    /// An argument is wrong.
    InvalidInput,
    /// A limit is used up.
    Exhausted,
    /// Asked to stop.
    Cancelled,
}

/// Why a datastore did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DatastoreError {
    /// It said so itself.
    #[error("{message}")]
    Refused {
        /// What to do next.
        kind: ErrorKind,
        /// What it is about.
        subject: String,
        /// For a person.
        message: String,
    },
    /// The extension did not get to answer.
    #[error(transparent)]
    Extension(#[from] ExtensionError),
}

/// Which optional interfaces can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DatastoreFeatures {
    /// Leases per partition.
    pub locks: bool,
    /// Content on demand.
    pub hydration: bool,
    /// Collection, compaction, checks.
    pub maintenance: bool,
    /// Namespaces can be listed, moved, folded.
    pub namespaces: bool,
}

/// How an examination of the store ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it must be.
    Passed,
    /// Not usable.
    Failed,
    /// Could not or need not be examined.
    Skipped,
}

/// One examination of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was examined.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was seen and what it means.
    pub detail: String,
}

/// What is known of the store after probing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreProfile {
    /// Identity of the datastore, the same for everybody who uses it.
    pub store_id: String,
    /// Format of what lies there.
    pub format_version: u32,
    /// What was examined.
    pub findings: Vec<Finding>,
}

/// Wanted leases.
#[derive(Debug, Clone)]
pub struct AcquireRequest {
    /// Sorted, without duplicates.
    pub partitions: Vec<PartitionName>,
    /// Time to live of each.
    pub ttl: Duration,
    /// How long to wait for others.
    pub wait: Duration,
    /// The caller has other leases of the namespace: it is refused (`Held`, of the partition
    /// [`PartitionName::structural`]) instead of waiting for whoever has the namespace, who waits for those.
    pub holds_others: bool,
}

/// How much of what is new a pull brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PullDepth {
    /// Which partitions have news. An extension may bring more.
    Partitions,
    /// Entries.
    #[default]
    Index,
    /// Entries with their content.
    Content,
}

/// What to bring to the local store.
#[derive(Debug, Clone, Default)]
pub struct PullRequest {
    /// None: the whole namespace.
    pub partitions: Option<Vec<PartitionName>>,
    /// Leases held on some of them.
    pub leases: Vec<Lease>,
    /// How much of what is new.
    pub depth: PullDepth,
    /// Where the previous page ended.
    pub cursor: Option<String>,
}

/// An entry of the datastore, perhaps with its bytes. The bytes were checked against the digest.
#[derive(Debug, Clone)]
pub struct PulledEntry {
    /// The entry.
    pub entry: Entry,
    /// Its content, when it came along.
    pub content: Option<SharedContent>,
}

/// How a delta changes what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeltaMode {
    /// There are news; no entries. `version` is remembered until the partition is pulled deeper.
    Changed,
    /// Entries are added.
    Extend,
    /// What is not named until the last page of this partition is gone.
    Replace,
}

/// News of one partition.
#[derive(Debug, Clone)]
pub struct PartitionDelta {
    /// Which.
    pub partition: PartitionName,
    /// Added to or instead of what is known.
    pub mode: DeltaMode,
    /// Known from now on, once the last page is stored.
    pub version: String,
    /// New or all entries, by mode.
    pub entries: Vec<PulledEntry>,
    /// Versions that left the index.
    pub removed: Vec<VersionReference>,
    /// More of this partition comes with the next page.
    pub continues: bool,
}

/// One page of news.
#[derive(Debug, Clone, Default)]
pub struct PullPage {
    /// What differs from what the local store knows.
    pub deltas: Vec<PartitionDelta>,
    /// To go on, when there is more.
    pub cursor: Option<String>,
    /// Partitions in the namespace, where known.
    pub partitions_total: Option<u64>,
}

/// One commit on its way to the datastore.
#[derive(Debug, Clone)]
pub struct PushRequest {
    /// What changes.
    pub changes: ChangeSet,
    /// The right to change it; none where the extension has no locks.
    pub lease: Option<Lease>,
    /// Give the lease up in the same write.
    pub release: bool,
    /// A commit with this id may have been pushed before: false only the first time it leaves this machine.
    pub may_be_repeated: bool,
}

/// A commit that is durable.
#[derive(Debug, Clone)]
pub struct PushReceipt {
    /// The appended entries with their versions, in order, but for the collected ones.
    pub entries: Vec<Entry>,
    /// Positions, rising, of appended entries that an earlier try committed and that have been collected since.
    pub collected: Vec<usize>,
    /// What left the index in this commit.
    pub removed: Vec<VersionReference>,
    /// Version of the partition after it.
    pub version: String,
    /// The lease to go on with; none after a release.
    pub lease: Option<Lease>,
}

impl PushReceipt {
    /// Of what was appended, what [`Self::entries`] is about.
    pub fn confirmed<'a, T: 'a>(&'a self, appended: impl IntoIterator<Item = T> + 'a) -> impl Iterator<Item = T> + 'a {
        let appended = appended.into_iter().enumerate();
        appended.filter(|(position, _)| self.collected.binary_search(position).is_err()).map(|(_, appended)| appended)
    }
}

/// Content wanted from the datastore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentRequest {
    /// Partition of the entry.
    pub partition: PartitionName,
    /// Data item.
    pub name: DataName,
    /// Version.
    pub version: Version,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content.
    pub digest: Digest,
    /// In the datastore's own words.
    pub location: String,
}

/// A shared datastore, bound to one namespace. Renewals of one lease and its release never overlap; all other calls may.
#[async_trait]
pub trait Datastore: Send + Sync {
    /// The name of the extension, for messages.
    fn name(&self) -> String;

    /// What it is and where, for a person.
    fn summary(&self) -> String;

    /// What it can do.
    fn features(&self) -> DatastoreFeatures;

    /// Creates what is missing and probes the store. Idempotent.
    async fn setup(&self) -> Result<StoreProfile, DatastoreError>;

    /// Probes the store again.
    async fn verify(&self) -> Result<StoreProfile, DatastoreError>;

    /// Acquires leases in order; on failure those already acquired are released.
    async fn acquire(&self, request: &AcquireRequest) -> Result<Vec<Lease>, DatastoreError>;

    /// Prolongs a lease. Not cancel safe: dropped, the lease's state is unknown.
    async fn renew(&self, lease: &Lease) -> Result<Lease, DatastoreError>;

    /// Gives a lease up without a commit.
    async fn release(&self, lease: &Lease) -> Result<(), DatastoreError>;

    /// Acquires the lease of the whole namespace: waits until nobody holds a partition, and keeps everybody from acquiring
    /// one.
    async fn acquire_structural(&self, _ttl: Duration, _wait: Duration) -> Result<Lease, DatastoreError> {
        Err(unsupported("no lock of the whole namespace"))
    }

    /// A page of leases that somebody holds. Takes no lock.
    async fn inspect_leases(&self, _cursor: Option<&str>) -> Result<LeasePage, DatastoreError> {
        Err(unsupported("no leases that could be listed"))
    }

    /// Ends the lease with this nonce: its holder cannot commit afterwards. `Conflict` when it is not there any more. Takes no
    /// lock.
    async fn break_lease(&self, _partition: &PartitionName, _nonce: &str) -> Result<(), DatastoreError> {
        Err(unsupported("no leases that could be ended"))
    }

    /// How much room the partitions take up, a page of them. Takes no lock.
    async fn measure(&self, _cursor: Option<&str>) -> Result<RoomPage, DatastoreError> {
        Err(unsupported("no measure of its room"))
    }

    /// Lets what is over leave the index of some partitions, and deletes what has left it; one answer each, in order. Takes
    /// their leases by itself. Not cancel safe: dropped, a lease may last for its time to live.
    async fn collect(&self, _request: &CollectRequest) -> Result<Vec<Collected>, DatastoreError> {
        Err(unsupported("no collection"))
    }

    /// Whether everything reachable is there and is what was written, some seconds of it. Takes no lock, changes nothing.
    async fn check(&self, _request: &CheckRequest) -> Result<CheckPage, DatastoreError> {
        Err(unsupported("no check"))
    }

    /// Makes again what is damaged in one partition. May be repeated. Not cancel safe: dropped, a lease may last for its time to
    /// live.
    async fn repair(&self, _request: &RepairRequest) -> Result<Repaired, DatastoreError> {
        Err(unsupported("no repair"))
    }

    /// A page of the namespaces of the store. Takes no lock.
    async fn list_namespaces(&self, _cursor: Option<&str>) -> Result<NamespacePage, DatastoreError> {
        Err(unsupported("no namespaces that could be listed"))
    }

    /// Makes a namespace; with a parent a run scope of it. `Conflict` when the name is taken.
    async fn create_namespace(
        &self,
        _name: &NamespaceName,
        _parent: Option<&NamespaceName>,
        _expires_at_ms: Option<u64>,
    ) -> Result<Namespace, DatastoreError> {
        Err(unsupported("no namespaces that could be made"))
    }

    /// One step of the move of a namespace, which may be busy, to another name. Every step may be repeated, by anybody.
    async fn migrate_namespace(
        &self,
        _source: &NamespaceName,
        _target: &NamespaceName,
        _state: Option<String>,
    ) -> Result<NamespaceStep, DatastoreError> {
        Err(unsupported("no namespaces that could be moved"))
    }

    /// One step of committing a run scope into its parent. Every step may be repeated; nothing is done twice.
    async fn fold_namespace(
        &self,
        _name: &NamespaceName,
        _state: Option<String>,
    ) -> Result<NamespaceStep, DatastoreError> {
        Err(unsupported("no run scopes"))
    }

    /// One step of the deletion of a namespace; of one that is `in_use` only where that is said. Every step may be repeated.
    async fn delete_namespace(
        &self,
        _name: &NamespaceName,
        _in_use: bool,
        _state: Option<String>,
    ) -> Result<NamespaceStep, DatastoreError> {
        Err(unsupported("no namespaces that could be deleted"))
    }

    /// News since what the local store knows.
    async fn pull(&self, request: &PullRequest) -> Result<PullPage, DatastoreError>;

    /// Commits to one partition, whole or not at all. Repeating it with the same commit id is harmless.
    async fn push(&self, request: &PushRequest) -> Result<PushReceipt, DatastoreError>;

    /// Brings content; one result per request, in order, each checked against its digest.
    async fn fetch(
        &self,
        wanted: &[ContentRequest],
    ) -> Result<Vec<Result<SharedContent, DatastoreError>>, DatastoreError>;
}

fn unsupported(what: &str) -> DatastoreError {
    DatastoreError::Refused {
        kind: ErrorKind::Unsupported,
        subject: "locks".to_owned(),
        message: format!("this datastore has {what}"),
    }
}
