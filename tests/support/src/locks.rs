//! Local locks of one process, in memory.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use peat_core::identifiers::PartitionName;
use peat_core::ports::{Clock, LocalLockError, LocalLockGuard, LocalLocks};

use crate::clock::ManualClock;

/// How often a waiter looks again, in virtual time.
const PAUSE: Duration = Duration::from_millis(10);

/// Locks that everybody with a clone shares.
#[derive(Debug, Clone)]
pub struct MemoryLocks {
    clock: ManualClock,
    held: Arc<Mutex<BTreeSet<PartitionName>>>,
}

impl MemoryLocks {
    /// Nothing is locked.
    pub fn new(clock: ManualClock) -> Self {
        Self { clock, held: Arc::default() }
    }

    /// What is locked now.
    pub fn held(&self) -> Vec<PartitionName> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[derive(Debug)]
struct Guard(Arc<Mutex<BTreeSet<PartitionName>>>, PartitionName);

impl LocalLockGuard for Guard {}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

#[async_trait]
impl LocalLocks for MemoryLocks {
    async fn lock(&self, partition: &PartitionName, wait: Duration) -> Result<Box<dyn LocalLockGuard>, LocalLockError> {
        let deadline = self.clock.elapsed_ms() + u64::try_from(wait.as_millis()).unwrap_or(u64::MAX / 2);
        loop {
            if self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(partition.clone()) {
                return Ok(Box::new(Guard(Arc::clone(&self.held), partition.clone())));
            }
            if self.clock.elapsed_ms() >= deadline {
                return Err(LocalLockError::Held {
                    partition: partition.clone(),
                    holder: "another task".to_owned(),
                    waited_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                });
            }
            self.clock.sleep(PAUSE).await;
        }
    }
}
