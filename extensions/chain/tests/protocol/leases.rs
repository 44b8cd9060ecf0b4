//! Leases: one holder at a time, bounded waiting that names whom it waits for, takeover, fencing, the structural lock.

use peat_chain::ErrorKind;
use peat_chain::memory::{Fault, Schedule};
use peat_chain::meta::{Meta, State};
use peat_chain::types::AcquireRequest;

use crate::support::*;

#[test]
fn a_locked_write_of_a_warm_process_is_three_requests_however_large_the_namespace_is() {
    let store = store(1);
    let chain = machine(&store, 1);
    run(&store, async {
        write(&chain, "c1", "a", &[7; 1024]).await.unwrap();
        for round in 0..3 {
            store.take_requests();
            let lease = acquire(&chain, 0).await.unwrap();
            assert_eq!(store.take_requests(), [format!("PUT {HEAD}"), format!("LIST default/_queue/{PARTITION}/")]);
            let request = push_request(&format!("d{round}"), vec![new_entry("a", &[7; 1024], "run-1")], Some(lease));
            chain.push(&request).await.unwrap();
            assert_eq!(store.take_requests(), [format!("PUT {HEAD}")]);
            // Other partitions come and go; the cost stays.
            for other in 0..50 {
                let mut request = push_request(&format!("o{round}-{other}"), vec![new_entry("b", b"1", "run-1")], None);
                request.partition = format!("model--x--{round}-{other}");
                machine(&store, 2).push(&request).await.unwrap();
            }
        }
    });
}

#[test]
fn a_first_write_of_a_fresh_process_reads_the_head_once() {
    let store = store(2);
    run(&store, async {
        write(&machine(&store, 1), "c1", "a", b"1").await.unwrap();
        store.take_requests();
        write(&machine(&store, 2), "c2", "a", b"2").await.unwrap();
        let requests = store.take_requests();
        assert_eq!(requests.len(), 5, "{requests:#?}");
        // Once for all: a machine that has used the store does not read its record again.
        assert_eq!(requests.iter().filter(|request| *request == "GET peat.json").count(), 1, "{requests:#?}");
    });
}

#[test]
fn who_does_not_want_to_wait_is_told_who_holds_the_lease() {
    let store = store(3);
    run(&store, async {
        acquire(&machine(&store, 17), 0).await.unwrap();
        let error = acquire(&machine(&store, 2), 0).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Held);
        for part in ["host-17", "pid 17", "model method run web inventory", "--lock-timeout", PARTITION] {
            assert!(error.message.contains(part), "{error}");
        }
        let waiting = machine(&store, 3);
        let error = acquire(&waiting, 5_000).await.unwrap_err();
        assert!(error.message.contains("waited 5"), "{error}");
        assert!(waiting.world().take_reports().iter().all(|report| report.contains("host-17 (pid 17")));
        assert!(store.keys("default/_queue/").is_empty(), "its ticket is gone");
    });
}

#[test]
fn a_dead_process_of_this_machine_is_taken_over_at_once_and_cannot_commit_any_more() {
    let store = store(4);
    let first = machine(&store, 1);
    run(&store, async {
        let lost = acquire(&first, 0).await.unwrap();
        let heir = peat_chain::Chain::new(first.world().sibling(2));
        first.world().bury(1);
        let lease = acquire(&heir, 0).await.unwrap();
        assert_eq!(lease.epoch, lost.epoch + 1);
        let request = push_request("c1", vec![new_entry("a", b"late", "run-1")], Some(lost.clone()));
        let error = first.push(&request).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::LeaseLost);
        assert_eq!(first.renew(NAMESPACE, &lost).await.unwrap_err().kind, ErrorKind::LeaseLost);
        assert_eq!(first.release(NAMESPACE, &lost).await.unwrap_err().kind, ErrorKind::LeaseLost);
        heir.push(&push_request("c2", vec![new_entry("a", b"new", "run-2")], Some(lease))).await.unwrap();
        let page = pull(&machine(&store, 9)).await.unwrap();
        assert_eq!(page.deltas[0].entries.len(), 1);
    });
}

#[test]
fn a_silent_holder_of_another_host_is_given_up_after_its_time_to_live_and_not_before() {
    for skew_ms in [0, 600_000, -600_000] {
        let store = store(5);
        let (holder, heir) = (machine(&store, 1), machine(&store, 2));
        holder.world().skew_clock(skew_ms);
        heir.world().skew_clock(-skew_ms);
        run(&store, async {
            let lease = acquire(&holder, 0).await.unwrap();
            store.advance(TTL_MS - 1_000);
            assert_eq!(acquire(&heir, 0).await.unwrap_err().kind, ErrorKind::Held);
            let renewed = holder.renew(NAMESPACE, &lease).await.unwrap();
            store.advance(2 * TTL_MS - 1_000);
            assert_eq!(acquire(&heir, 0).await.unwrap_err().kind, ErrorKind::Held);
            store.advance(2_000);
            acquire(&heir, 0).await.unwrap();
            assert_eq!(holder.renew(NAMESPACE, &renewed).await.unwrap_err().kind, ErrorKind::LeaseLost);
        });
    }
}

