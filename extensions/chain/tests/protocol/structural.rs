//! The structural lock: while somebody has it nobody else commits, whoever was slow, silent, dead or taken over.

use peat_chain::ErrorKind;
use peat_chain::keys::STRUCTURAL;
use peat_chain::memory::{Fault, Schedule};
use peat_chain::ports::Clock as _;
use peat_chain::types::PushRequest;

use crate::support::*;

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
            .acquire(&peat_chain::types::AcquireRequest {
                partitions: vec!["model--z".to_owned()],
                ..acquire_request(0)
            })
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
fn a_namespace_whose_heads_take_longer_than_the_lock_lasts_is_locked() {
    let store = store(8);
    let (writer, keeper, other) = (machine(&store, 1), machine(&store, 2), machine(&store, 3));
    run(&store, async {
        for number in 0..2_500 {
            let push = push_request("first", vec![new_entry("a", b"1", "r")], None);
            let partition = format!("model--command+shell--{number:08}");
            writer.push(&PushRequest { partition, ..push }).await.unwrap();
        }
    });
    // Sixteen at once, a read and a swap each: longer than one lease by far, and a page of the listing shorter.
    store.set_latency_ms(200);
    let began_ms = store.now_ms();
    let mut schedule = Schedule::new(&store);
    schedule.add(async {
        keeper.acquire_structural(NAMESPACE, TTL_MS, 0).await.unwrap();
        let took_ms = keeper.world().store().now_ms() - began_ms;
        assert!(took_ms > 3 * TTL_MS / 2, "the test needs more heads: {took_ms} ms");
    });
    // Whoever waits for it meanwhile would take it over if it were silent for as long as it lasts.
    schedule.add(async {
        other.world().sleep(1_000).await;
        let error = other.acquire_structural(NAMESPACE, TTL_MS, 3 * TTL_MS / 2).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Held);
    });
    schedule.run();
}

fn of_heads_and_roots(store: &peat_chain::memory::Store) -> Vec<String> {
    store.take_requests().into_iter().filter(|request| request.contains("/_index/")).collect()
}

/// How many commits the partition has.
fn sequence(store: &peat_chain::memory::Store) -> u64 {
    let head = store.peek(HEAD).map(|bytes| peat_chain::head::Head::decode(HEAD, PARTITION, &bytes).unwrap());
    head.map_or(0, |head| head.sequence)
}

#[test]
fn only_a_marked_head_is_asked_about() {
    let store = store(5);
    let (chain, keeper) = (machine(&store, 1), machine(&store, 2));
    let requests_of_a_lease = async || {
        store.take_requests();
        let lease = acquire(&chain, 0).await.unwrap();
        let requests = of_heads_and_roots(&store);
        chain.release(NAMESPACE, &lease).await.unwrap();
        requests
    };
    run(&store, async {
        // Made by its first lease: whoever has the namespace may have listed the heads before.
        let lease = acquire(&chain, 0).await.unwrap();
        assert!(of_heads_and_roots(&store).ends_with(&[format!("PUT {HEAD}"), format!("GET {META}")]));
        chain.push(&push_request("c1", vec![new_entry("a", b"1", "c1")], Some(lease))).await.unwrap();
        assert_eq!(requests_of_a_lease().await, [format!("PUT {HEAD}")]);
        let structural = keeper.acquire_structural(NAMESPACE, TTL_MS, 0).await.unwrap();
        keeper.release(NAMESPACE, &structural).await.unwrap();
        let requests = requests_of_a_lease().await;
        assert_eq!(requests.last(), Some(&format!("PUT {HEAD}")), "{requests:?}");
        assert!(requests.contains(&format!("GET {META}")), "{requests:?}");
        // It was over, and nobody asks again.
        let requests = requests_of_a_lease().await;
        assert!(!requests.contains(&format!("GET {META}")), "{requests:?}");
    });
}

