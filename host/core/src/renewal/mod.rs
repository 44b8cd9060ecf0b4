//! Keeping a lease alive while work goes on, where nothing that the work does can hold it up.
//!
//! A lease has one owner, [`KeptLease`]. Renewal and release take turns. A commit may take longer than the lease lasts, for
//! its content goes up first: renewals go on beside it, and the datastore tells the lease by its epoch and nonce, whatever
//! its state is by then. Renewals are made in a lane of their own (a thread with its own runtime in `peat`, a task in
//! tests), so that a busy guest or a busy runtime does not starve them. Whoever notices first that the lease is lost says
//! so: the lane, the work that waits for it, or the commit. No clock is trusted for safety: a holder that lost its lease
//! cannot commit, because the head has changed. Clocks only decide when to stop early.
//!
//! Processes that the owner starts may commit under the lease. Then the turns are taken among processes too, and whoever
//! has called the datastore leaves the lease, as it was answered, to the others. Only the owner renews and releases.

mod shared;

use std::io;
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, pending, select};
use shared::{Releasing, Shared, lost, millis};

use crate::lease::{Lease, RENEWALS_PER_TTL};
use crate::ports::{Clock, Datastore, DatastoreError, ErrorKind, HoldTurn, PushReceipt, PushRequest, SharedHold};

/// Renewals that may fail in a row before the lease is given up as lost.
const MISSES_MAX: u32 = 2;

/// Of the time to live, one part in so many is the longest wait for the answer of a renewal: two misses fit between the
/// first renewal that is due and the end of the lease.
const TIMEOUT_PARTS: u32 = 6;

/// Where leases are renewed: beside the caller, so that nothing the caller does holds renewals up.
pub trait RenewalLane: Send + Sync {
    /// Begins with a lease: the lane runs [`Renewal::run`] to its end, with a datastore and a clock of its own.
    fn begin(&self, renewal: Renewal) -> io::Result<()>;
}

/// A lease that is being kept. Dropped, renewals end and the lease stays until it expires.
#[derive(Debug)]
pub struct KeptLease {
    shared: Arc<Shared>,
}

/// The renewing of one lease, for a lane.
#[derive(Debug)]
pub struct Renewal {
    shared: Arc<Shared>,
}

impl KeptLease {
    /// Keeps a lease that was just acquired, and the renewing of it.
    pub fn new(lease: Lease, clock: &dyn Clock) -> (Self, Renewal) {
        let shared = Arc::new(Shared::new(lease, clock, None));
        (Self { shared: Arc::clone(&shared) }, Renewal { shared })
    }

    /// The lease of a process that started this one; none when that one has no lease.
    pub async fn inherited(hold: Arc<dyn SharedHold>, clock: &dyn Clock) -> io::Result<Option<Self>> {
        let lease = hold.turn().await?.lease();
        Ok(lease.map(|lease| Self { shared: Arc::new(Shared::new(lease, clock, Some(hold))) }))
    }

    /// From now on other processes take turns with this one.
    pub fn share(&self, hold: Arc<dyn SharedHold>) {
        // A second time it is the same place.
        let _ = self.shared.hold.set(hold);
    }

    /// The lease as it is now, for reading under it; none after it was released or lost.
    pub fn lease(&self) -> Option<Lease> {
        self.shared.state().lease.clone()
    }

    /// Waits until the lease is lost and answers why, always as [`ErrorKind::LeaseLost`]. Never ends for a lease of a
    /// process that started this one: that one watches over it and ends this process with its own work. Cancel safe.
    pub async fn loss(&self, clock: &dyn Clock) -> DatastoreError {
        if self.shared.inherited {
            return pending().await;
        }
        select(pin!(self.shared.lost.wait()), pin!(self.shared.expiry(clock))).await;
        self.shared.loss()
    }

    /// None while it is not lost; whether others ended it, when it is.
    pub fn lost_by_others(&self) -> Option<bool> {
        let state = self.shared.state();
        state.loss.as_ref().map(|_| state.lost_by_others)
    }

    /// Commits under the lease, which is put into `request`. Renewals go on meanwhile.
    pub async fn push(
        &self,
        datastore: &dyn Datastore,
        clock: &dyn Clock,
        mut request: PushRequest,
    ) -> Result<PushReceipt, DatastoreError> {
        request.lease = {
            // A renewal under way leaves a newer state: with it the commit need not look at the head first.
            let _turn = self.shared.turn.lock().await;
            let _outside = self.shared.outside().await;
            Some(self.shared.usable(clock).ok_or_else(|| self.shared.loss())?)
        };
        // What is not ours is not ours to give up.
        request.release &= !self.shared.inherited;
        let _releasing = request.release.then(|| Releasing::begin(&self.shared));
        let answer = datastore.push(&request).await;
        match &answer {
            Ok(receipt) => {
                let mut outside = self.shared.outside().await;
                leave(&mut outside, receipt.lease.as_ref());
                self.shared.state().renewed(receipt.lease.clone(), clock.elapsed_ms());
            }
            Err(error) if is_lost(error) => self.shared.lose_to_others(error.clone()),
            // Whether it was applied is unknown, and so whether the lease was released: the datastore tells by the nonce.
            Err(_) => {}
        }
        answer
    }

