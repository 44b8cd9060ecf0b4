//! Virtual time: nothing waits for real, and the order of events is the order of their deadlines.

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use async_trait::async_trait;
use peat_core::ports::Clock;

/// A clock that stands still until [`ManualClock::run`] has nothing else to do.
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<State>>);

impl std::fmt::Debug for ManualClock {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ManualClock").field("elapsed_ms", &self.elapsed_ms()).finish_non_exhaustive()
    }
}

struct State {
    elapsed_ms: u64,
    wall_offset_ms: u64,
    /// Keeps sleepers with one deadline in the order they came.
    next: u64,
    sleepers: BTreeMap<(u64, u64), Waker>,
    /// Work that goes on beside what is run.
    beside: Vec<Beside>,
}

type Beside = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Wall clock at the start: 2026-01-01T00:00:00Z.
const START_MS: u64 = 1_767_225_600_000;

impl Default for ManualClock {
    fn default() -> Self {
        let state =
            State { elapsed_ms: 0, wall_offset_ms: START_MS, next: 0, sleepers: BTreeMap::new(), beside: Vec::new() };
        Self(Arc::new(Mutex::new(state)))
    }
}

impl ManualClock {
    /// Moves time on and wakes whoever waited for it.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.state();
        state.elapsed_ms += u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let now = state.elapsed_ms;
        let later = state.sleepers.split_off(&(now + 1, 0));
        std::mem::replace(&mut state.sleepers, later).into_values().for_each(Waker::wake);
    }

    /// Adds work that goes on, in virtual time, whenever something is run.
    pub fn beside(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.state().beside.push(Box::pin(work));
    }

    /// Runs `future` to its end; whenever it is stuck, time jumps to the next deadline. Panics when there is none: the
    /// future would wait for ever.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        loop {
            woken.0.store(false, Ordering::SeqCst);
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                return value;
            }
            self.poll_beside(&mut context);
            if woken.0.load(Ordering::SeqCst) {
                continue;
            }
            let deadline = self.state().sleepers.keys().next().map(|(deadline, _)| *deadline);
            let deadline = deadline.expect("the future waits for something that never comes");
            let now = self.state().elapsed_ms;
            self.advance(Duration::from_millis(deadline.saturating_sub(now)));
        }
    }

    fn poll_beside(&self, context: &mut Context<'_>) {
        let mut works = std::mem::take(&mut self.state().beside);
        works.retain_mut(|work| work.as_mut().poll(context).is_pending());
        self.state().beside.append(&mut works);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        let state = self.state();
        state.wall_offset_ms + state.elapsed_ms
    }

    fn elapsed_ms(&self) -> u64 {
        self.state().elapsed_ms
    }

    async fn sleep(&self, duration: Duration) {
        let deadline = self.elapsed_ms() + u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2);
        Sleep { clock: self.clone(), deadline, key: None }.await;
    }
}

/// Whether something happened inside the future that needs no time to pass.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Sleep {
    clock: ManualClock,
    deadline: u64,
    key: Option<(u64, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut state = clock.state();
        if let Some(key) = self.key.take() {
            state.sleepers.remove(&key);
        }
        if state.elapsed_ms >= self.deadline {
            return Poll::Ready(());
        }
        let key = (self.deadline, state.next);
        state.next += 1;
        state.sleepers.insert(key, context.waker().clone());
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.clock.state().sleepers.remove(&key);
        }
    }
}
