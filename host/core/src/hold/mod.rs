//! Holding partitions: the local queues first, then the leases of the shared datastore, kept alive while work goes on.
//!
//! A lease is kept by [`crate::renewal`]; here it is used and given up. `take` takes it.

mod record;
mod take;

use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::{Either, join_all, pending, select, select_all};

pub use record::{HoldEnding, HoldRecord};
pub use take::{Wanted, take, take_structural};

use crate::identifiers::PartitionName;
use crate::interrupt::Interrupt;
use crate::lease::Lease;
use crate::ports::{
    Clock, Datastore, DatastoreError, LocalLockError, LocalLockGuard, LocalLocks, Observer, PushReceipt, PushRequest,
    StoreError,
};
use crate::renewal::{KeptLease, RenewalLane};

/// How long giving leases up may take after an error: the error is what the user waits for.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(3);

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

/// Held partitions. Give them to [`give_up`] when the work is over, however it ended.
#[derive(Debug)]
pub struct Held {
    /// In the order in which they were taken.
    parts: Vec<Part>,
    /// How long was waited for them.
    pub waited: Duration,
}

/// One held partition. The lease goes before the place in the queue.
#[derive(Debug)]
struct Part {
    partition: PartitionName,
    /// None where the datastore is local or has no locks.
    kept: Option<KeptLease>,
    local: Box<dyn LocalLockGuard>,
    /// None before it is held, and where it is held by a process that started this one.
    taken: Option<Taken>,
    /// Something was committed under it.
    committed: AtomicBool,
}

/// When a partition was taken.
#[derive(Debug, Clone, Copy)]
struct Taken {
    /// By the wall clock.
    at_ms: u64,
    /// By the clock that runs on while the machine sleeps.
    elapsed_ms: u64,
    /// How long was waited for it.
    waited: Duration,
}

impl Taken {
    fn now(clock: &dyn Clock, waited: Duration) -> Self {
        Self { at_ms: clock.now_ms(), elapsed_ms: clock.elapsed_ms(), waited }
    }
}

impl Part {
    /// What there is to remember of it by now.
    fn record(&self, clock: &dyn Clock) -> Option<HoldRecord> {
        let taken = self.taken?;
        let loss = self.kept.as_ref().and_then(KeptLease::lost_by_others);
        let ending = match loss {
            Some(true) => HoldEnding::TakenOver,
            Some(false) => HoldEnding::Lost,
            None if self.committed.load(Ordering::Relaxed) => HoldEnding::Committed,
            None => HoldEnding::GivenUp,
        };
        Some(HoldRecord {
            partition: self.partition.clone(),
            acquired_at_ms: taken.at_ms,
            waited_ms: u64::try_from(taken.waited.as_millis()).unwrap_or(u64::MAX),
            held_ms: clock.elapsed_ms().saturating_sub(taken.elapsed_ms),
            ending,
        })
    }
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

/// Gives up what is still held, and tells the observer what was. An error is reported to the observer only: it never hides
/// the reason why.
pub async fn give_up(ports: &HoldPorts<'_>, held: Held) {
    if let Some(datastore) = ports.datastore {
        release_all(ports, datastore, &held).await;
    }
    for record in held.records(ports.clock) {
        ports.observer.held(&record);
    }
}

async fn release_all(ports: &HoldPorts<'_>, datastore: &dyn Datastore, held: &Held) {
    let release = async |kept: &KeptLease| {
        let Some(lease) = kept.lease() else { return };
        let (partition, ttl_s) = (&lease.partition, lease.ttl.as_secs());
        match within(ports.clock, RELEASE_TIMEOUT, kept.release(datastore)).await {
            Some(Ok(())) => {}
            Some(Err(error)) => ports.observer.warn(&format!(
                "the lease of {partition} was not released: {error}. Others can take it over in {ttl_s} s"
            )),
            None => ports.observer.warn(&format!(
                "releasing the lease of {partition} took longer than {} s; others can take it over in {ttl_s} s",
                RELEASE_TIMEOUT.as_secs(),
            )),
        }
    };
    join_all(held.kept().map(release)).await;
}

impl Held {
    fn nothing() -> Self {
        Self { parts: Vec::new(), waited: Duration::ZERO }
    }

    /// What there is to remember of these holds by now. Those of a process that started this one are its own to remember.
    pub fn records(&self, clock: &dyn Clock) -> Vec<HoldRecord> {
        self.parts.iter().filter_map(|part| part.record(clock)).collect()
    }

    /// Something was committed to a held partition by other means than [`Held::push`].
    pub fn note_commit(&self, partition: &PartitionName) {
        if let Some(part) = self.parts.iter().find(|part| part.partition == *partition) {
            part.committed.store(true, Ordering::Relaxed);
        }
    }

    fn kept(&self) -> impl Iterator<Item = &KeptLease> {
        self.parts.iter().filter_map(|part| part.kept.as_ref())
    }

    /// The leases as they are now, for reading under them. Without those that were released or lost.
    pub fn leases(&self) -> Vec<Lease> {
        self.kept().filter_map(KeptLease::lease).collect()
    }

    /// Lets processes that this one starts commit to what is held, for as long as it is held. Answers what they must be
    /// told; none where that cannot be.
    pub fn share(&self, ports: &HoldPorts<'_>) -> Option<String> {
        let mut tokens = Vec::new();
        for part in &self.parts {
            let lease = part.kept.as_ref().and_then(KeptLease::lease);
            match part.local.share(lease.as_ref()) {
                Ok(shared) => {
                    let shared = shared?;
                    if let Some(kept) = &part.kept {
                        kept.share(shared.hold);
                    }
                    tokens.push(shared.token);
                }
                Err(error) => {
                    tracing::warn!(%error, "what is held cannot be shared with child processes");
                    return None;
                }
            }
        }
        Some(ports.locks.told(&tokens))
    }

    /// Does `work`; when a lease is lost, `work` is dropped at once and the reason is answered.
    pub async fn unless_lost<T>(
        &self,
        ports: &HoldPorts<'_>,
        work: impl Future<Output = T>,
    ) -> Result<T, DatastoreError> {
        let losses: Vec<_> = self.kept().map(|kept| Box::pin(kept.loss(ports.clock))).collect();
        let loss = async { if losses.is_empty() { pending().await } else { select_all(losses).await.0 } };
        match select(pin!(work), pin!(loss)).await {
            Either::Left((value, _)) => Ok(value),
            Either::Right((loss, _)) => Err(loss),
        }
    }

    /// Commits to a held partition, under its lease, which is put into `request`, where there are leases.
    pub async fn push(
        &self,
        ports: &HoldPorts<'_>,
        datastore: &dyn Datastore,
        request: PushRequest,
    ) -> Result<PushReceipt, DatastoreError> {
        let part = self.parts.iter().find(|part| part.partition == request.changes.partition);
        let pushed = match part.and_then(|part| part.kept.as_ref()) {
            Some(kept) => kept.push(datastore, ports.clock, request).await,
            None => datastore.push(&PushRequest { lease: None, ..request }).await,
        };
        if let (Ok(_), Some(part)) = (&pushed, part) {
            part.committed.store(true, Ordering::Relaxed);
        }
        pushed
    }

    async fn give_back(&self, datastore: &dyn Datastore) {
        for released in join_all(self.kept().map(|kept| kept.release(datastore))).await {
            if let Err(error) = released {
                tracing::warn!(%error, "a lease was not given back; it ends by itself");
            }
        }
    }
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
