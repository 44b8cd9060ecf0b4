//! The clearance beside the work: what it costs, and what a run does when somebody has the lease of the namespace.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use peat_core::content::in_memory;
use peat_core::identifiers::DataName;
use peat_core::interrupt::Interrupt;
use peat_core::ports::{Clock, LocalStore, MethodOutcome, StoredState};
use peat_core::repository::HydrationStrategy;
use peat_core::run::{RunError, RunReport};
use peat_test_support::clock::ManualClock;
use peat_test_support::datastore::{Fault, SharedState};
use peat_test_support::executor::ClosureExecutor;

use super::world::{Machine, partition, writer};

/// Seconds that the method takes.
const METHOD_S: u64 = 30;

/// A machine, and a method that counts how often it is run.
struct World {
    clock: ManualClock,
    state: SharedState,
    machine: Machine,
    runs: Arc<AtomicUsize>,
    executor: ClosureExecutor,
}

impl World {
    fn new() -> Self {
        let (clock, state, runs) = (ManualClock::default(), SharedState::default(), Arc::new(AtomicUsize::new(0)));
        let (counted, method_clock) = (Arc::clone(&runs), clock.clone());
        let executor = ClosureExecutor::new(move |_, data, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            let clock = method_clock.clone();
            Box::pin(async move {
                clock.sleep(Duration::from_secs(METHOD_S)).await;
                let name = DataName::parse("answer").unwrap();
                data.write(name, in_memory(*b"42"), "text/plain".to_owned(), None, Vec::new()).unwrap();
                Ok(MethodOutcome { summary: "done".to_owned() })
            })
        });
        let machine = Machine::shared(&clock, &state, 1);
        Self { clock, state, machine, runs, executor }
    }

    /// The clearance is asked for when the namespace is locked already.
    fn locked(self) -> Self {
        self.machine.remote().fail("clearance", [Fault::Slow(1)]);
        self
    }

    /// Runs the method while `others` do something.
    fn run_beside(&self, others: impl Future<Output = ()>) -> Result<RunReport, RunError> {
        let interrupt = Interrupt::new();
        let both = futures::future::join(self.machine.run(&self.executor, &interrupt), others);
        self.clock.run(both).0
    }

    /// Somebody has the lease of the namespace until then.
    async fn locked_until_s(&self, seconds: u64) {
        self.state.lock_structurally(true);
        self.clock.sleep(Duration::from_secs(seconds)).await;
        self.state.lock_structurally(false);
    }

    fn elapsed_s(&self) -> u64 {
        self.clock.elapsed_ms() / 1_000
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

#[test]
fn the_clearance_takes_no_time_beside_a_method_that_takes_as_long() {
    let world = World::new();
    world.machine.remote().fail("clearance", [Fault::Slow(METHOD_S)]);
    world.run_beside(async {}).unwrap();
    assert_eq!((world.elapsed_s(), world.state.count("clearance")), (METHOD_S, 1));
}

#[test]
fn nothing_is_committed_before_the_clearance_is_given() {
    let world = World::new();
    world.machine.remote().fail("clearance", [Fault::Slow(3 * METHOD_S)]);
    world
        .run_beside(async {
            world.clock.sleep(Duration::from_secs(3 * METHOD_S - 1)).await;
            assert_eq!((world.runs(), world.state.count("push")), (1, 0));
        })
        .unwrap();
    assert_eq!(world.elapsed_s(), 3 * METHOD_S);
}

#[test]
fn a_run_that_is_refused_before_its_method_begins_gives_its_lease_back_and_waits() {
    let world = World::new().locked();
    world.machine.remote().fail("pull", [Fault::Slow(5)]);
    let report = world.run_beside(async {
        let locked = world.locked_until_s(20);
        let look = async {
            world.clock.sleep(Duration::from_secs(10)).await;
            assert!(!world.state.is_leased(&partition()), "the structural command waits for it");
            assert_eq!(world.runs(), 0);
        };
        futures::future::join(locked, look).await;
    });
    assert_eq!(report.unwrap().entries[0].entry.version.0, 1);
    assert_eq!((world.runs(), world.state.count("acquire")), (1, 2));
    assert!(world.elapsed_s() >= 20 + METHOD_S, "{}", world.elapsed_s());
}

#[test]
fn a_run_that_is_refused_while_its_method_runs_commits_later_and_does_not_run_it_again() {
    let world = World::new().locked();
    let report = world.run_beside(async {
        let locked = world.locked_until_s(2 * METHOD_S);
        let look = async {
            world.clock.sleep(Duration::from_secs(METHOD_S / 2)).await;
            assert!(!world.state.is_leased(&partition()), "the structural command waits for it");
        };
        futures::future::join(locked, look).await;
    });
    assert_eq!(report.unwrap().entries[0].entry.version.0, 1);
    assert_eq!((world.runs(), world.state.count("push")), (1, 1));
    assert!(world.elapsed_s() >= 2 * METHOD_S, "{}", world.elapsed_s());
    assert!(!world.state.is_leased(&partition()) && world.machine.locks.held().is_empty());
}

#[test]
fn what_was_computed_from_data_that_others_changed_meanwhile_is_kept_and_not_committed() {
    let world = World::new().locked();
    let other = Machine::shared(&world.clock, &world.state, 2);
    let quick = writer(&world.clock, 0, Ok(()));
    let interrupt = Interrupt::new();
    let error = world.run_beside(async {
        world.locked_until_s(METHOD_S / 2).await;
        other.run(&quick, &interrupt).await.unwrap();
    });
    let error = error.unwrap_err();
    assert!(matches!(&error, RunError::NotPushed { .. }), "{error}");
    assert!(error.to_string().contains("somebody else committed"), "{error}");
    assert!(!world.state.is_leased(&partition()));
    assert!(world.machine.data().contains(&("answer".to_owned(), 0, StoredState::Uncommitted)));
    assert_eq!(world.machine.sync(HydrationStrategy::Full).commits_pushed, 1);
    assert_eq!(world.state.entries(&partition()).iter().filter(|entry| entry.version.0 == 2).count(), 1);
}

#[test]
fn a_namespace_that_stays_locked_ends_the_wait_and_the_results_are_kept() {
    let world = World::new().locked();
    let error = world.run_beside(async { world.state.lock_structurally(true) }).unwrap_err();
    assert!(matches!(&error, RunError::NotPushed { .. }), "{error}");
    assert_eq!((world.runs(), world.machine.store.pending(None).unwrap().len()), (1, 1));
    // The method, then the wait of 120 s.
    assert!((METHOD_S + 120..METHOD_S + 125).contains(&world.elapsed_s()), "{}", world.elapsed_s());
}

#[test]
fn a_method_that_starts_processes_does_not_begin_before_the_clearance() {
    let mut world = World::new().locked();
    world.executor = world.executor.acting_outside();
    let report = world.run_beside(async {
        let look = async {
            world.clock.sleep(Duration::from_secs(19)).await;
            assert_eq!(world.runs(), 0);
        };
        futures::future::join(world.locked_until_s(20), look).await;
    });
    report.unwrap();
    assert_eq!(world.runs(), 1);
}

#[test]
fn a_clearance_that_could_not_be_asked_for_is_asked_for_again_before_the_commit() {
    let world = World::new();
    world.machine.remote().fail("clearance", [Fault::Before]);
    world.run_beside(async {}).unwrap();
    assert_eq!((world.runs(), world.state.count("clearance")), (1, 2));
}
