//! Holding a partition: the local queue first, then the lease of the shared datastore, kept alive while work goes on.
//!
//! One owner, one call at a time: renewal, commit and release of a lease would refuse each other if they overlapped, so
//! [`Held`] is borrowed mutably by whoever talks to the datastore. No clock is trusted for safety here: a holder that
//! lost its lease cannot commit, because the head has changed. Clocks only decide when to stop early.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};

use crate::identifiers::PartitionName;
use crate::interrupt::Interrupt;
use crate::lease::{Lease, RENEWALS_PER_TTL};
use crate::ports::{
    AcquireRequest, Clock, Datastore, DatastoreError, ErrorKind, LocalLockError, LocalLockGuard, LocalLocks, Observer,
    StoreError,
};

/// How long giving a lease up may take after an error: the error is what the user waits for.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(3);

/// Renewals that may fail in a row before the lease is given up as lost.
const MISSES_MAX: u32 = 2;

/// What holding needs.
#[derive(Clone, Copy)]
pub struct HoldPorts<'a> {
    /// None when `local` is the datastore.
    pub datastore: Option<&'a dyn Datastore>,
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
    /// The lease; none where the datastore is local or has no locks, and after it was released or lost.
    pub lease: Option<Lease>,
    /// How long was waited for it.
    pub waited: Duration,
    _local: Box<dyn LocalLockGuard>,
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
        let local = if has_leases {
            ports.locks.lock(wanted.partition, wanted.wait).await?
        } else {
            // Without leases the host serialises all writers of the namespace, on this machine.
            ports.locks.lock(&PartitionName::whole_namespace(), wanted.wait).await?
        };
        let lease = match ports.datastore {
            Some(datastore) if has_leases => {
                let request = AcquireRequest {
                    partitions: vec![wanted.partition.clone()],
                    ttl: wanted.ttl,
                    wait: wanted.wait.saturating_sub(waited()),
                    defers_clearance: false,
                };
                datastore.acquire(&request).await?.into_iter().next()
            }
            _ => None,
        };
        Ok(Held { lease, waited: waited(), _local: local })
    };
    unless_interrupted(interrupt, locking).await.unwrap_or(Err(HoldError::Interrupted))
}

/// Gives up what is still held. An error is reported to the observer only: it never hides the reason why.
pub async fn give_up(ports: &HoldPorts<'_>, held: Held) {
    if let (Some(datastore), Some(lease)) = (ports.datastore, &held.lease) {
        match within(ports.clock, RELEASE_TIMEOUT, datastore.release(lease)).await {
            Some(Ok(())) => {}
            Some(Err(error)) if is_lost(&error) => {}
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

/// Does `work` while the lease is renewed every third of its time to live. When the lease is lost, `work` is dropped at
/// once and the reason is answered; the lease is then gone from `held`. Without a lease it just does the work.
pub async fn keep_alive<T>(
    ports: &HoldPorts<'_>,
    held: &mut Held,
    work: impl Future<Output = T>,
) -> Result<T, DatastoreError> {
    let (Some(datastore), Some(mut lease)) = (ports.datastore, held.lease.clone()) else {
        return Ok(work.await);
    };
    let mut work = pin!(work);
    let mut renewed_ms = ports.clock.elapsed_ms();
    let mut misses = 0;
    loop {
        let pause = lease.ttl / RENEWALS_PER_TTL;
        if let Either::Left((value, _)) = select(work.as_mut(), ports.clock.sleep(pause)).await {
            return Ok(value);
        }
        let started_ms = ports.clock.elapsed_ms();
        let current = lease.clone();
        let renewal = pin!(within(ports.clock, pause, datastore.renew(&current)));
        // Never drop a renewal under way: whether it was applied would be unknown to the commit that follows.
        let (value, answer) = match select(work.as_mut(), renewal).await {
            Either::Left((value, renewal)) => (Some(value), renewal.await),
            Either::Right((answer, _)) => (None, answer),
        };
        let failure = match answer {
            Some(Ok(renewed)) => {
                lease = renewed;
                held.lease = Some(lease.clone());
                (renewed_ms, misses) = (started_ms, 0);
                None
            }
            Some(Err(error)) => Some(error),
            None => Some(unanswered(&lease)),
        };
        if let Some(value) = value {
            // The commit finds out for itself whether the lease still holds: it is fenced.
            return Ok(value);
        }
        if let Some(error) = failure {
            misses += 1;
            let unrenewed = Duration::from_millis(ports.clock.elapsed_ms().saturating_sub(renewed_ms));
            if is_lost(&error) || misses >= MISSES_MAX || unrenewed >= lease.ttl - lease.ttl / 6 {
                held.lease = None;
                return Err(error);
            }
            tracing::warn!(partition = %lease.partition, %error, misses, "lease renewal failed");
        }
    }
}

/// Whether the datastore says that the lease is gone for good.
pub fn is_lost(error: &DatastoreError) -> bool {
    matches!(error, DatastoreError::Refused { kind: ErrorKind::LeaseLost | ErrorKind::Held | ErrorKind::Conflict, .. })
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

fn unanswered(lease: &Lease) -> DatastoreError {
    DatastoreError::Refused {
        kind: ErrorKind::Unavailable { retry_after: None },
        subject: lease.partition.to_string(),
        message: format!("the datastore did not answer a renewal of {} in time", lease.partition),
    }
}