#[test]
fn who_waits_for_a_leased_head_is_not_before_the_structural_lock() {
    let store = store(6);
    let (holder, waiter, keeper) = (machine(&store, 1), machine(&store, 2), machine(&store, 3));
    let lease = run(&store, async {
        write(&holder, "c0", "a", b"1").await.unwrap();
        acquire(&holder, 0).await.unwrap()
    });
    let locked = std::cell::Cell::new(false);
    let mut schedule = Schedule::new(&store);
    schedule.add(async {
        // In the queue before the structural command comes, and asking more often.
        let lease = acquire(&waiter, 60_000).await.unwrap();
        assert!(locked.get(), "it was served before the structural command");
        waiter.release(NAMESPACE, &lease).await.unwrap();
    });
    schedule.add(async {
        keeper.world().sleep(2_000).await;
        let structural = keeper.acquire_structural(NAMESPACE, TTL_MS, 60_000).await.unwrap();
        locked.set(true);
        keeper.world().sleep(2_000).await;
        keeper.release(NAMESPACE, &structural).await.unwrap();
    });
    schedule.add(async {
        holder.world().sleep(10_000).await;
        // The mark came between: the commit finds its lease in another head, and keeps the mark.
        holder.push(&push_request("c1", vec![new_entry("a", b"2", "c1")], Some(lease))).await.unwrap();
    });
    schedule.run();
}

#[test]
fn its_own_commits_leave_the_mark_for_others() {
    let store = store(7);
    let (worker, keeper) = (machine(&store, 1), machine(&store, 2));
    run(&store, async {
        write(&worker, "c0", "a", b"1").await.unwrap();
        let structural = keeper.acquire_structural(NAMESPACE, TTL_MS, 0).await.unwrap();
        let lease = acquire(&keeper, 0).await.unwrap();
        keeper.push(&push_request("c1", vec![new_entry("a", b"2", "c1")], Some(lease))).await.unwrap();
        write(&keeper, "c2", "a", b"3").await.unwrap();
        assert_eq!(acquire(&worker, 0).await.unwrap_err().kind, ErrorKind::Held);
        keeper.release(NAMESPACE, &structural).await.unwrap();
        write(&worker, "c3", "a", b"4").await.unwrap();
    });
}

#[test]
fn who_holds_others_is_refused_instead_of_waiting_for_the_structural_lock() {
    let store = store(8);
    let (worker, keeper) = (machine(&store, 1), machine(&store, 2));
    run(&store, async {
        write(&worker, "c0", "a", b"1").await.unwrap();
        keeper.acquire_structural(NAMESPACE, TTL_MS, 0).await.unwrap();
        let began_ms = worker.world().elapsed_ms();
        let request = peat_chain::types::AcquireRequest { holds_others: true, ..acquire_request(60_000) };
        let error = worker.acquire(&request).await.unwrap_err();
        assert_eq!((error.kind, &*error.subject), (ErrorKind::Held, STRUCTURAL), "{error}");
        assert!(worker.world().elapsed_ms() - began_ms < 1_000);
    });
}

#[test]
fn a_structural_lock_and_a_lease_that_are_taken_at_once_see_each_other() {
    for seed in 0..400 {
        let store = store(seed);
        let (worker, keeper) = (machine(&store, 1), machine(&store, 2));
        // Half of them make the head.
        if seed % 2 == 0 {
            run(&store, async {
                write(&machine(&store, 8), "c0", "a", b"1").await.unwrap();
                // A machine that has used the store before: its first request is the swap.
                pull(&worker).await.unwrap();
            });
        }
        if seed % 3 == 0 {
            store.force(&[Fault::ReplyLost, Fault::ConflictAfter]);
        }
        let mut schedule = Schedule::new(&store);
        schedule.add(async {
            worker.world().sleep(seed % 7).await;
            let lease = acquire(&worker, 60_000).await.unwrap();
            let push = push_request("c1", vec![new_entry("a", b"2", "c1")], Some(lease));
            worker.push(&push).await.unwrap();
        });
        schedule.add(async {
            let structural = keeper.acquire_structural(NAMESPACE, TTL_MS, 60_000).await.unwrap();
            let before = sequence(&store);
            keeper.world().sleep(2_000).await;
            assert_eq!(sequence(&store), before, "seed {seed}: committed under somebody's structural lock");
            keeper.release(NAMESPACE, &structural).await.unwrap();
        });
        schedule.run();
        assert_eq!(sequence(&store), if seed % 2 == 0 { 2 } else { 1 });
    }
}
