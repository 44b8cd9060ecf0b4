//! A scheduler that polls tasks in an order given by the store's seed and moves virtual time. Tasks can be killed at any
//! step, which drops them between two requests.

use std::pin::Pin;
use std::task::{Context, Waker};

use super::store::Store;

/// Steps after which a schedule is given up as stuck.
const STEPS_MAX: u64 = 2_000_000;

/// Virtual milliseconds that one step takes: requests are not instantaneous.
const STEP_MS: u64 = 1;

/// Tasks on one store.
pub struct Schedule<'a> {
    store: Store,
    tasks: Vec<Option<Pin<Box<dyn Future<Output = ()> + 'a>>>>,
    kills: Vec<(u64, usize)>,
    step_ms: u64,
}

impl std::fmt::Debug for Schedule<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Schedule").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}

impl<'a> Schedule<'a> {
    /// No tasks yet.
    pub fn new(store: &Store) -> Self {
        Self { store: store.clone(), tasks: Vec::new(), kills: Vec::new(), step_ms: STEP_MS }
    }

    /// The same, but time passes only while everybody sleeps or waits for the store: durations are exact.
    pub fn exact(store: &Store) -> Self {
        Self { step_ms: 0, ..Self::new(store) }
    }

    /// Adds a task and answers its number.
    pub fn add(&mut self, task: impl Future<Output = ()> + 'a) -> usize {
        self.tasks.push(Some(Box::pin(task)));
        self.tasks.len() - 1
    }

    /// Kills a task when so many steps were made.
    pub fn kill(&mut self, task: usize, step: u64) {
        self.kills.push((step, task));
    }

    /// Runs all tasks to their end. Panics when they do not come to one.
    pub fn run(mut self) {
        let mut context = Context::from_waker(Waker::noop());
        let mut round = Vec::new();
        for step in 0..STEPS_MAX {
            for (_, task) in self.kills.iter().filter(|(when, _)| *when == step) {
                self.tasks[*task] = None;
            }
            let alive: Vec<usize> = (0..self.tasks.len()).filter(|task| self.tasks[*task].is_some()).collect();
            if alive.is_empty() {
                return;
            }
            let chosen = self.choose(&alive, &mut round);
            let done = self.tasks[chosen].as_mut().is_some_and(|task| task.as_mut().poll(&mut context).is_ready());
            if done {
                self.tasks[chosen] = None;
            }
            self.store.advance(self.step_ms);
            self.store.sleep_when_idle(alive.len());
        }
        panic!("the schedule did not end within {STEPS_MAX} steps");
    }

    /// Any task; where durations are exact one after the other, in another order every time, so that none is passed over
    /// while time passes.
    fn choose(&self, alive: &[usize], round: &mut Vec<usize>) -> usize {
        if self.step_ms > 0 {
            return alive[(self.store.chance() % alive.len() as u64) as usize];
        }
        round.retain(|task| alive.contains(task));
        if round.is_empty() {
            round.extend(alive);
        }
        round.swap_remove((self.store.chance() % round.len() as u64) as usize)
    }

    /// Runs one future alone to its end.
    pub fn block_on<T>(store: &Store, future: impl Future<Output = T>) -> T {
        let mut answer = None;
        let mut schedule = Schedule::new(store);
        schedule.add(async { answer = Some(future.await) });
        schedule.run();
        answer.expect("a schedule runs its tasks to their end")
    }
}
