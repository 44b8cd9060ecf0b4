//! Keeping a lease alive while work goes on, where nothing that the work does can hold it up.
//!
//! A lease has one owner, [`KeptLease`]. Renewal, commit and release are its calls, and they take turns: a datastore never
//! sees two of them for one lease. Renewals are made in a lane of their own (a thread with its own runtime in `peat`, a
//! task in tests), so that a busy guest or a busy runtime does not starve them. Whoever notices first that the lease is
//! lost says so: the lane, the work that waits for it, or the commit. No clock is trusted for safety: a holder that lost
//! its lease cannot commit, because the head has changed. Clocks only decide when to stop early.
//!
//! Processes that the owner starts may commit under the lease. Then the turns are taken among processes too, and whoever
//! has the turn leaves the lease, as the datastore answered it last, to the others. Only the owner renews and releases.

use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures::future::{Either, select};
use futures::lock::Mutex as Turn;

use crate::interrupt::Interrupt;
use crate::lease::{Lease, RENEWALS_PER_TTL};
use crate::ports::{Clock, Datastore, DatastoreError, ErrorKind, HoldTurn, PushReceipt, PushRequest, SharedHold};

/// Renewals that may fail in a row before the lease is given up as lost.
const MISSES_MAX: u32 = 2;

/// Of the time to live, one part in so many is the longest wait for the answer of a renewal: two misses fit between the
/// first renewal that is due and the end of the lease.
const TIMEOUT_PARTS: u32 = 6;

/// Of the time to live, one part in so many is left when work under a lease that was not renewed is stopped: time to end
/// before another holder begins.
const MARGIN_PARTS: u32 = 6;

/// Where leases are renewed: beside the caller, so that nothing the caller does holds renewals up.
pub trait RenewalLane: Send + Sync {
    /// Begins with a lease: the lane runs [`Renewal::run`] to its end, with a datastore and a clock that it owns.
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

#[derive(Debug)]
struct Shared {
    /// Whoever has it may call the datastore for this lease.
    turn: Turn<()>,
    state: Mutex<State>,
    /// The lease is lost; the state says why.
    lost: Interrupt,
    /// The owner needs it no more.
    over: Interrupt,
    /// Where other processes take turns with this one.
    hold: OnceLock<Arc<dyn SharedHold>>,
    /// The owner is a process that started this one: it renews and releases.
    inherited: bool,
}

#[derive(Debug)]
struct State {
    /// None after it was released or lost.
    lease: Option<Lease>,
    ttl: Duration,
    /// When the last answered renewal began, by the clock that runs on while the machine sleeps.
    renewed_ms: u64,
    loss: Option<DatastoreError>,
}

impl KeptLease {
    /// Keeps a lease that was just acquired, and the renewing of it.
    pub fn new(lease: Lease, clock: &dyn Clock) -> (Self, Renewal) {
        let state = State { ttl: lease.ttl, lease: Some(lease), renewed_ms: clock.elapsed_ms(), loss: None };
        let shared = Arc::new(Shared {
            turn: Turn::new(()),
            state: Mutex::new(state),
            lost: Interrupt::new(),
            over: Interrupt::new(),
            hold: OnceLock::new(),
            inherited: false,
        });
        (Self { shared: Arc::clone(&shared) }, Renewal { shared })
    }

