//! What callers pass in and get back: the records of `peat:datastore/types` and its interfaces, generic over the blob.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::ports::Holder;

/// How long a version is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Lifetime {
    /// Until deleted or over the cap.
    #[default]
    Infinite,
    /// So many milliseconds after it was written.
    DurationMs(u64),
    /// Until the run ends: never committed to a shared store.
    Run,
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    /// What it says something about.
    pub name: String,
    /// What it says.
    pub value: String,
}

/// Everything about a version but its number, content and place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Data name.
    pub name: String,
    /// Bytes of content.
    pub size: u64,
    /// SHA-256 of the content, hexadecimal.
    pub digest: String,
    /// Media type.
    pub content_type: String,
    /// How long it is kept.
    pub lifetime: Lifetime,
    /// The author's tags.
    pub tags: Vec<Tag>,
    /// Wall clock of the writer, milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// The run that wrote it.
    pub run_id: String,
    /// Written by a run that failed.
    pub of_failed_run: bool,
}

/// A committed version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub description: Description,
    /// Its number.
    pub version: u64,
    /// Where its content is, in words only this crate understands.
    pub location: String,
}

/// A version about to be committed.
#[derive(Debug)]
pub struct NewEntry<B> {
    /// What it is.
    pub description: Description,
    /// Its bytes.
    pub content: B,
    /// Keep at most so many versions of this name.
    pub version_cap: Option<u32>,
    /// The number it keeps, of the datastore it comes from.
    pub version: Option<u64>,
}

/// One committed version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VersionReference {
    /// Data name.
    pub name: String,
    /// Version.
    pub version: u64,
}

/// A time-bounded exclusive right on a partition or the namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The partition, or [`crate::keys::STRUCTURAL`].
    pub partition: String,
    /// Fencing token.
    pub epoch: u64,
    /// Unique per acquisition.
    pub nonce: String,
    /// Time to live after each renewal.
    pub ttl_ms: u64,
    /// ETag and root record as last written: what makes the next call need no read.
    pub state: Vec<u8>,
}

/// Wanted leases.
#[derive(Debug, Clone)]
pub struct AcquireRequest {
    /// The namespace.
    pub namespace: String,
    /// Sorted, without duplicates.
    pub partitions: Vec<String>,
    /// Time to live of each.
    pub ttl_ms: u64,
    /// How long to wait for others.
    pub wait_ms: u64,
    /// The caller has other leases of the namespace already: whoever has the structural lease waits for those, so it is
    /// refused (`held`, with [`crate::keys::STRUCTURAL`] as the subject) instead of waiting for that one.
    pub holds_others: bool,
}

/// Somebody who waits for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiter {
    /// Who.
    pub holder: Holder,
    /// Since when, by the store's clock.
    pub since_ms: u64,
}

/// One lease as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseStatus {
    /// What it is for.
    pub partition: String,
    /// Fencing token.
    pub epoch: u64,
    /// Unique per acquisition.
    pub nonce: String,
    /// Who holds it.
    pub holder: Holder,
    /// Time to live.
    pub ttl_ms: u64,
    /// By the holder's clock.
    pub acquired_at_ms: u64,
    /// By the store's clock.
    pub renewed_at_ms: u64,
    /// Nobody renews it: the next who wants it takes it over.
    pub stale: bool,
    /// Who waits, oldest first.
    pub queue: Vec<Waiter>,
}

/// A page of leases.
#[derive(Debug, Clone, Default)]
pub struct StatusPage {
    /// The leases.
    pub leases: Vec<LeaseStatus>,
    /// To go on.
    pub cursor: Option<String>,
}

/// What to bring to the replica.
#[derive(Debug, Clone)]
pub struct PullRequest {
    /// The namespace.
    pub namespace: String,
    /// None: all.
    pub partitions: Option<Vec<String>>,
    /// Leases held on some of them.
    pub leases: Vec<Lease>,
    /// How much of what is new.
    pub depth: Depth,
    /// Where the previous page ended.
    pub cursor: Option<String>,
}

impl PullRequest {
    /// The caller's lease of this partition.
    pub(crate) fn lease_of(&self, partition: &str) -> Option<&Lease> {
        self.leases.iter().find(|lease| lease.partition == partition)
    }

    /// Nothing is asked for but what the caller has leased.
    pub(crate) fn is_leased(&self) -> bool {
        let partitions = self.partitions.as_deref().unwrap_or_default();
        !partitions.is_empty() && partitions.iter().all(|partition| self.lease_of(partition).is_some())
    }
}

/// How much of what is new a pull brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Which partitions have news.
    Partitions,
    /// Entries, and what is inlined.
    Index,
    /// Entries with their content.
    Content,
}

/// An entry, perhaps with its bytes.
#[derive(Debug)]
pub struct PulledEntry<B> {
    /// The entry.
    pub entry: Entry,
    /// Its content.
    pub content: Option<B>,
}

