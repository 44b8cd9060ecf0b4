//! The local store: every machine's replica of a shared datastore, or the datastore itself when `local` is chosen.

use std::sync::Arc;

use crate::content::SharedContent;
use crate::digest::Digest;
use crate::entry::{ChangeSet, Entry, VersionReference};
use crate::identifiers::{CommitId, DataName, PartitionName, Version};

use super::{PartitionDelta, PushReceipt};

/// Why the local store refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Written by a newer Peat.
    #[error("the local store {path} has format {found}, this peat knows up to {known}; use a newer peat")]
    NewerFormat {
        /// The database.
        path: String,
        /// Its format.
        found: u32,
        /// The newest format this build knows.
        known: u32,
    },
    /// The directory cannot be written.
    #[error("the local store {path} cannot be written: {reason}; check its permissions or set PEAT_HOME")]
    ReadOnly {
        /// The directory or file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// The disk or quota is full. What was stored before is intact.
    #[error("there is no room left for the local store {path}: {reason}; free some space and run the command again")]
    Full {
        /// The directory or file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// Something stored is not what was written.
    #[error("the local store {path} is damaged: {subject}: {reason}")]
    Corrupt {
        /// The database or file.
        path: String,
        /// What is damaged.
        subject: String,
        /// How, and what to do about it.
        reason: String,
    },
    /// Another process kept the database locked for too long.
    #[error("the local store {path} was locked by another process for more than {waited_ms} ms")]
    Busy {
        /// The database.
        path: String,
        /// How long was waited.
        waited_ms: u64,
    },
    /// Something does not fit what is stored (a commit that is not pending, …): a bug, reported rather than guessed at.
    #[error("the local store {path}: {reason}")]
    Inconsistent {
        /// The database.
        path: String,
        /// What does not fit.
        reason: String,
    },
    /// A receipt of the datastore says something else than what is known of it here.
    #[error("a receipt contradicts the local store {path}: {reason}")]
    Contradicted {
        /// The database.
        path: String,
        /// What of it.
        reason: String,
    },
    /// Its data was copied elsewhere since the process began, or by another checkout of the repository. Nothing was written.
    #[error(
        "this repository uses {to} now, and what {path} held was copied there: nothing is written here any more. Run the \
         command again; where peat.yaml still names the datastore that was left, bring the new peat.yaml first"
    )]
    Left {
        /// The database.
        path: String,
        /// What is used instead.
        to: String,
    },
    /// Anything else the system said.
    #[error("the local store {path}: {reason}")]
    Io {
        /// The file.
        path: String,
        /// What failed.
        reason: String,
    },
}

/// Where a version stands, seen from this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredState {
    /// Committed, content here.
    Here,
    /// Committed, content only in the datastore.
    Remote,
    /// Produced here, not yet committed to the datastore. Its version is 0 until then.
    Uncommitted,
}

/// A version as the local store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its partition.
    pub partition: PartitionName,
    /// The entry.
    pub entry: Entry,
    /// Where it stands.
    pub state: StoredState,
}

/// Which entries to list.
#[derive(Debug, Clone, Default)]
pub struct EntryFilter {
    /// Only of this partition.
    pub partition: Option<PartitionName>,
    /// Only this name.
    pub name: Option<DataName>,
    /// Only names that begin so.
    pub name_prefix: Option<String>,
    /// Only the newest version of each name that is not of a failed run.
    pub latest_only: bool,
    /// Leave out what is not committed: the newest version is then the newest committed one.
    pub committed_only: bool,
    /// Leave out the host's own items (run records and logs).
    pub public_only: bool,
    /// At most so many, after `after` (partition, name), in order of partition, name and falling version.
    /// A name is never split: a page ends early, or holds one name whole.
    pub limit: Option<u32>,
    /// Where the previous page ended.
    pub after: Option<(PartitionName, DataName)>,
}

/// Which content that is not here to list.
#[derive(Debug, Clone, Default)]
pub struct MissingFilter {
    /// Only of this partition.
    pub partition: Option<PartitionName>,
    /// Only what a method reads first: the newest committed version of each name that is not of a failed run, without the
    /// host's own items.
    pub newest_only: bool,
    /// At most so many, after `after`.
    pub limit: Option<u32>,
    /// Where the previous page ended.
    pub after: Option<MissingPosition>,
}

/// Place of an entry in a listing of what is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingPosition {
    /// Its partition.
    pub partition: PartitionName,
    /// Where its content lies.
    pub location: String,
    /// Its name.
    pub name: DataName,
    /// Its version.
    pub version: Version,
}

/// How much content is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Missing {
    /// Entries without content.
    pub entries: u64,
    /// Bytes of it; content that several entries share counts for each.
    pub bytes: u64,
}

/// A commit that is durable here and not known to be in the datastore.
#[derive(Debug, Clone)]
pub struct PendingCommit {
    /// What it changes, content included.
    pub changes: ChangeSet,
    /// When it was staged, wall clock in milliseconds.
    pub staged_at_ms: u64,
}

/// Bytes on their way to becoming content: in memory while small, in a file when not.
pub trait SpoolWriter: Send {
    /// Adds bytes. Blocks on the disk at most.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError>;
    /// Ends it. The content's file, if any, goes with its last handle unless it was stored.
    fn finish(self: Box<Self>) -> Result<SharedContent, StoreError>;
}

/// Makes content of bytes that arrive piece by piece.
pub trait Spool: Send + Sync {
    /// Begins a new content.
    fn begin(&self) -> Result<Box<dyn SpoolWriter>, StoreError>;
}