#[test]
fn a_waiter_that_sees_no_renewal_for_a_time_to_live_and_a_margin_takes_over() {
    let store = store(6);
    run(&store, async {
        acquire(&machine(&store, 1), 0).await.unwrap();
        let began = store.now_ms();
        acquire(&machine(&store, 2), 10 * TTL_MS).await.unwrap();
        let waited = store.now_ms() - began;
        assert!((TTL_MS..2 * TTL_MS).contains(&waited), "{waited}");
    });
}

#[test]
fn waiters_are_served_in_the_order_they_came() {
    let store = store(7);
    let holder = machine(&store, 99);
    let order = std::cell::RefCell::new(Vec::new());
    let lease = run(&store, async { acquire(&holder, 0).await.unwrap() });
    let mut schedule = Schedule::new(&store);
    for pid in 1..=6_u32 {
        let (chain, order, store) = (machine(&store, pid), &order, store.clone());
        schedule.add(async move {
            sleep(&chain, u64::from(pid) * 1_500).await;
            let lease = acquire(&chain, 600_000).await.unwrap();
            order.borrow_mut().push(pid);
            let _ = store;
            chain
                .push(&push_request(&format!("c{pid}"), vec![new_entry("a", b"1", "run-1")], Some(lease)))
                .await
                .unwrap();
        });
    }
    let (renewing, last) = (holder.clone(), &order);
    schedule.add(async move {
        sleep(&renewing, 14_000).await;
        let lease = renewing.renew(NAMESPACE, &lease).await.unwrap();
        assert!(last.borrow().is_empty());
        let statuses = renewing.inspect(NAMESPACE, None).await.unwrap().leases;
        let queue: Vec<u32> = statuses[0].queue.iter().map(|waiter| waiter.holder.pid).collect();
        assert_eq!(queue, [1, 2, 3, 4, 5, 6]);
        renewing.release(NAMESPACE, &lease).await.unwrap();
    });
    schedule.run();
    assert_eq!(*order.borrow(), [1, 2, 3, 4, 5, 6]);
}

async fn sleep(chain: &peat_chain::Chain<peat_chain::memory::Machine>, duration_ms: u64) {
    use peat_chain::ports::Clock as _;
    chain.world().sleep(duration_ms).await;
}

#[test]
fn a_broken_lease_is_fenced_and_only_the_named_one_is_broken() {
    let store = store(8);
    let (holder, operator) = (machine(&store, 1), machine(&store, 2));
    run(&store, async {
        let lease = acquire(&holder, 0).await.unwrap();
        let error = operator.break_lease(NAMESPACE, PARTITION, "another").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Conflict);
        let seen = operator.inspect(NAMESPACE, None).await.unwrap().leases.remove(0);
        assert_eq!((seen.nonce.as_str(), seen.holder.pid, seen.stale), (lease.nonce.as_str(), 1, false));
        operator.break_lease(NAMESPACE, PARTITION, &seen.nonce).await.unwrap();
        let request = push_request("c1", vec![new_entry("a", b"1", "run-1")], Some(lease));
        assert_eq!(holder.push(&request).await.unwrap_err().kind, ErrorKind::LeaseLost);
        assert!(acquire(&operator, 0).await.unwrap().epoch > 2);
    });
}

#[test]
fn a_renewal_beside_a_commit_costs_two_requests_and_a_release_leaves_nothing_to_renew() {
    let store = store(16);
    let chain = machine(&store, 1);
    run(&store, async {
        let lease = acquire(&chain, 0).await.unwrap();
        // The commit began with the older state; meanwhile its content went up and the lease was renewed.
        let renewed = chain.renew(NAMESPACE, &lease).await.unwrap();
        store.take_requests();
        chain.push(&push_request("c1", vec![new_entry("a", b"1", "run-1")], Some(lease))).await.unwrap();
        let put = format!("PUT {HEAD}");
        assert_eq!(store.take_requests(), [put.clone(), format!("GET {HEAD}"), put]);
        assert_eq!(chain.renew(NAMESPACE, &renewed).await.unwrap_err().kind, ErrorKind::LeaseLost);
        // The other way round: a renewal that began before a commit that keeps the lease.
        let lease = acquire(&chain, 0).await.unwrap();
        let mut request = push_request("c2", vec![new_entry("a", b"2", "run-2")], Some(lease.clone()));
        request.release = false;
        let kept = chain.push(&request).await.unwrap().lease.unwrap();
        let renewed = chain.renew(NAMESPACE, &lease).await.unwrap();
        assert_eq!((renewed.epoch, &renewed.nonce), (kept.epoch, &kept.nonce));
    });
}