    /// Gives the lease up, after a renewal that is under way. One that is gone already is a success.
    pub async fn release(&self, datastore: &dyn Datastore) -> Result<(), DatastoreError> {
        if self.shared.inherited {
            return Ok(());
        }
        let _turn = self.shared.turn.lock().await;
        let mut outside = self.shared.outside().await;
        leave(&mut outside, None);
        self.shared.over.trigger();
        let Some(lease) = self.shared.state().lease.take() else { return Ok(()) };
        match datastore.release(&lease).await {
            Err(error) if is_lost(&error) => Ok(()),
            answer => answer,
        }
    }
}

impl Drop for KeptLease {
    fn drop(&mut self) {
        self.shared.over.trigger();
    }
}

impl Renewal {
    /// Renews every third of the time to live, one renewal at a time, until the lease is lost or its owner needs it no
    /// more. A renewal under way is never dropped because the owner is done: whether it was applied would be unknown.
    ///
    /// `datastore` is awaited half-way to the first renewal: most leases are given up before, and opening one is not free.
    pub async fn run<D>(self, datastore: impl Future<Output = D>, clock: &dyn Clock)
    where
        D: Deref<Target: Datastore>,
    {
        let (acquired_ms, first) = {
            let state = self.shared.state();
            (state.renewed_ms, state.ttl / RENEWALS_PER_TTL)
        };
        if !self.is_needed_at(acquired_ms + millis(first / 2), clock).await {
            return;
        }
        let datastore = datastore.await;
        let mut due_ms = acquired_ms + millis(first);
        let mut misses = 0;
        loop {
            if !self.is_needed_at(due_ms, clock).await {
                return;
            }
            let _turn = self.shared.turn.lock().await;
            let Some(lease) = self.shared.usable(clock) else { return };
            let began_ms = clock.elapsed_ms();
            due_ms = began_ms + millis(lease.ttl / RENEWALS_PER_TTL);
            let renewing = async {
                let mut outside = self.shared.outside().await;
                let current = self.shared.state().lease.clone().unwrap_or_else(|| lease.clone());
                let answer = datastore.renew(&current).await;
                if let Ok(renewed) = &answer {
                    leave(&mut outside, Some(renewed));
                }
                answer
            };
            let failure = match within(clock, lease.ttl / TIMEOUT_PARTS, renewing).await {
                Some(Ok(renewed)) => {
                    self.shared.state().prolonged(renewed, began_ms);
                    misses = 0;
                    continue;
                }
                Some(Err(error)) if is_lost(&error) && self.shared.state().is_given_up() => continue,
                Some(Err(error)) if is_lost(&error) => return self.shared.lose_to_others(error),
                Some(Err(error)) => error.to_string(),
                None => format!("the datastore did not answer within {:?}", lease.ttl / TIMEOUT_PARTS),
            };
            misses += 1;
            tracing::warn!(partition = %lease.partition, failure, misses, "lease renewal failed");
            if misses >= MISSES_MAX {
                let message =
                    format!("the lease of {} could not be renewed {misses} times in a row: {failure}", lease.partition);
                return self.shared.lose(lost(&lease, message));
            }
        }
    }

    /// Waits for a time of the clock; answers at once when the owner needs the lease no more.
    async fn is_needed_at(&self, time_ms: u64, clock: &dyn Clock) -> bool {
        let pause = clock.sleep(Duration::from_millis(time_ms.saturating_sub(clock.elapsed_ms())));
        matches!(select(pause, pin!(self.shared.over.wait())).await, Either::Left(_))
    }
}

fn leave(turn: &mut Option<Box<dyn HoldTurn>>, lease: Option<&Lease>) {
    if let Some(turn) = turn
        && let Err(error) = turn.leave(lease)
    {
        // The others find an older state, which the datastore tells from the newest.
        tracing::warn!(%error, "the state of the lease was not left to child processes");
    }
}

/// Whether the datastore says that the lease is gone for good.
pub fn is_lost(error: &DatastoreError) -> bool {
    matches!(error, DatastoreError::Refused { kind: ErrorKind::LeaseLost | ErrorKind::Held | ErrorKind::Conflict, .. })
}

async fn within<T>(clock: &dyn Clock, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    match select(pin!(work), clock.sleep(limit)).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(_) => None,
    }
}
