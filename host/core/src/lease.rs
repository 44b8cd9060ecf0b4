//! Leases as the host carries them.

use std::time::Duration;

use crate::identifiers::{Epoch, PartitionName};

/// A time-bounded exclusive right on a partition. Cloning copies the token, not the right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it is for.
    pub partition: PartitionName,
    /// Fencing token.
    pub epoch: Epoch,
    /// Unique per acquisition.
    pub nonce: String,
    /// How long it lasts after each renewal.
    pub ttl: Duration,
    /// The extension's own; carried unread.
    pub state: Vec<u8>,
}

/// Default time to live of a lease: long enough for a paused laptop lid or a slow store, short enough to wait for.
pub const LEASE_TTL_DEFAULT: Duration = Duration::from_secs(60);

/// Renewals per time to live: two may fail before the lease is in danger.
pub const RENEWALS_PER_TTL: u32 = 3;

/// A process that may hold leases. Two holders are the same process only when every field is equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Host name, for people.
    pub host: String,
    /// Changes with every boot.
    pub boot_id: String,
    /// Containers of one machine share a boot id but not their process ids.
    pub pid_namespace: String,
    /// Process id inside that namespace.
    pub pid: u32,
    /// Start of the process, in clock ticks since boot: a reused pid has another.
    pub process_start: u64,
    /// What runs, for people.
    pub command: String,
}
