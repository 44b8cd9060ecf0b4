//! When a call of a guest is over: so long after it began, or so long after anything last moved.
//!
//! A transfer may take hours and be well; one that stands still is not. What moves is a request to a store that was
//! answered and, while one is under way, every part of its bytes. Computing moves nothing.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use peat_core::ports::Movement;

/// How often a call is looked at within its deadline.
const LOOKS: u32 = 20;

/// How long a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Altogether.
    Total(Duration),
    /// Without anything moving.
    Idle(Duration),
}

impl Patience {
    pub(crate) fn duration(self) -> Duration {
        match self {
            Self::Total(duration) | Self::Idle(duration) => duration,
        }
    }

    /// Time between two looks.
    pub(crate) fn look(self) -> Duration {
        match self {
            Self::Total(duration) => duration,
            Self::Idle(duration) => duration / LOOKS,
        }
    }
}

/// What moves in one call.
#[derive(Debug)]
pub(crate) struct Activity {
    answered: AtomicU64,
    under_way: AtomicU32,
    bytes: Movement,
}

impl Activity {
    pub(crate) fn new(bytes: Movement) -> Self {
        Self { answered: AtomicU64::new(0), under_way: AtomicU32::new(0), bytes }
    }

    /// A request begins; it is answered when the value is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// Changes whenever something moved. Bytes of other calls do not count while nothing of this one is under way.
    fn reading(&self, before: Reading) -> Reading {
        let answered = self.answered.load(Ordering::Relaxed);
        let is_under_way = self.under_way.load(Ordering::Relaxed) > 0;
        Reading { answered, bytes: if is_under_way { self.bytes.count() } else { before.bytes } }
    }
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
        self.0.answered.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reading {
    answered: u64,
    bytes: u64,
}

/// Watches one call.
#[derive(Debug)]
pub(crate) struct Deadline {
    patience: Patience,
    activity: Arc<Activity>,
    last: Mutex<(Reading, Instant)>,
}

impl Deadline {
    /// Begins now.
    pub(crate) fn new(patience: Patience, activity: Arc<Activity>) -> Self {
        let reading = activity.reading(Reading { answered: 0, bytes: 0 });
        Self { patience, activity, last: Mutex::new((reading, Instant::now())) }
    }

    /// Whether the call has had its time.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Patience::Idle(_) = self.patience {
            let reading = self.activity.reading(last.0);
            if reading != last.0 {
                *last = (reading, now);
            }
        }
        now.saturating_duration_since(last.1) >= self.patience.duration()
    }

    /// How long until the next look.
    pub(crate) fn next_look(&self) -> Duration {
        self.patience.look()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    #[test]
    fn a_total_deadline_does_not_care_what_moves() {
        let activity = Arc::new(Activity::new(Movement::default()));
        let deadline = Deadline::new(Patience::Total(TEN), Arc::clone(&activity));
        let begun = Instant::now();
        drop(activity.begin());
        assert!(!deadline.is_over(begun + TEN / 2));
        assert!(deadline.is_over(begun + TEN * 2));
    }

    #[test]
    fn an_idle_deadline_begins_again_with_every_answer_and_byte_of_its_own() {
        let bytes = Movement::default();
        let activity = Arc::new(Activity::new(bytes.clone()));
        let deadline = Deadline::new(Patience::Idle(TEN), Arc::clone(&activity));
        let at = |seconds| Instant::now() + Duration::from_secs(seconds);
        let request = activity.begin();
        assert!(!deadline.is_over(at(8)));
        bytes.moved();
        assert!(!deadline.is_over(at(16)), "a byte of its request moved");
        drop(request);
        assert!(!deadline.is_over(at(24)), "its request was answered");
        bytes.moved();
        assert!(deadline.is_over(at(40)), "bytes of another call are not its own");
    }
}
