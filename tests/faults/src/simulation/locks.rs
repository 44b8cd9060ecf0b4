//! The queue of a host as the kernel keeps it: first come, first served; freed when the holder's process ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::channel::oneshot;
use futures::future::{Either, select};
use peat_core::identifiers::PartitionName;
use peat_core::ports::{LocalLockError, LocalLockGuard, LocalLocks};

use super::lock;
use super::scheduler::Scheduler;

type Queue = Vec<oneshot::Sender<Guard>>;

/// Locks of one host: partition → those who wait. An entry means that it is locked.
#[derive(Debug, Clone)]
pub(super) struct QueuedLocks {
    scheduler: Scheduler,
    held: Arc<Mutex<BTreeMap<PartitionName, Queue>>>,
}

#[derive(Debug)]
struct Guard {
    held: Arc<Mutex<BTreeMap<PartitionName, Queue>>>,
    /// None once it was given away.
    partition: Option<PartitionName>,
}

impl LocalLockGuard for Guard {}

impl Drop for Guard {
    fn drop(&mut self) {
        while let Some(partition) = self.partition.take() {
            let next = {
                let mut held = lock(&self.held);
                match held.get_mut(&partition) {
                    Some(queue) if !queue.is_empty() => queue.remove(0),
                    _ => {
                        held.remove(&partition);
                        return;
                    }
                }
            };
            // Somebody who does not wait any more leaves it to us to give away.
            if let Err(mut guard) = next.send(Self { held: Arc::clone(&self.held), partition: Some(partition) }) {
                self.partition = guard.partition.take();
            }
        }
    }
}

impl QueuedLocks {
    pub(super) fn new(scheduler: &Scheduler) -> Self {
        Self { scheduler: scheduler.clone(), held: Arc::default() }
    }
}

#[async_trait]
impl LocalLocks for QueuedLocks {
    async fn lock(&self, partition: &PartitionName, wait: Duration) -> Result<Box<dyn LocalLockGuard>, LocalLockError> {
        let receiver = {
            let mut held = lock(&self.held);
            match held.get_mut(partition) {
                Some(queue) => {
                    let (sender, receiver) = oneshot::channel();
                    queue.push(sender);
                    Some(receiver)
                }
                None => {
                    held.insert(partition.clone(), Vec::new());
                    None
                }
            }
        };
        let Some(receiver) = receiver else {
            return Ok(Box::new(Guard { held: Arc::clone(&self.held), partition: Some(partition.clone()) }));
        };
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        match select(receiver, self.scheduler.sleep(wait_ms)).await {
            Either::Left((Ok(guard), _)) => Ok(Box::new(guard)),
            Either::Left((Err(_), _)) | Either::Right(_) => Err(LocalLockError::Held {
                partition: partition.clone(),
                holder: "another process".to_owned(),
                waited_ms: wait_ms,
            }),
        }
    }
}
