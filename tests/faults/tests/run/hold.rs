//! Holding several partitions: in one order for everybody, all or nothing, each renewed from the beginning.

use std::time::Duration;

use futures::future::join;
use peat_core::hold::{self, Held, HoldError, HoldPorts, Wanted};
use peat_core::identifiers::PartitionName;
use peat_core::interrupt::Interrupt;
use peat_core::ports::{Clock, Silent};
use peat_test_support::clock::ManualClock;
use peat_test_support::datastore::{Fault, SharedState};

use super::world::{Machine, TTL};

/// How long somebody waits: longer than all the work of a test.
const WAIT: Duration = Duration::from_secs(10_000);

fn partitions(names: &[&str]) -> Vec<PartitionName> {
    names.iter().map(|name| PartitionName::parse(name).unwrap()).collect()
}

/// Takes the partitions and does `work` under them.
async fn while_held<T>(
    machine: &Machine,
    names: &[&str],
    wait: Duration,
    interrupt: &Interrupt,
    work: impl AsyncFnOnce(&Held) -> T,
) -> Result<T, HoldError> {
    let lane = machine.lane();
    let ports = HoldPorts {
        datastore: machine.datastore.as_ref().map(|datastore| &**datastore as _),
        lane: lane.as_ref().map(|lane| lane as _),
        locks: &machine.locks,
        clock: &machine.clock,
        observer: &Silent,
    };
    let partitions = partitions(names);
    let wanted = Wanted { partitions: &partitions, ttl: TTL, wait };
    let held = hold::take(&ports, &wanted, interrupt).await?;
    let done = work(&held).await;
    hold::give_up(&ports, held).await;
    Ok(done)
}

fn is_free(state: &SharedState, machine: &Machine) -> bool {
    !partitions(&["a", "b"]).iter().any(|partition| state.is_leased(partition)) && machine.locks.held().is_empty()
}

#[test]
fn opposite_orders_never_wait_for_each_other() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let (first, second) = (Machine::shared(&clock, &state, 1), Machine::shared(&clock, &state, 2));
    for machine in [&first, &second] {
        // The first lease of each takes a while: time enough for the other one to take its own first.
        machine.remote().fail("acquire", [Fault::Slow(1), Fault::Slow(1)]);
    }
    let interrupt = Interrupt::new();
    let work = async |_: &Held| clock.sleep(Duration::from_secs(1)).await;
    let one = while_held(&first, &["a", "b"], WAIT, &interrupt, work);
    let other = while_held(&second, &["b", "a"], WAIT, &interrupt, work);
    let (one, other) = clock.run(join(one, other));
    one.unwrap();
    other.unwrap();
    assert!(clock.elapsed_ms() < 60_000, "{} ms", clock.elapsed_ms());
    assert!(is_free(&state, &first) && is_free(&state, &second));
}

#[test]
fn the_first_of_two_leases_is_renewed_while_the_second_is_waited_for() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let (machine, other) = (Machine::shared(&clock, &state, 1), Machine::shared(&clock, &state, 2));
    let interrupt = Interrupt::new();
    // Somebody has the second one for longer than a lease lasts.
    let busy = while_held(&other, &["b"], WAIT, &interrupt, async |_| clock.sleep(5 * TTL).await);
    let both = async {
        clock.sleep(Duration::from_secs(1)).await;
        while_held(&machine, &["b", "a"], WAIT, &interrupt, async |held| held.leases().len()).await
    };
    let (busy, both) = clock.run(join(busy, both));
    busy.unwrap();
    assert_eq!(both.unwrap(), 2);
    assert!(state.count("renew") >= 2 * 14, "{:?}", state.calls());
}

#[test]
fn an_interrupt_or_a_failure_gives_back_what_was_taken() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let machine = Machine::shared(&clock, &state, 1);
    state.take_over(&partitions(&["b"])[0]);
    let interrupt = Interrupt::new();
    let operator = async {
        clock.sleep(Duration::from_secs(5)).await;
        assert!(state.is_leased(&partitions(&["a"])[0]), "it has the first one");
        interrupt.trigger();
    };
    let taking = while_held(&machine, &["a", "b"], WAIT, &interrupt, async |_| ());
    let (interrupted, ()) = clock.run(join(taking, operator));
    assert!(matches!(interrupted.unwrap_err(), HoldError::Interrupted));
    assert!(!state.is_leased(&partitions(&["a"])[0]) && machine.locks.held().is_empty());

    let soon = Duration::from_secs(3);
    let error = clock.run(while_held(&machine, &["a", "b"], soon, &Interrupt::new(), async |_| ())).unwrap_err();
    assert!(matches!(&error, HoldError::Datastore(_)), "{error}");
    assert!(!state.is_leased(&partitions(&["a"])[0]) && machine.locks.held().is_empty());
}

#[test]
fn whoever_holds_some_partitions_does_not_wait_for_the_lock_of_the_namespace() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let machine = Machine::shared(&clock, &state, 1);
    // The second lease takes a while; the namespace is locked meanwhile, after the first one was taken.
    machine.remote().fail("acquire", [Fault::Slow(0), Fault::Slow(10)]);
    let interrupt = Interrupt::new();
    let keeper = async {
        clock.sleep(Duration::from_secs(5)).await;
        state.lock_structurally(true);
        clock.sleep(Duration::from_secs(6)).await;
        assert!(is_free(&state, &Machine::shared(&clock, &state, 2)), "it waits with leases in its hand");
        clock.sleep(Duration::from_secs(60)).await;
        state.lock_structurally(false);
    };
    let work = async |held: &Held| (held.leases().len(), clock.elapsed_ms());
    let (taken, ()) = clock.run(join(while_held(&machine, &["a", "b"], WAIT, &interrupt, work), keeper));
    let (leases, at_ms) = taken.unwrap();
    assert_eq!(leases, 2);
    assert!(at_ms >= 71_000, "it had them after {at_ms} ms, under the lock of the namespace");
}
