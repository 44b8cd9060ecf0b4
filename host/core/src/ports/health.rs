//! Damage of a shared datastore: what a check finds, and what a repair needs and does.

use std::time::Duration;

use crate::content::SharedContent;
use crate::digest::Digest;
use crate::entry::{Entry, VersionReference};
use crate::identifiers::{DataName, PartitionName, Version};

/// Most contents of one [`RepairRequest`].
pub const REPAIR_CONTENTS_MAX: usize = 4_096;

/// Most entries of the local index in one [`RepairRequest`].
pub const REPAIR_INDEX_MAX: usize = 100_000;

/// Most of them with content.
pub const REPAIR_INDEX_CONTENTS_MAX: usize = 20_000;

/// Content up to so many bytes comes along with an entry of the local index: it may have been in the index that is lost.
pub const INDEX_CONTENT_BYTES_MAX: u64 = 4 * 1024;

/// Which part of the store is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamagedPart {
    /// What lies above the partitions.
    Root,
    /// What a partition begins with.
    Head,
    /// A part of its index.
    Segment,
    /// Content of versions.
    Content,
    /// What is counted is not what there is.
    Totals,
}

/// A version without sound content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedVersion {
    /// Which.
    pub reference: VersionReference,
    /// SHA-256 of the content that belongs there.
    pub digest: Digest,
}

/// Something that is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// None: of the namespace or the store.
    pub partition: Option<PartitionName>,
    /// What it is.
    pub part: DamagedPart,
    /// The object of the store.
    pub key: String,
    /// What is wrong with it.
    pub what: String,
    /// Versions that are concerned, as far as they are told.
    pub versions: Vec<DamagedVersion>,
    /// How many are.
    pub versions_total: u64,
}

/// What is to be checked.
#[derive(Debug, Clone, Default)]
pub struct CheckRequest {
    /// None: the whole namespace.
    pub partitions: Option<Vec<PartitionName>>,
    /// Partitions that this machine knows of, with the first page.
    pub expected: Vec<PartitionName>,
    /// Read every content.
    pub read_data: bool,
    /// Where the previous page ended.
    pub cursor: Option<String>,
}

/// A page of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckPage {
    /// What is damaged, as far as it is told.
    pub damage: Vec<Damage>,
    /// How much is.
    pub damage_total: u64,
    /// Partitions that were checked to their end.
    pub partitions: u64,
    /// Entries in their indexes.
    pub entries: u64,
    /// Bytes of content that were read.
    pub bytes_read: u64,
    /// Objects that nothing names.
    pub orphans: u64,
    /// Their bytes.
    pub orphan_bytes: u64,
    /// To go on.
    pub cursor: Option<String>,
    /// Partitions to check altogether.
    pub partitions_total: u64,
}

/// What is to be repaired, and what this machine has for it.
#[derive(Debug, Clone)]
pub struct RepairRequest {
    /// None: what lies above the partitions.
    pub partition: Option<PartitionName>,
    /// Time to live of the lease under which it is done.
    pub ttl: Duration,
    /// How long to wait for its holder.
    pub wait: Duration,
    /// Versions that were found damaged, with their content where it is here; at most [`REPAIR_CONTENTS_MAX`].
    pub contents: Vec<(DataName, Version, Option<SharedContent>)>,
    /// What the local index knows, where that of the store is damaged; at most [`REPAIR_INDEX_MAX`], and of these
    /// [`REPAIR_INDEX_CONTENTS_MAX`] with content.
    pub index: Vec<(Entry, Option<SharedContent>)>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What was repaired.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Versions that are whole again.
    pub restored: Vec<VersionReference>,
    /// Versions that left the index, because their content is not here.
    pub lost: Vec<VersionReference>,
    /// Records of the index that are lost and not known here, at most.
    pub records_lost: u64,
    /// Commits of others may be lost that this machine has never heard of.
    pub may_lose_commits: bool,
    /// What was done, for a person.
    pub notes: Vec<String>,
}

impl Repaired {
    /// Nothing is lost.
    pub fn is_whole(&self) -> bool {
        self.lost.is_empty() && self.records_lost == 0 && !self.may_lose_commits
    }

    /// Something was done.
    pub fn is_something(&self) -> bool {
        *self != Self::default()
    }

    /// Whether a part of the index is lost, of a repair without contents: what the local index knows of it is used.
    pub fn needs_index(&self) -> bool {
        !self.restored.is_empty() || !self.lost.is_empty() || self.records_lost > 0
    }
}
