//! Locks among the processes of one host, and who this process is.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::identifiers::PartitionName;
use crate::lease::{Holder, Lease};

/// Holds a local lock until it is dropped. The kernel frees it when the process dies.
pub trait LocalLockGuard: Send + Sync + std::fmt::Debug {
    /// Where the lease is passed on, when the lock is that of a process which started this one; none for a lock of its own.
    fn inherited(&self) -> Option<Arc<dyn SharedHold>> {
        None
    }

    /// Lets processes that this one starts use what is held, for as long as it is held; none where that cannot be.
    fn share(&self, _lease: Option<&Lease>) -> io::Result<Option<SharedLock>> {
        Ok(None)
    }
}

/// A lock that children may use.
#[derive(Debug, Clone)]
pub struct SharedLock {
    /// What they must be told of it.
    pub token: String,
    /// Where the lease is passed on.
    pub hold: Arc<dyn SharedHold>,
}

/// Where the processes that share a held partition pass its lease on.
#[async_trait]
pub trait SharedHold: Send + Sync + std::fmt::Debug {
    /// Waits until no other process calls the datastore for this lease. Cancel safe.
    async fn turn(&self) -> io::Result<Box<dyn HoldTurn>>;
}

/// The right to call the datastore for a shared lease, until it is dropped.
pub trait HoldTurn: Send + Sync {
    /// The lease as the last one left it; none when it is not held any more.
    fn lease(&self) -> Option<Lease>;

    /// Leaves the lease to the others; none ends the sharing.
    fn leave(&mut self, lease: Option<&Lease>) -> io::Result<()>;
}

/// Why a local lock was not given.
#[derive(Debug, thiserror::Error)]
pub enum LocalLockError {
    /// Somebody on this host kept it for the whole wait.
    #[error("{partition} is in use by {holder}; waited {waited_ms} ms. Wait longer with --lock-timeout")]
    Held {
        /// What is locked.
        partition: PartitionName,
        /// Process id and command of the holder, where known.
        holder: String,
        /// How long was waited.
        waited_ms: u64,
    },
    /// A process that waits for this one holds it.
    #[error(
        "{partition} cannot be had here: process {pid}, which started this one, holds {held} and waits for this process \
         to end. {remedy}"
    )]
    HeldByAncestor {
        /// What is wanted.
        partition: PartitionName,
        /// What stands in the way.
        held: PartitionName,
        /// Who holds it.
        pid: u32,
        /// What to do.
        remedy: &'static str,
    },
    /// The lock file could not be used.
    #[error("cannot lock {path}: {source}")]
    Io {
        /// The lock file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The queue of this host: one remote contender per host and partition.
#[async_trait]
pub trait LocalLocks: Send + Sync {
    /// Waits up to `wait` for the exclusive lock of `partition`. Cancel safe: a dropped wait leaves no lock behind.
    async fn lock(&self, partition: &PartitionName, wait: Duration) -> Result<Box<dyn LocalLockGuard>, LocalLockError>;

    /// All that children must be told, in one word: what this process inherited itself, and the tokens of what it shares.
    fn told(&self, tokens: &[String]) -> String {
        tokens.join(" ")
    }

    /// What processes that started this one hold, and may still hold.
    fn ancestors(&self) -> Vec<(PartitionName, u32)> {
        Vec::new()
    }

    /// Who of this host holds a partition and who waits for it, for people; none when nobody does, or where it is not
    /// known. Takes no lock.
    fn queue(&self, _partition: &PartitionName) -> Result<Option<LocalQueue>, LocalLockError> {
        Ok(None)
    }
}

/// A process of this host that holds or wants a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalHolder {
    /// Its process id.
    pub pid: u32,
    /// What it runs.
    pub command: String,
    /// Since when it holds or waits, milliseconds since the Unix epoch.
    pub since_ms: u64,
}

/// The queue of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalQueue {
    /// Whose turn it is.
    pub holder: LocalHolder,
    /// Who comes after, in order.
    pub waiting: Vec<LocalHolder>,
    /// How many of them come before this process.
    pub ahead: usize,
}

/// Who this process is and whether another one is certainly dead.
pub trait HolderIdentity: Send + Sync {
    /// This process.
    fn current(&self) -> Holder;

    /// True only when it is certain: same boot and pid namespace, and the process is gone or is another one.
    fn is_dead(&self, holder: &Holder) -> bool;
}
