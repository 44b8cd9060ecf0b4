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

/// A lease as everybody sees it who looks, without taking a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseStatus {
    /// What it is for.
    pub partition: PartitionName,
    /// Fencing token.
    pub epoch: Epoch,
    /// Unique per acquisition: names the holder when the lease is to be ended.
    pub nonce: String,
    /// Who holds it.
    pub holder: Holder,
    /// How long it lasts after each renewal.
    pub ttl: Duration,
    /// When it was acquired, by the holder's wall clock, milliseconds since the Unix epoch.
    pub acquired_at_ms: u64,
    /// When it was renewed last, by the store's clock.
    pub renewed_at_ms: u64,
    /// The holder is certainly dead or was silent for too long: anybody may take the lease over.
    pub stale: bool,
    /// Who waits for it, oldest first.
    pub queue: Vec<Waiter>,
}

/// Somebody who waits for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiter {
    /// Who.
    pub holder: Holder,
    /// Since when, milliseconds since the Unix epoch.
    pub since_ms: u64,
}

/// One page of leases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeasePage {
    /// In order of their partitions.
    pub leases: Vec<LeaseStatus>,
    /// To go on, when there is more.
    pub cursor: Option<String>,
}
