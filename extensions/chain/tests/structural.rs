//! The structural lock: while somebody has it nobody else commits, whoever was slow, silent, dead or taken over.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use peat_chain::ErrorKind;
use peat_chain::keys::STRUCTURAL;
use peat_chain::memory::{Fault, Schedule};
use peat_chain::ports::Clock as _;
use peat_chain::types::AcquireRequest;
use support::*;

const META: &str = "default/_index/_meta.json";

#[test]
fn the_structural_lock_waits_for_leases_and_keeps_new_ones_out() {
    let store = store(12);
    let (worker, keeper) = (machine(&store, 1), machine(&store, 2));
    run(&store, async {
        let lease = acquire(&worker, 0).await.unwrap();
        let error = keeper.acquire_structural(NAMESPACE, TTL_MS, 1_000).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Held);
        assert!(error.message.contains("host-1"), "{error}");
        worker.release(NAMESPACE, &lease).await.unwrap();
        let structural = keeper.acquire_structural(NAMESPACE, TTL_MS, 1_000).await.unwrap();
        assert_eq!(structural.partition, STRUCTURAL);
        let error = acquire(&worker, 1_000).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Held);
        assert!(error.message.contains("host-2"), "{error}");
        acquire(&keeper, 0).await.expect("its own commands may work under it");
        let renewed = keeper.renew(NAMESPACE, &structural).await.unwrap();
        keeper.release(NAMESPACE, &renewed).await.unwrap();
        machine(&store, 3)
            .acquire(&AcquireRequest { partitions: vec!["model--z".to_owned()], ..acquire_request(0) })
            .await
            .unwrap();
    });
}

#[test]
fn a_holder_that_slept_through_a_structural_lock_cannot_commit_when_it_wakes() {
    // Twice the longest time to live and a day: no age of a head says that nobody will come back for it.
    for slept_ms in [3 * TTL_MS, 26 * 3_600_000] {
        let store = store(1);
        let (worker, keeper) = (machine(&store, 1), machine(&store, 2));
        run(&store, async {
            let lease = acquire(&worker, 0).await.unwrap();
            store.advance(slept_ms);
            let structural = keeper.acquire_structural(NAMESPACE, TTL_MS, 0).await.unwrap();
            let push = push_request("late", vec![new_entry("a", b"1", "late")], Some(lease.clone()));
            assert_eq!(worker.push(&push).await.unwrap_err().kind, ErrorKind::LeaseLost);
            assert_eq!(worker.renew(NAMESPACE, &lease).await.unwrap_err().kind, ErrorKind::LeaseLost);
            keeper.renew(NAMESPACE, &structural).await.unwrap();
        });
    }
}

#[test]
fn a_dead_holder_is_fenced_too_for_its_last_write_may_still_be_on_its_way() {
    let store = store(2);
    let worker = machine(&store, 1);
    let keeper = peat_chain::Chain::new(worker.world().sibling(2));
    run(&store, async {
        let lease = acquire(&worker, 0).await.unwrap();
        worker.world().bury(1);
        keeper.acquire_structural(NAMESPACE, TTL_MS, 0).await.unwrap();
        let push = push_request("late", vec![new_entry("a", b"1", "late")], Some(lease));
        assert_eq!(worker.push(&push).await.unwrap_err().kind, ErrorKind::LeaseLost);
    });
}

#[test]
fn a_structural_holder_that_was_given_up_learns_it_before_it_goes_on() {
    let store = store(3);
    let (worker, keeper) = (machine(&store, 1), machine(&store, 2));
    run(&store, async {
        let structural = keeper.acquire_structural(NAMESPACE, TTL_MS, 0).await.unwrap();
        store.advance(3 * TTL_MS);
        write(&worker, "c1", "a", b"1").await.unwrap();
        assert_eq!(keeper.renew(NAMESPACE, &structural).await.unwrap_err().kind, ErrorKind::LeaseLost);
        assert!(!String::from_utf8(store.peek(META).unwrap()).unwrap().contains("\"lease\""));
        // Also where the clearance comes later than the lease.
        let structural = keeper.acquire_structural(NAMESPACE, TTL_MS, 0).await.unwrap();
        store.advance(3 * TTL_MS);
        let deferring = AcquireRequest { defers_clearance: true, ..acquire_request(0) };
        let leases = worker.acquire(&deferring).await.unwrap();
        worker.clearance(NAMESPACE, &leases).await.unwrap();
        assert_eq!(keeper.renew(NAMESPACE, &structural).await.unwrap_err().kind, ErrorKind::LeaseLost);
    });
}

