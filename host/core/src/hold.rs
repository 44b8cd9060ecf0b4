//! Holding a partition: the local queue first, then the lease of the shared datastore, kept alive while work goes on.
//!
//! A lease is kept by [`crate::renewal`]; here it is taken, used and given up.

use std::io;
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};

use crate::identifiers::PartitionName;
use crate::interrupt::Interrupt;
use crate::lease::Lease;
use crate::ports::{
    AcquireRequest, Clock, Datastore, DatastoreError, LocalLockError, LocalLockGuard, LocalLocks, LocalQueue, Observer,
    Progress, ProgressUnit, PushReceipt, PushRequest, StoreError,
};
use crate::renewal::{KeptLease, RenewalLane};

/// How long giving a lease up may take after an error: the error is what the user waits for.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(3);

/// How often a waiter in the queue of this host says for whom it waits.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// What holding needs.
#[derive(Clone, Copy)]
pub struct HoldPorts<'a> {
    /// None when `local` is the datastore.
    pub datastore: Option<&'a dyn Datastore>,
    /// Where its leases are renewed; none without a datastore.
    pub lane: Option<&'a dyn RenewalLane>,
    /// The queue of this host.
    pub locks: &'a dyn LocalLocks,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Who watches.
    pub observer: &'a dyn Observer,
}

impl std::fmt::Debug for HoldPorts<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("HoldPorts").finish_non_exhaustive()
    }
}

/// Which partition, for how long, and how long to wait for it.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The partition.
    pub partition: &'a PartitionName,
    /// Time to live of the lease.
    pub ttl: Duration,
    /// Longest wait, local queue and lease together.
    pub wait: Duration,
}

/// A held partition. Give it to [`give_up`] when the work is over, however it ended.
#[derive(Debug)]
pub struct Held {
    /// None where the datastore is local or has no locks.
    kept: Option<KeptLease>,
    /// How long was waited for it.
    pub waited: Duration,
    local: Box<dyn LocalLockGuard>,
}

