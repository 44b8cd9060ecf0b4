//! Room in a shared datastore: what takes it up, and what frees it.

use std::time::Duration;

use crate::entry::VersionReference;
use crate::identifiers::PartitionName;

/// Most partitions of one [`CollectRequest`].
pub const COLLECT_PARTITIONS_MAX: usize = 16;

/// What one partition takes up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Which.
    pub partition: PartitionName,
    /// Committed versions.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Versions that left the index and whose content is not deleted yet.
    pub tombstones: u64,
    /// Bytes of that content.
    pub tombstone_bytes: u64,
    /// When the next lifetime of an entry is over, milliseconds since the Unix epoch. May be too early, never too late.
    pub expires_at_ms: Option<u64>,
}

/// A page of partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoomPage {
    /// The partitions.
    pub rooms: Vec<Room>,
    /// To go on, when there is more.
    pub cursor: Option<String>,
    /// The store's clock, milliseconds since the Unix epoch.
    pub now_ms: u64,
}

/// What is to be collected.
#[derive(Debug, Clone)]
pub struct CollectRequest {
    /// Sorted, at most [`COLLECT_PARTITIONS_MAX`]; only one where `wait` is not zero.
    pub partitions: Vec<PartitionName>,
    /// Time to live of the leases under which it is done.
    pub ttl: Duration,
    /// How long to wait for the holder of the partition.
    pub wait: Duration,
    /// The store's clock, as the [`RoomPage`] told it.
    pub now_ms: u64,
    /// Content is deleted so long after it left the index, an orphan so long after it was written.
    pub grace: Duration,
    /// Only say what would go.
    pub dry_run: bool,
    /// Delete uploads that no index names, too.
    pub sweep_orphans: bool,
    /// Write anew what takes more room than it must.
    pub compact: bool,
}

/// What was collected from one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collected {
    /// Which.
    pub partition: PartitionName,
    /// Versions whose lifetime was over. They have left the index.
    pub expired: Vec<VersionReference>,
    /// Their bytes.
    pub expired_bytes: u64,
    /// Objects that were deleted.
    pub objects_deleted: u64,
    /// Their bytes.
    pub bytes_deleted: u64,
    /// Bytes that left the index and are not deleted yet.
    pub bytes_waiting: u64,
    /// What is known of the partition once `expired` is gone; none when the next pull tells.
    pub version: Option<String>,
    /// Why the partition, or a part of it, was left as it is.
    pub left: Option<String>,
    /// There is more to collect.
    pub more: bool,
}
