//! One thread, one seed: which task goes on is drawn, and time passes only when none can.
//!
//! A task belongs to a process. A process can be stopped (its tasks are dropped where they wait, as by SIGKILL), paused
//! (its tasks are not polled while time and its requests go on, as by SIGSTOP) and resumed. Every await that waits for
//! something (the store, a clock, a lock) is a point where any other task may go on.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures::channel::oneshot;

/// Number of a process. Zero is the world outside: people, networks, tests.
pub(super) type Process = u64;

/// The world outside: never stopped, never paused.
pub(super) const OUTSIDE: Process = 0;

/// Steps after which a schedule is given up as one that never ends.
const STEPS_MAX: u64 = 3_000_000;

/// Something that happens at a time by itself.
type Event = Box<dyn FnOnce() + Send>;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Time, chance and tasks of one schedule. Clones share it; all of them stay on the thread of [`Scheduler::run`].
#[derive(Clone)]
pub(super) struct Scheduler(Arc<Mutex<State>>);

struct State {
    now_ms: u64,
    random: u64,
    steps: u64,
    next_event: u64,
    events: BTreeMap<(u64, u64), Event>,
    next_task: u64,
    ready: Vec<u64>,
    owners: BTreeMap<u64, Process>,
    paused: BTreeSet<Process>,
    stopped: BTreeSet<Process>,
    cancelled: Vec<u64>,
    ended: bool,
}

thread_local! {
    /// Tasks are not `Send`: they live beside the scheduler, on its thread.
    static TASKS: RefCell<BTreeMap<u64, Task>> = const { RefCell::new(BTreeMap::new()) };
}

/// What a process that is stopped in the middle of a step unwinds with.
struct Stopped;

struct WakeTask {
    scheduler: Scheduler,
    task: u64,
}

impl Wake for WakeTask {
    fn wake(self: Arc<Self>) {
        let mut state = self.scheduler.state();
        if !state.ready.contains(&self.task) {
            state.ready.push(self.task);
        }
    }
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Scheduler").finish_non_exhaustive()
    }
}

