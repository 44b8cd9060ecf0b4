//! The thread that moves an engine's epoch on, by which guests yield and end. It sleeps for as long as no guest runs: a
//! command that waits for a lease or for a process wakes nobody up.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use wasmtime::Engine;

use crate::limits::EPOCH_TICK;

/// It. The thread ends with the last clone of this.
#[derive(Debug, Clone)]
pub(crate) struct EpochThread(Arc<Owner>);

#[derive(Debug)]
struct Owner(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Threads that are inside of a guest.
    running: usize,
    /// The thread waits for one of them.
    is_asleep: bool,
    /// Nobody can run a guest any more.
    is_over: bool,
    /// How often it moved the epoch on: wasmtime does not tell.
    #[cfg(test)]
    ticks: u64,
}

/// A guest runs on this thread.
struct Running<'a>(&'a Shared);

impl EpochThread {
    /// Starts the thread, which sleeps.
    pub(crate) fn start(engine: &Engine) -> wasmtime::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (ticking, engine) = (Arc::clone(&shared), engine.clone());
        thread::Builder::new().name("peat-epoch".to_owned()).spawn(move || ticking.tick(&engine))?;
        Ok(Self(Arc::new(Owner(shared))))
    }

    /// The same future, in which guests run: the epoch moves on whenever it is polled. Cancel safe as `work` is.
    pub(crate) async fn while_polled<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            let _running = Running::begin(&self.0.0);
            work.as_mut().poll(context)
        })
        .await
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.state().is_over = true;
        self.0.changed.notify_one();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self, engine: &Engine) {
        loop {
            {
                let mut state = self.state();
                while state.running == 0 && !state.is_over {
                    state.is_asleep = true;
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                state.is_asleep = false;
                if state.is_over {
                    return;
                }
            }
            thread::sleep(EPOCH_TICK);
            engine.increment_epoch();
            #[cfg(test)]
            {
                self.state().ticks += 1;
            }
        }
    }
}

impl<'a> Running<'a> {
    fn begin(shared: &'a Shared) -> Self {
        let mut state = shared.state();
        state.running += 1;
        if state.is_asleep {
            shared.changed.notify_one();
        }
        Self(shared)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().running -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn ticks(epoch: &EpochThread) -> u64 {
        epoch.0.0.state().ticks
    }

    #[test]
    fn the_epoch_stands_still_while_a_guest_waits_and_moves_on_while_it_runs() {
        let epoch = EpochThread::start(&Engine::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let waited = runtime.block_on(epoch.while_polled(async {
            tokio::time::sleep(100 * EPOCH_TICK).await;
            ticks(&epoch)
        }));
        // Some for the poll that began to wait, on however busy a machine.
        assert!(waited <= 20, "{waited} ticks while nothing ran");
        let began = Instant::now();
        runtime.block_on(epoch.while_polled(async {
            while ticks(&epoch) < waited + 5 {
                assert!(began.elapsed() < Duration::from_secs(60), "the epoch stood still under a busy guest");
                thread::sleep(EPOCH_TICK);
            }
        }));
    }

    #[test]
    fn the_thread_ends_with_its_owner() {
        let epoch = EpochThread::start(&Engine::default()).unwrap();
        let shared = Arc::downgrade(&epoch.0.0);
        drop(epoch);
        let began = Instant::now();
        while shared.upgrade().is_some() {
            assert!(began.elapsed() < Duration::from_secs(60), "it is still there");
            thread::sleep(EPOCH_TICK);
        }
    }
}