#[test]
fn a_structural_lock_that_was_lost_during_the_drain_is_not_answered() {
    let store = store(4);
    let (worker, keeper, operator) = (machine(&store, 1), machine(&store, 2), machine(&store, 3));
    let lease = run(&store, async { acquire(&worker, 0).await.unwrap() });
    let mut schedule = Schedule::new(&store);
    schedule.add(async {
        let error = keeper.acquire_structural(NAMESPACE, TTL_MS, 60_000).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::LeaseLost);
    });
    schedule.add(async {
        operator.world().sleep(2_000).await;
        let page = operator.inspect(NAMESPACE, None).await.unwrap();
        let structural = page.leases.iter().find(|status| status.partition == STRUCTURAL).unwrap();
        operator.break_lease(NAMESPACE, STRUCTURAL, &structural.nonce).await.unwrap();
        worker.release(NAMESPACE, &lease).await.unwrap();
    });
    schedule.run();
}

#[test]
fn a_lease_with_deferred_clearance_is_one_request_and_its_clearance_another() {
    let store = store(5);
    let chain = machine(&store, 1);
    let deferring = AcquireRequest { defers_clearance: true, ..acquire_request(0) };
    run(&store, async {
        write(&chain, "c1", "a", b"1").await.unwrap();
        store.take_requests();
        let leases = chain.acquire(&deferring).await.unwrap();
        assert_eq!(store.take_requests(), [format!("PUT {HEAD}")]);
        chain.clearance(NAMESPACE, &leases).await.unwrap();
        assert_eq!(store.take_requests()[0], format!("GET {META}"));
    });
}

#[test]
fn a_structural_lock_taken_between_a_lease_and_its_clearance_is_seen_by_one_of_the_two() {
    for seed in 0..200 {
        let store = store(seed);
        run(&store, async {
            write(&machine(&store, 8), "c0", "a", b"1").await.unwrap();
        });
        let (worker, keeper) = (machine(&store, 1), machine(&store, 2));
        if seed % 3 == 0 {
            store.force(&[Fault::ReplyLost, Fault::ConflictAfter]);
        }
        let locked = std::cell::Cell::new(false);
        let mut schedule = Schedule::new(&store);
        schedule.add(async {
            worker.world().sleep(seed % 7).await;
            let deferring = AcquireRequest { defers_clearance: true, ..acquire_request(60_000) };
            let lease = worker.acquire(&deferring).await.unwrap().remove(0);
            match worker.clearance(NAMESPACE, std::slice::from_ref(&lease)).await {
                Ok(()) => {
                    // It has its clearance: whoever takes the structural lock waits for it, and it can commit.
                    let push = push_request("c1", vec![new_entry("a", b"2", "c1")], Some(lease));
                    worker.push(&push).await.unwrap();
                    assert!(!locked.get(), "seed {seed}: committed under somebody's structural lock");
                }
                Err(error) => {
                    assert_eq!(error.kind, ErrorKind::Held);
                    assert!(error.message.contains("host-2"), "{error}");
                    worker.release(NAMESPACE, &lease).await.unwrap();
                }
            }
        });
        schedule.add(async {
            let structural = keeper.acquire_structural(NAMESPACE, TTL_MS, 60_000).await.unwrap();
            locked.set(true);
            keeper.world().sleep(2_000).await;
            locked.set(false);
            keeper.release(NAMESPACE, &structural).await.unwrap();
        });
        schedule.run();
    }
}
