//! Locks among the processes of one host, and who this process is.

use std::time::Duration;

use async_trait::async_trait;

use crate::identifiers::PartitionName;
use crate::lease::Holder;

/// Holds a local lock until it is dropped. The kernel frees it when the process dies.
pub trait LocalLockGuard: Send + Sync + std::fmt::Debug {}

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
}

/// Who this process is and whether another one is certainly dead.
pub trait HolderIdentity: Send + Sync {
    /// This process.
    fn current(&self) -> Holder;

    /// True only when it is certain: same boot and pid namespace, and the process is gone or is another one.
    fn is_dead(&self, holder: &Holder) -> bool;
}