    /// The lease of a process that started this one; none when that one has no lease.
    pub async fn inherited(hold: Arc<dyn SharedHold>, clock: &dyn Clock) -> io::Result<Option<Self>> {
        let Some(lease) = hold.turn().await?.lease() else { return Ok(None) };
        let state = State { ttl: lease.ttl, lease: Some(lease), renewed_ms: clock.elapsed_ms(), loss: None };
        let shared = Arc::new(Shared {
            turn: Turn::new(()),
            state: Mutex::new(state),
            lost: Interrupt::new(),
            over: Interrupt::new(),
            hold: OnceLock::from(hold),
            inherited: true,
        });
        Ok(Some(Self { shared }))
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

    /// Does `work`. When the lease is lost, `work` is dropped at once and the reason is answered, always as
    /// [`ErrorKind::LeaseLost`].
    pub async fn unless_lost<T>(&self, clock: &dyn Clock, work: impl Future<Output = T>) -> Result<T, DatastoreError> {
        if self.shared.inherited {
            // Its owner watches over it and ends this process with its own work.
            return Ok(work.await);
        }
        let lost =
            async { select(pin!(self.shared.lost.wait()), pin!(self.shared.expiry(clock))).await.factor_first().0 };
        match select(pin!(work), pin!(lost)).await {
            Either::Left((value, _)) => Ok(value),
            Either::Right(_) => Err(self.shared.loss()),
        }
    }

    /// Commits under the lease, which is put into `request`, after a renewal that is under way.
    pub async fn push(
        &self,
        datastore: &dyn Datastore,
        clock: &dyn Clock,
        mut request: PushRequest,
    ) -> Result<PushReceipt, DatastoreError> {
        let _turn = self.shared.turn.lock().await;
        let mut outside = self.shared.outside().await;
        request.lease = Some(self.shared.usable(clock).ok_or_else(|| self.shared.loss())?);
        // What is not ours is not ours to give up.
        request.release &= !self.shared.inherited;
        let answer = datastore.push(&request).await;
        match &answer {
            Ok(receipt) => {
                leave(&mut outside, receipt.lease.as_ref());
                self.shared.state().renewed(receipt.lease.clone(), clock.elapsed_ms());
            }
            Err(error) if is_lost(error) => self.shared.lose(error.clone()),
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
    pub async fn run(self, datastore: &dyn Datastore, clock: &dyn Clock) {
        let mut due_ms = clock.elapsed_ms() + millis(self.shared.state().ttl / RENEWALS_PER_TTL);
        let mut misses = 0;
        loop {
            let pause = clock.sleep(Duration::from_millis(due_ms.saturating_sub(clock.elapsed_ms())));
            if let Either::Right(_) = select(pause, pin!(self.shared.over.wait())).await {
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
                    self.shared.state().renewed(Some(renewed), began_ms);
                    misses = 0;
                    continue;
                }
                Some(Err(error)) if is_lost(&error) => return self.shared.lose(error),
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
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for our turn among the processes that share the lease, and takes over what the last one left.
    async fn outside(&self) -> Option<Box<dyn HoldTurn>> {
        let hold = self.hold.get()?;
        match hold.turn().await {
            Ok(turn) => {
                match turn.lease() {
                    Some(lease) => self.state().take_over(lease),
                    None if self.inherited => self.lose(no_longer_held()),
                    None => {}
                }
                Some(turn)
            }
            Err(error) if self.inherited => {
                tracing::warn!(%error, "the lease of the process that started this one cannot be used");
                self.lose(no_longer_held());
                None
            }
            Err(error) => {
                // Children cannot go on; the lease is still ours, and the datastore keeps it safe.
                tracing::warn!(%error, "the lease cannot be shared with child processes any more");
                None
            }
        }
    }

    /// The lease, unless it is gone or was not renewed for so long that others may take it for dead: then it is lost.
    fn usable(&self, clock: &dyn Clock) -> Option<Lease> {
        let (lease, silent) = {
            let state = self.state();
            (state.lease.clone()?, Duration::from_millis(clock.elapsed_ms().saturating_sub(state.renewed_ms)))
        };
        if self.inherited || silent < patience(lease.ttl) {
            return Some(lease);
        }
        let message = format!(
            "the lease of {} was not renewed for {} s and lasts {} s: this process or machine stood still, or the \
             datastore did not answer",
            lease.partition,
            silent.as_secs(),
            lease.ttl.as_secs()
        );
        self.lose(lost(&lease, message));
        None
    }

    /// Ends when the lease was not renewed for too long, also where its lane cannot tell because it stands still itself.
    async fn expiry(&self, clock: &dyn Clock) {
        loop {
            let left_ms = {
                let state = self.state();
                if state.lease.is_none() {
                    break;
                }
                (state.renewed_ms + millis(patience(state.ttl))).saturating_sub(clock.elapsed_ms())
            };
            if left_ms == 0 && self.usable(clock).is_none() {
                return;
            }
            clock.sleep(Duration::from_millis(left_ms)).await;
        }
        // Released by its owner: nothing can expire.
        std::future::pending().await
    }

    fn lose(&self, error: DatastoreError) {
        let error = match error {
            DatastoreError::Refused { kind: ErrorKind::LeaseLost, .. } => error,
            DatastoreError::Refused { subject, message, .. } => {
                DatastoreError::Refused { kind: ErrorKind::LeaseLost, subject, message }
            }
            other => other,
        };
        {
            let mut state = self.state();
            state.lease = None;
            state.loss.get_or_insert(error);
        }
        self.lost.trigger();
    }

    fn loss(&self) -> DatastoreError {
        self.state().loss.clone().unwrap_or_else(|| DatastoreError::Refused {
            kind: ErrorKind::LeaseLost,
            subject: "lease".to_owned(),
            message: "the lease was given up before".to_owned(),
        })
    }
}

impl State {
    /// What another process left of this lease. Another acquisition is not ours.
    fn take_over(&mut self, left: Lease) {
        if let Some(lease) = &mut self.lease
            && (lease.epoch, &lease.nonce) == (left.epoch, &left.nonce)
        {
            *lease = left;
        }
    }

    fn renewed(&mut self, lease: Option<Lease>, at_ms: u64) {
        self.lease = lease;
        self.renewed_ms = at_ms;
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

fn no_longer_held() -> DatastoreError {
    DatastoreError::Refused {
        kind: ErrorKind::LeaseLost,
        subject: "lease".to_owned(),
        message: "the process that started this one does not hold its lease any more".to_owned(),
    }
}

/// Whether the datastore says that the lease is gone for good.
pub fn is_lost(error: &DatastoreError) -> bool {
    matches!(error, DatastoreError::Refused { kind: ErrorKind::LeaseLost | ErrorKind::Held | ErrorKind::Conflict, .. })
}

/// How long work goes on without a renewal: whole milliseconds, what the clock counts in.
fn patience(ttl: Duration) -> Duration {
    Duration::from_millis(millis(ttl - ttl / MARGIN_PARTS))
}

fn lost(lease: &Lease, message: String) -> DatastoreError {
    DatastoreError::Refused { kind: ErrorKind::LeaseLost, subject: lease.partition.to_string(), message }
}

async fn within<T>(clock: &dyn Clock, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    match select(pin!(work), clock.sleep(limit)).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(_) => None,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