#[test]
fn an_acquisition_that_fails_half_way_gives_back_what_it_had() {
    let store = store(9);
    let request = |partitions: &[&str]| AcquireRequest {
        partitions: partitions.iter().map(|partition| (*partition).to_owned()).collect(),
        ..acquire_request(0)
    };
    run(&store, async {
        let (one, two) = (machine(&store, 1), machine(&store, 2));
        one.acquire(&request(&["model--b"])).await.unwrap();
        assert_eq!(two.acquire(&request(&["model--a", "model--b"])).await.unwrap_err().kind, ErrorKind::Held);
        one.acquire(&request(&["model--a"])).await.unwrap();
        let unsorted = one.acquire(&request(&["model--b", "model--a"])).await.unwrap_err();
        assert_eq!(unsorted.kind, ErrorKind::InvalidInput);
    });
}

#[test]
fn an_acquisition_whose_reply_was_lost_or_late_is_recognised() {
    for fault in [Fault::ReplyLost, Fault::ConflictAfter, Fault::UnavailableBefore, Fault::Delayed] {
        let store = store(10);
        let chain = machine(&store, 1);
        run(&store, async {
            write(&chain, "c1", "a", b"1").await.unwrap();
            store.force(&[fault]);
            let lease = acquire(&chain, 60_000).await.unwrap();
            // A late write may still come; whoever was told has the lease.
            store.advance(30_000);
            let renewed = chain.renew(NAMESPACE, &lease).await.unwrap();
            chain.push(&push_request("c2", vec![new_entry("a", b"2", "run-2")], Some(renewed))).await.unwrap();
        });
    }
}

#[test]
fn an_acquisition_that_ended_without_any_answer_does_not_lock_the_machine_out() {
    use peat_chain::memory::Faults;
    let store = store(11);
    let chain = machine(&store, 1);
    run(&store, async {
        write(&chain, "c1", "a", b"1").await.unwrap();
        store.force(&[Fault::ReplyLost]);
        store.set_faults(Faults { unavailable: 1000, ..Faults::default() });
        let error = acquire(&chain, 0).await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Unavailable(_)));
        store.set_faults(Faults::default());
        assert_eq!(acquire(&machine(&store, 2), 0).await.unwrap_err().kind, ErrorKind::Held, "it was applied");
        acquire(&chain, 0).await.unwrap();
    });
}

#[test]
fn a_sealed_or_moved_namespace_takes_no_commits() {
    let store = store(13);
    let chain = machine(&store, 1);
    let meta_key = "default/_index/_meta.json";
    run(&store, async {
        write(&chain, "c1", "a", b"1").await.unwrap();
        let good = store.peek(meta_key).unwrap();
        let mut meta = Meta::decode(meta_key, NAMESPACE, &good).unwrap();
        meta.state = State::Moved { to: "elsewhere".to_owned(), id: "m1".to_owned() };
        store.tamper(meta_key, &meta.encode());
        let head = unsealed(&store.peek(HEAD).unwrap());
        store.tamper(HEAD, &sealed(&head.replacen("\"totals\"", "\"sealed\":\"m1\",\"totals\"", 1)));
        for error in [
            acquire(&chain, 0).await.unwrap_err(),
            chain.push(&push_request("c2", vec![new_entry("a", b"1", "run-1")], None)).await.unwrap_err(),
        ] {
            assert_eq!(error.kind, ErrorKind::Denied);
            assert!(error.message.contains("moved to elsewhere"), "{error}");
        }
        // A partition that nobody has used asks, too.
        let request = AcquireRequest { partitions: vec!["model--z".to_owned()], ..acquire_request(0) };
        assert_eq!(chain.acquire(&request).await.unwrap_err().kind, ErrorKind::Denied);
        store.tamper(meta_key, &good);
        // A move that was given up leaves seals behind, which keep nobody from anything.
        for locked in [true, false] {
            store.tamper(HEAD, &sealed(&head.replacen("\"totals\"", "\"sealed\":\"m1\",\"totals\"", 1)));
            let lease = if locked { Some(acquire(&chain, 0).await.unwrap()) } else { None };
            let id = format!("sealed-{locked}");
            chain.push(&push_request(&id, vec![new_entry("a", b"1", &id)], lease)).await.unwrap();
        }
    });
}

#[test]
fn a_namespace_that_nobody_set_up_is_not_written() {
    let store = store(14);
    let chain = machine(&store, 1);
    run(&store, async {
        let request = AcquireRequest { namespace: "other".to_owned(), ..acquire_request(0) };
        let error = chain.acquire(&request).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert!(error.message.contains("peat datastore setup"), "{error}");
        assert!(store.keys("other/").is_empty());
    });
}

#[test]
fn a_release_or_break_whose_reply_was_lost_is_known_to_be_done() {
    for fault in [Fault::ReplyLost, Fault::ConflictAfter] {
        let store = store(15);
        let (holder, operator) = (machine(&store, 1), machine(&store, 2));
        run(&store, async {
            let lease = acquire(&holder, 0).await.unwrap();
            store.force(&[fault]);
            let renewed = holder.renew(NAMESPACE, &lease).await.unwrap();
            store.force(&[fault]);
            holder.release(NAMESPACE, &renewed).await.unwrap();
            let broken = acquire(&holder, 0).await.unwrap();
            store.force(&[fault]);
            operator.break_lease(NAMESPACE, PARTITION, &broken.nonce).await.unwrap();
        });
    }
}