impl Scheduler {
    /// A schedule whose chances come from `seed`; its clock begins at `now_ms`.
    pub(super) fn new(seed: u64, now_ms: u64) -> Self {
        TASKS.with_borrow_mut(BTreeMap::clear);
        Self(Arc::new(Mutex::new(State {
            now_ms,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x5851_f42d_4c95_7f2d),
            steps: 0,
            next_event: 0,
            events: BTreeMap::new(),
            next_task: 0,
            ready: Vec::new(),
            owners: BTreeMap::new(),
            paused: BTreeSet::new(),
            stopped: BTreeSet::new(),
            cancelled: Vec::new(),
            ended: false,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True time, milliseconds.
    pub(super) fn now_ms(&self) -> u64 {
        self.state().now_ms
    }

    /// Steps made so far.
    pub(super) fn steps(&self) -> u64 {
        self.state().steps
    }

    /// The next number of the seeded sequence (splitmix64).
    pub(super) fn chance(&self) -> u64 {
        self.state().chance()
    }

    /// A number below `bound`.
    pub(super) fn below(&self, bound: u64) -> u64 {
        self.chance() % bound.max(1)
    }

    /// True so many times in a million.
    pub(super) fn happens(&self, per_million: u64) -> bool {
        per_million > 0 && self.below(1_000_000) < per_million
    }

    /// Lets `event` happen in so many milliseconds.
    pub(super) fn later(&self, delay_ms: u64, event: impl FnOnce() + Send + 'static) -> (u64, u64) {
        let mut state = self.state();
        let key = (state.now_ms.saturating_add(delay_ms), state.next_event);
        state.next_event += 1;
        state.events.insert(key, Box::new(event));
        key
    }

    /// Waits. Cancel safe.
    pub(super) fn sleep(&self, duration_ms: u64) -> Sleep {
        let until_ms = self.now_ms().saturating_add(duration_ms);
        Sleep { scheduler: self.clone(), until_ms, key: None }
    }

    /// Adds a task of `process`. Its answer ends with the process; dropping the answer ends the task.
    pub(super) fn spawn<T: 'static>(&self, process: Process, work: impl Future<Output = T> + 'static) -> Answer<T> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state();
        let task = state.next_task;
        state.next_task += 1;
        if state.stopped.contains(&process) {
            return Answer { receiver, task: Some(task), scheduler: self.clone() };
        }
        state.owners.insert(task, process);
        state.ready.push(task);
        drop(state);
        // Nobody may be waiting any more.
        let work = async move { drop(sender.send(work.await)) };
        TASKS.with_borrow_mut(|tasks| tasks.insert(task, Box::pin(work)));
        Answer { receiver, task: Some(task), scheduler: self.clone() }
    }

    /// Ends a process before its next step: nothing of it runs again.
    pub(super) fn stop(&self, process: Process) {
        let mut state = self.state();
        state.stopped.insert(process);
        let tasks: Vec<u64> =
            state.owners.iter().filter(|(_, owner)| **owner == process).map(|(task, _)| *task).collect();
        state.cancelled.extend(tasks);
    }

    /// Ends the process whose task is being polled, in the middle of its step. Does not return.
    pub(super) fn stop_here(&self, process: Process) -> ! {
        self.stop(process);
        resume_unwind(Box::new(Stopped))
    }

    /// Lets a process stand still.
    pub(super) fn pause(&self, process: Process) {
        self.state().paused.insert(process);
    }

    /// Lets it go on.
    pub(super) fn resume(&self, process: Process) {
        self.state().paused.remove(&process);
    }

    /// Lets all processes go on.
    pub(super) fn resume_all(&self) {
        self.state().paused.clear();
    }

    /// Ends the schedule before its next step.
    pub(super) fn end(&self) {
        self.state().ended = true;
    }

    /// Runs tasks and events until [`Self::end`], or until nothing is left to happen. `after_step` may end it too, by an
    /// error.
    pub(super) fn run<E>(&self, mut after_step: impl FnMut() -> Result<(), E>) -> Result<Ending, E> {
        let ending = loop {
            self.drop_cancelled();
            let mut state = self.state();
            if state.ended {
                break Ending::Ended;
            }
            state.steps += 1;
            if state.steps > STEPS_MAX {
                break Ending::Endless;
            }
            if let Some(task) = state.draw_task() {
                drop(state);
                self.poll(task);
            } else if let Some(((due_ms, _), event)) = state.events.pop_first() {
                state.now_ms = state.now_ms.max(due_ms);
                drop(state);
                event();
            } else {
                break Ending::Stuck;
            }
            if let Err(error) = after_step() {
                self.clear();
                return Err(error);
            }
        };
        self.clear();
        Ok(ending)
    }

    fn poll(&self, task: u64) {
        let Some(mut future) = TASKS.with_borrow_mut(|tasks| tasks.remove(&task)) else { return };
        let waker = Waker::from(Arc::new(WakeTask { scheduler: self.clone(), task }));
        let mut context = Context::from_waker(&waker);
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context))) {
            Ok(Poll::Pending) => TASKS.with_borrow_mut(|tasks| drop(tasks.insert(task, future))),
            Ok(Poll::Ready(())) => drop(self.state().owners.remove(&task)),
            Err(cause) if cause.is::<Stopped>() => {
                self.state().owners.remove(&task);
                drop(future);
            }
            Err(cause) => {
                self.clear();
                resume_unwind(cause);
            }
        }
    }

    fn drop_cancelled(&self) {
        loop {
            let cancelled = std::mem::take(&mut self.state().cancelled);
            if cancelled.is_empty() {
                return;
            }
            for task in cancelled {
                self.state().owners.remove(&task);
                let future = TASKS.with_borrow_mut(|tasks| tasks.remove(&task));
                drop(future);
            }
        }
    }

    /// Drops everything that was left, so that nothing of this schedule outlives it.
    fn clear(&self) {
        let tasks = TASKS.with_borrow_mut(std::mem::take);
        drop(tasks);
        let events = std::mem::take(&mut self.state().events);
        drop(events);
    }
}

/// How a schedule came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Somebody said so.
    Ended,
    /// Nothing was left that could happen.
    Stuck,
    /// It made too many steps.
    Endless,
}

impl State {
    fn chance(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of the tasks that can go on.
    fn draw_task(&mut self) -> Option<u64> {
        let owners = &self.owners;
        self.ready.retain(|task| owners.contains_key(task));
        let able: Vec<usize> = (0..self.ready.len())
            .filter(|place| self.owners.get(&self.ready[*place]).is_some_and(|owner| !self.paused.contains(owner)))
            .collect();
        if able.is_empty() {
            return None;
        }
        let drawn = able[(self.chance() % able.len() as u64) as usize];
        Some(self.ready.swap_remove(drawn))
    }
}

/// The answer of a task. An error when its process was stopped.
#[derive(Debug)]
pub(super) struct Answer<T> {
    receiver: oneshot::Receiver<T>,
    /// Ends with the answer; none once it goes on by itself.
    task: Option<u64>,
    scheduler: Scheduler,
}

impl<T> Future for Answer<T> {
    type Output = Result<T, oneshot::Canceled>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(context)
    }
}

impl<T> Answer<T> {
    /// Lets the task go on until it or its process ends.
    pub(super) fn detach(mut self) {
        self.task = None;
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.scheduler.state().cancelled.extend(self.task);
    }
}

/// A wait for a time.
#[derive(Debug)]
pub(super) struct Sleep {
    scheduler: Scheduler,
    until_ms: u64,
    key: Option<(u64, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.forget();
        let now_ms = self.scheduler.now_ms();
        if now_ms >= self.until_ms {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        self.key = Some(self.scheduler.later(self.until_ms - now_ms, move || waker.wake()));
        Poll::Pending
    }
}

impl Sleep {
    fn forget(&mut self) {
        if let Some(key) = self.key.take() {
            let event = self.scheduler.state().events.remove(&key);
            drop(event);
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.forget();
    }
}
