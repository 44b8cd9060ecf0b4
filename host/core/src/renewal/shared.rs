//! What the owner of a lease, its renewals and its commits have in common: the lease as it is now, whose turn it is, and
//! how it was lost.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures::future::pending;
use futures::lock::Mutex as Turn;

use crate::interrupt::Interrupt;
use crate::lease::Lease;
use crate::ports::{Clock, DatastoreError, ErrorKind, HoldTurn, SharedHold};

/// Of the time to live, one part in so many is left when work under a lease that was not renewed is stopped: time to end
/// before another holder begins.
const MARGIN_PARTS: u32 = 6;

#[derive(Debug)]
pub(super) struct Shared {
    /// Whoever has it may renew the lease or release it.
    pub(super) turn: Turn<()>,
    state: Mutex<State>,
    /// The lease is lost; the state says why.
    pub(super) lost: Interrupt,
    /// The owner needs it no more.
    pub(super) over: Interrupt,
    /// Where other processes take turns with this one.
    pub(super) hold: OnceLock<Arc<dyn SharedHold>>,
    /// The owner is a process that started this one: it renews and releases.
    pub(super) inherited: bool,
}

#[derive(Debug)]
pub(super) struct State {
    /// None after it was released or lost.
    pub(super) lease: Option<Lease>,
    pub(super) ttl: Duration,
    /// When the last answered renewal began, by the clock that runs on while the machine sleeps.
    pub(super) renewed_ms: u64,
    /// A commit that gives the lease up is under way: that a renewal does not find it is no loss.
    pub(super) is_releasing: bool,
    pub(super) loss: Option<DatastoreError>,
    /// It was the datastore that said so: the lease is somebody else's, or was ended.
    pub(super) lost_by_others: bool,
}

/// A commit with a release in it, under way.
pub(super) struct Releasing<'a>(&'a Shared);

impl<'a> Releasing<'a> {
    pub(super) fn begin(shared: &'a Shared) -> Self {
        shared.state().is_releasing = true;
        Self(shared)
    }
}

impl Drop for Releasing<'_> {
    fn drop(&mut self) {
        self.0.state().is_releasing = false;
    }
}

impl Shared {
    /// Of a lease of this process, or (`hold`) of one that started it.
    pub(super) fn new(lease: Lease, clock: &dyn Clock, hold: Option<Arc<dyn SharedHold>>) -> Self {
        let state = State {
            ttl: lease.ttl,
            lease: Some(lease),
            renewed_ms: clock.elapsed_ms(),
            is_releasing: false,
            loss: None,
            lost_by_others: false,
        };
        Self {
            turn: Turn::new(()),
            state: Mutex::new(state),
            lost: Interrupt::new(),
            over: Interrupt::new(),
            inherited: hold.is_some(),
            hold: hold.map_or_else(OnceLock::new, OnceLock::from),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for our turn among the processes that share the lease, and takes over what the last one left.
    pub(super) async fn outside(&self) -> Option<Box<dyn HoldTurn>> {
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
    pub(super) fn usable(&self, clock: &dyn Clock) -> Option<Lease> {
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
    pub(super) async fn expiry(&self, clock: &dyn Clock) {
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
        pending().await
    }

    pub(super) fn lose(&self, error: DatastoreError) {
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

    /// The datastore said that the lease is over.
    pub(super) fn lose_to_others(&self, error: DatastoreError) {
        {
            let mut state = self.state();
            state.lost_by_others |= state.loss.is_none();
        }
        self.lose(error);
    }

    pub(super) fn loss(&self) -> DatastoreError {
        self.state().loss.clone().unwrap_or_else(|| DatastoreError::Refused {
            kind: ErrorKind::LeaseLost,
            subject: "lease".to_owned(),
            message: "the lease was given up before".to_owned(),
        })
    }
}

impl State {
    /// What another process left of this lease. Another acquisition is not ours.
    pub(super) fn take_over(&mut self, left: Lease) {
        if let Some(lease) = &mut self.lease
            && (lease.epoch, &lease.nonce) == (left.epoch, &left.nonce)
        {
            *lease = left;
        }
    }

    pub(super) fn renewed(&mut self, lease: Option<Lease>, at_ms: u64) {
        self.lease = lease;
        self.renewed_ms = at_ms;
    }

    /// A renewal was answered. What was given up meanwhile stays given up.
    pub(super) fn prolonged(&mut self, lease: Lease, at_ms: u64) {
        if self.lease.is_some() {
            self.renewed(Some(lease), at_ms);
        }
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.is_releasing || self.lease.is_none()
    }
}

fn no_longer_held() -> DatastoreError {
    DatastoreError::Refused {
        kind: ErrorKind::LeaseLost,
        subject: "lease".to_owned(),
        message: "the process that started this one does not hold its lease any more".to_owned(),
    }
}

/// How long work goes on without a renewal: whole milliseconds, what the clock counts in.
fn patience(ttl: Duration) -> Duration {
    Duration::from_millis(millis(ttl - ttl / MARGIN_PARTS))
}

pub(super) fn lost(lease: &Lease, message: String) -> DatastoreError {
    DatastoreError::Refused { kind: ErrorKind::LeaseLost, subject: lease.partition.to_string(), message }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