/// What a datastore extension may remember on this machine.
pub trait Replica: Send + Sync {
    /// For each partition the version last applied or confirmed.
    fn known(&self, partitions: &[PartitionName]) -> Result<Vec<Option<String>>, StoreError>;
    /// Something kept earlier under this key; may be gone at any time.
    fn cached(&self, key: &str) -> Result<Option<SharedContent>, StoreError>;
    /// Keeps it; least recently used goes first. An empty content forgets what was kept.
    fn cache(&self, key: &str, content: &SharedContent) -> Result<(), StoreError>;
}

/// The local store. Synchronous: every call is a short transaction. Several processes use one store at once. What a call
/// that answered ok has written survives the death of the process and of the machine.
pub trait LocalStore: Spool + Replica {
    /// `local` datastore: assigns versions (newest of the name + 1), applies version caps, and commits, in one
    /// transaction. Repeating a commit id answers the same receipt and changes nothing.
    fn commit(&self, changes: &ChangeSet) -> Result<PushReceipt, StoreError>;

    /// Shared datastore: keeps changes durably as pending, in one transaction with their content.
    fn stage(&self, changes: &ChangeSet, now_ms: u64) -> Result<(), StoreError>;

    /// Commits that are staged and not confirmed, oldest first.
    fn pending(&self, partition: Option<&PartitionName>) -> Result<Vec<PendingCommit>, StoreError>;

    /// The datastore has the commit: its entries become committed ones, in one transaction. Harmless when repeated.
    /// `Contradicted`, and nothing is changed, when a version is another run's or has other content here.
    fn confirm(&self, commit: &CommitId, partition: &PartitionName, receipt: &PushReceipt) -> Result<(), StoreError>;

    /// Gives a pending commit up. Harmless when it is not there.
    fn discard(&self, commit: &CommitId) -> Result<(), StoreError>;

    /// Takes over one page of news, in one transaction. The partition's known version changes with the last page, which
    /// also makes it read; `changed` news make it unread.
    ///
    /// As all that can be brought again, a page may be lost when the machine (not the process) dies, and everything that
    /// was written after it with it; never something between two things that are there.
    fn apply(&self, delta: &PartitionDelta) -> Result<(), StoreError>;

    /// Takes over the news of a page, a piece after the other.
    fn apply_all(&self, deltas: &[PartitionDelta]) -> Result<(), StoreError> {
        deltas.iter().try_for_each(|delta| self.apply(delta))
    }

    /// Entries in order of partition, name and falling version; uncommitted ones first of their name.
    fn entries(&self, filter: &EntryFilter) -> Result<Vec<StoredEntry>, StoreError>;

    /// Content by digest; none when it is not on this machine. Bytes are checked before they are handed out.
    fn content(&self, digest: &Digest) -> Result<Option<SharedContent>, StoreError>;

    /// Keeps content that was fetched. `Corrupt` when it does not have that digest.
    fn keep(&self, digest: &Digest, content: &SharedContent) -> Result<(), StoreError> {
        self.keep_all(&[(*digest, SharedContent::clone(content))])
    }

    /// The same for several, in one transaction. As with `apply`, the machine may forget them.
    fn keep_all(&self, contents: &[(Digest, SharedContent)]) -> Result<(), StoreError>;

    /// Committed entries whose content is not here, in order of partition, location, name and version: what lies together
    /// in the datastore comes together. Costs what is missing, not what is here.
    fn missing(&self, filter: &MissingFilter) -> Result<Vec<StoredEntry>, StoreError>;

    /// How much is missing, of one partition or altogether.
    fn missing_total(&self, partition: Option<&PartitionName>) -> Result<Missing, StoreError>;

    /// Partitions that are known to have news which were not brought, sorted. Of those with no known version nothing but
    /// the name is here.
    fn unread(&self) -> Result<Vec<PartitionName>, StoreError>;

    /// The index of these partitions was brought as far as there is news of them.
    fn mark_read(&self, partitions: &[PartitionName]) -> Result<(), StoreError>;

    /// Forgets how far a partition is known, so that the next pull tells it whole. What is here stays.
    fn distrust(&self, partition: &PartitionName) -> Result<(), StoreError>;

    /// Partitions of which anything is known (be it that they exist) or pending, sorted.
    fn partitions(&self) -> Result<Vec<PartitionName>, StoreError>;

    /// `Left` where nothing is committed or staged any more, because the data went elsewhere.
    fn writable(&self) -> Result<(), StoreError>;

    /// A small value kept with the store (the store's profile, …), or none.
    fn note(&self, key: &str) -> Result<Option<String>, StoreError>;

    /// Keeps a small value with the store.
    fn set_note(&self, key: &str, value: &str) -> Result<(), StoreError>;

    /// Names removed by a commit or delta may have left content that nothing refers to: deletes it. Answers bytes freed.
    fn collect(&self) -> Result<u64, StoreError>;
}

impl<T: Spool + ?Sized> Spool for Arc<T> {
    fn begin(&self) -> Result<Box<dyn SpoolWriter>, StoreError> {
        (**self).begin()
    }
}

// Kept close to the trait: what an implementation needs to build receipts.
impl PushReceipt {
    /// A receipt of a commit made here, with no lease.
    pub fn local(entries: Vec<Entry>, removed: Vec<VersionReference>, version: String) -> Self {
        Self { entries, collected: Vec::new(), removed, version, lease: None }
    }
}
