//! Room: what is over leaves the index, and what the index has left is deleted from the store.
//!
//! Three kinds of things go. *Entries* whose lifetime is over leave the index and become marks. *Content* of what left the
//! index is deleted once its grace period is over; a pack when all of it has left. *Orphans*, which no index names
//! (uploads of commits that never came, segments that were replaced), are deleted when they are older than the grace
//! period. Packs that are mostly gone and small segments are written anew (`compact`).
//!
//! Everything but a head is immutable and has a name that is never used again. So whether something may be deleted is
//! decided once: what no head names, and no upload under way may still name, is named by none ever after, and it does not
//! matter how late the deletion comes.

pub mod check;
mod collect;
mod compact;
mod examine;
mod measure;
pub mod repair;
mod sweep;

use crate::head::Totals;
use crate::types::VersionReference;

/// What is to be collected.
#[derive(Debug, Clone)]
pub struct CollectRequest {
    /// The namespace.
    pub namespace: String,
    /// Sorted, without duplicates, at most [`crate::limits::COLLECT_PARTITIONS_MAX`]; only one when it is waited for.
    pub partitions: Vec<String>,
    /// Time to live of the leases under which it is done.
    pub ttl_ms: u64,
    /// How long to wait for the holder of the partition.
    pub wait_ms: u64,
    /// The store's clock, as [`RoomPage`] told it a moment ago. Too early is safe: less is over.
    pub now_ms: u64,
    /// Content is deleted so long after it left the index, an orphan so long after it was written.
    pub grace_ms: u64,
    /// Only say what would go. Writes and deletes nothing.
    pub dry_run: bool,
    /// Delete orphans too.
    pub sweep_orphans: bool,
    /// Write packs that are less than half alive, and segments that are too many, anew.
    pub compact: bool,
}

/// What was collected from one partition; of a dry run, what would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// Which.
    pub partition: String,
    /// Versions that left the index because their lifetime was over.
    pub expired: Vec<VersionReference>,
    /// Their bytes. They come free after the grace period.
    pub expired_bytes: u64,
    /// Objects that were deleted.
    pub objects_deleted: u64,
    /// Their bytes.
    pub bytes_deleted: u64,
    /// Bytes that left the index earlier and are not deleted yet: their grace period, or something else in their pack.
    pub bytes_waiting: u64,
    /// What the replica knows once it took `expired` over; none when it did not know everything before.
    pub version: Option<String>,
    /// Why the partition, or a part of it, was left as it is: somebody holds it, the store refused to delete.
    pub left: Option<String>,
    /// There is more to collect: ask again.
    pub more: bool,
}

/// What one partition takes up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Which.
    pub partition: String,
    /// What its index counts.
    pub totals: Totals,
    /// When the next lifetime of an entry is over, milliseconds since the Unix epoch. May be too early, never too late.
    pub expires_ms: Option<u64>,
}

/// A page of partitions.
#[derive(Debug, Clone, Default)]
pub struct RoomPage {
    /// The partitions.
    pub rooms: Vec<Room>,
    /// To go on.
    pub cursor: Option<String>,
    /// The store's clock.
    pub now_ms: u64,
}