/// How a delta changes what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeltaMode {
    /// There are news; no entries.
    Changed,
    /// Added to what is known.
    Extend,
    /// First page of the whole truth.
    Replace,
}

/// News of one partition.
#[derive(Debug)]
pub struct PartitionDelta<B> {
    /// Which.
    pub partition: String,
    /// Added to or instead of what is known.
    pub mode: DeltaMode,
    /// Known once the last page is stored.
    pub version: String,
    /// New or all entries.
    pub entries: Vec<PulledEntry<B>>,
    /// What left the index.
    pub removed: Vec<VersionReference>,
    /// More of this partition comes with the next page.
    pub continues: bool,
}

/// One page of news.
#[derive(Debug)]
pub struct PullPage<B> {
    /// What differs.
    pub deltas: Vec<PartitionDelta<B>>,
    /// To go on.
    pub cursor: Option<String>,
    /// Partitions in the namespace, where known.
    pub partitions_total: Option<u64>,
}

/// One commit.
#[derive(Debug)]
pub struct PushRequest<B> {
    /// The namespace.
    pub namespace: String,
    /// The partition.
    pub partition: String,
    /// The right to change it.
    pub lease: Option<Lease>,
    /// Identity of the commit.
    pub commit_id: String,
    /// A commit with this id may have been pushed before.
    pub may_be_repeated: bool,
    /// New versions, at most one of a name.
    pub append: Vec<NewEntry<B>>,
    /// Versions that leave the index.
    pub remove: Vec<VersionReference>,
    /// Give the lease up in the same write.
    pub release: bool,
}

/// A commit that is durable.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// The appended entries, in order, but for the collected ones.
    pub entries: Vec<Entry>,
    /// Positions of appended entries that an earlier try committed and that have been collected since.
    pub collected: Vec<usize>,
    /// What left the index.
    pub removed: Vec<VersionReference>,
    /// What the replica knows once it took this over.
    pub version: String,
    /// The lease to go on with.
    pub lease: Option<Lease>,
}

/// Content wanted from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Partition of the entry.
    pub partition: String,
    /// Data name.
    pub name: String,
    /// Version.
    pub version: u64,
    /// Bytes.
    pub size: u64,
    /// SHA-256, hexadecimal.
    pub digest: String,
    /// As the entry says.
    pub location: String,
}

/// How an examination ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it must be.
    Passed,
    /// Not usable.
    Failed,
    /// Not examined.
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

/// What is known of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Identity of the datastore; empty when nothing is there yet.
    pub store_id: String,
    /// Format of what lies there.
    pub format_version: u32,
    /// What was examined.
    pub findings: Vec<Finding>,
}

/// One result for each wanted content.
pub type Fetched<B> = Vec<std::result::Result<B, Error>>;

/// Whether a namespace may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamespaceState {
    /// It may.
    Active,
    /// A move from there fills it; not before that is done.
    Filling(String),
    /// It is on its way there: it is read, and not written.
    Moving(String),
    /// It is there now.
    Moved(String),
    /// A run scope is committed into its parent.
    Folding,
    /// Everything in it is being deleted.
    Deleting,
}

/// A namespace of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Whether it may be used.
    pub state: NamespaceState,
    /// By the clock of whoever made it.
    pub created_at_ms: u64,
    /// A run scope's.
    pub parent: Option<String>,
    /// A run scope is collected after this time.
    pub expires_at_ms: Option<u64>,
    /// That time is over, by the store's clock.
    pub expired: bool,
}

/// A page of namespaces.
#[derive(Debug, Clone, Default)]
pub struct NamespacePage {
    /// The namespaces, by name.
    pub namespaces: Vec<Namespace>,
    /// To go on.
    pub cursor: Option<String>,
}

/// How much of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    /// Partitions.
    pub partitions: u64,
    /// Committed versions; of a deletion, objects of the store.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl std::ops::AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.partitions = self.partitions.saturating_add(other.partitions);
        self.items = self.items.saturating_add(other.items);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// A version of a run scope that got another number in the parent, because somebody else committed the name meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldConflict {
    /// Of both.
    pub partition: String,
    /// Data name.
    pub name: String,
    /// In the scope.
    pub version: u64,
    /// In the parent.
    pub folded_as: u64,
}

/// Where a move, a fold or a deletion stands after one step.
#[derive(Debug, Clone)]
pub struct Step {
    /// To go on with. Whoever lost it begins without: everything that matters is in the store.
    pub state: String,
    /// There is nothing more to do.
    pub done: bool,
    /// What is being done, for a person.
    pub message: String,
    /// Somebody must give a lease up before it goes on.
    pub waiting: bool,
    /// What is done.
    pub completed: Amount,
    /// What there is to do, once that is known.
    pub total: Option<Amount>,
    /// What a fold found, in this step.
    pub conflicts: Vec<FoldConflict>,
}