/// Why a partition is not held.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// The local queue.
    #[error(transparent)]
    Local(#[from] LocalLockError),
    /// The shared datastore.
    #[error(transparent)]
    Datastore(#[from] DatastoreError),
    /// The local store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A lease could not be kept, and was given back.
    #[error("cannot renew leases on this machine: {0}; are there too many processes?")]
    Lane(#[source] io::Error),
    /// What a process that started this one holds could not be read.
    #[error("cannot use what the process that started this one holds: {0}")]
    Inherited(#[source] io::Error),
    /// The operator asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// Waits for the partition, fairly among the processes of this host, then for its lease.
///
/// An interrupted wait leaves at most a lease that is taken over as soon as this process is dead.
pub async fn take(ports: &HoldPorts<'_>, wanted: &Wanted<'_>, interrupt: &Interrupt) -> Result<Held, HoldError> {
    let started_ms = ports.clock.elapsed_ms();
    let waited = || Duration::from_millis(ports.clock.elapsed_ms().saturating_sub(started_ms));
    let locking = async {
        let has_leases = ports.datastore.is_none_or(|datastore| datastore.features().locks);
        // Without leases the host serialises all writers of the namespace, on this machine.
        let whole = PartitionName::whole_namespace();
        let local = lock(ports, if has_leases { wanted.partition } else { &whole }, wanted.wait).await?;
        if let Some(hold) = local.inherited() {
            let kept = KeptLease::inherited(hold, ports.clock).await.map_err(HoldError::Inherited)?;
            return Ok(Held { kept, waited: waited(), local });
        }
        if let Some((held, pid)) = of_structural(ports) {
            let remedy = "Run methods before or after `peat datastore lock run`, not inside";
            return Err(
                LocalLockError::HeldByAncestor { partition: wanted.partition.clone(), held, pid, remedy }.into()
            );
        }
        let kept = match ports.datastore {
            Some(datastore) if has_leases => {
                let request = AcquireRequest {
                    partitions: vec![wanted.partition.clone()],
                    ttl: wanted.ttl,
                    wait: wanted.wait.saturating_sub(waited()),
                    defers_clearance: false,
                };
                match datastore.acquire(&request).await?.into_iter().next() {
                    Some(lease) => Some(keep(ports, datastore, lease).await?),
                    None => None,
                }
            }
            _ => None,
        };
        Ok(Held { kept, waited: waited(), local })
    };
    unless_interrupted(interrupt, locking).await.unwrap_or(Err(HoldError::Interrupted))
}

/// Waits for the lease of the whole namespace, until nobody else holds a partition of it. The local queue orders the
/// structural commands of this host.
pub async fn take_structural(
    ports: &HoldPorts<'_>,
    ttl: Duration,
    wait: Duration,
    interrupt: &Interrupt,
) -> Result<Held, HoldError> {
    let started_ms = ports.clock.elapsed_ms();
    let waited = || Duration::from_millis(ports.clock.elapsed_ms().saturating_sub(started_ms));
    let locking = async {
        let structural = PartitionName::structural();
        let other = ports.locks.ancestors().into_iter().find(|(held, _)| *held != structural);
        if let Some((held, pid)) = other {
            let remedy = "Take the lock of the namespace before or after that run, not inside";
            return Err(LocalLockError::HeldByAncestor { partition: structural, held, pid, remedy }.into());
        }
        let local = lock(ports, &structural, wait).await?;
        if let Some(hold) = local.inherited() {
            let kept = KeptLease::inherited(hold, ports.clock).await.map_err(HoldError::Inherited)?;
            return Ok(Held { kept, waited: waited(), local });
        }
        let kept = match ports.datastore {
            Some(datastore) => {
                let lease = datastore.acquire_structural(ttl, wait.saturating_sub(waited())).await?;
                Some(keep(ports, datastore, lease).await?)
            }
            None => None,
        };
        Ok(Held { kept, waited: waited(), local })
    };
    unless_interrupted(interrupt, locking).await.unwrap_or(Err(HoldError::Interrupted))
}

/// Gives up what is still held. An error is reported to the observer only: it never hides the reason why.
pub async fn give_up(ports: &HoldPorts<'_>, held: Held) {
    if let (Some(datastore), Some(kept)) = (ports.datastore, &held.kept)
        && let Some(lease) = kept.lease()
    {
        match within(ports.clock, RELEASE_TIMEOUT, kept.release(datastore)).await {
            Some(Ok(())) => {}
            Some(Err(error)) => ports.observer.warn(&format!(
                "the lease of {} was not released: {error}. Others can take it over in {} s",
                lease.partition,
                lease.ttl.as_secs()
            )),
            None => ports.observer.warn(&format!(
                "releasing the lease of {} took longer than {} s; others can take it over in {} s",
                lease.partition,
                RELEASE_TIMEOUT.as_secs(),
                lease.ttl.as_secs()
            )),
        }
    }
}

impl Held {
    /// The lease as it is now, for reading under it. None without leases, and after it was released or lost.
    pub fn lease(&self) -> Option<Lease> {
        self.kept.as_ref().and_then(KeptLease::lease)
    }

    /// Lets processes that this one starts commit to what is held, for as long as it is held. Answers what they must be
    /// told; none where that cannot be.
    pub fn share(&self) -> Option<String> {
        match self.local.share(self.lease().as_ref()) {
            Ok(shared) => shared.map(|shared| {
                if let Some(kept) = &self.kept {
                    kept.share(shared.hold);
                }
                shared.token
            }),
            Err(error) => {
                tracing::warn!(%error, "what is held cannot be shared with child processes");
                None
            }
        }
    }

    /// Does `work`; when the lease is lost, `work` is dropped at once and the reason is answered.
    pub async fn unless_lost<T>(
        &self,
        ports: &HoldPorts<'_>,
        work: impl Future<Output = T>,
    ) -> Result<T, DatastoreError> {
        match &self.kept {
            Some(kept) => kept.unless_lost(ports.clock, work).await,
            None => Ok(work.await),
        }
    }

    /// Commits to the held partition, under its lease, which is put into `request`, where there are leases.
    pub async fn push(
        &self,
        ports: &HoldPorts<'_>,
        datastore: &dyn Datastore,
        request: PushRequest,
    ) -> Result<PushReceipt, DatastoreError> {
        match &self.kept {
            Some(kept) => kept.push(datastore, ports.clock, request).await,
            None => datastore.push(&PushRequest { lease: None, ..request }).await,
        }
    }
}

/// Waits in the queue of this host, and says for whom.
async fn lock(
    ports: &HoldPorts<'_>,
    partition: &PartitionName,
    wait: Duration,
) -> Result<Box<dyn LocalLockGuard>, LocalLockError> {
    let mut locking = ports.locks.lock(partition, wait);
    loop {
        locking = match select(locking, ports.clock.sleep(TELL_INTERVAL)).await {
            Either::Left((locked, _)) => return locked,
            Either::Right(((), locking)) => locking,
        };
        if let Ok(Some(queue)) = ports.locks.queue(partition) {
            ports.observer.progress(waiting_for(partition, &queue, ports.clock.now_ms()));
        }
    }
}

fn waiting_for(partition: &PartitionName, queue: &LocalQueue, now_ms: u64) -> Progress {
    let holder = &queue.holder;
    let held_s = now_ms.saturating_sub(holder.since_ms) / 1_000;
    let others = if queue.ahead > 0 { format!(", {} ahead of us", queue.ahead) } else { String::new() };
    Progress {
        objects: None,
        message: format!(
            "waiting for {partition}: held on this machine by process {} ({}) for {held_s} s{others}",
            holder.pid, holder.command
        ),
        done: 0,
        total: None,
        unit: ProgressUnit::Items,
    }
}

/// The lock of the whole namespace, where a process that started this one holds it.
fn of_structural(ports: &HoldPorts<'_>) -> Option<(PartitionName, u32)> {
    let structural = PartitionName::structural();
    ports.locks.ancestors().into_iter().find(|(held, _)| *held == structural)
}

/// Begins to keep a lease; it is given back where it cannot be kept.
async fn keep(ports: &HoldPorts<'_>, datastore: &dyn Datastore, lease: Lease) -> Result<KeptLease, HoldError> {
    let (kept, renewal) = KeptLease::new(lease, ports.clock);
    let begun = match ports.lane {
        Some(lane) => lane.begin(renewal),
        None => Err(io::Error::other("there is no lane for them")),
    };
    if let Err(error) = begun {
        // The lease expires by itself where this fails; the error is what the user must see.
        let _ = kept.release(datastore).await;
        return Err(HoldError::Lane(error));
    }
    Ok(kept)
}

/// The value, or none when the interrupt came first.
pub async fn unless_interrupted<T>(interrupt: &Interrupt, work: impl Future<Output = T>) -> Option<T> {
    match select(pin!(work), pin!(interrupt.wait())).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(_) => None,
    }
}

async fn within<T>(clock: &dyn Clock, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    match select(pin!(work), clock.sleep(limit)).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(_) => None,
    }
}
