//! What those who wait for a partition are promised, over many seeds: who has taken a place in the queue is served in the
//! order in which the waits began, a handover takes a few round trips, and a writer that nobody is in the way of needs two.

use std::cell::RefCell;

use peat_chain::Chain;
use peat_chain::memory::{Machine, Schedule, Store};
use peat_chain::ports::Clock as _;
use peat_chain::types::{AcquireRequest, PushRequest};

use crate::support::*;

/// A round trip to the store in virtual milliseconds.
const ROUND_TRIP_MS: u64 = 20;

/// How long a method of these tests works.
const METHOD_MS: u64 = 60;

/// How long a method works for which others wait for long.
const LONG_METHOD_MS: u64 = 15_000;

const SEEDS: u64 = 60;

/// A write as a host makes it. Answers when the lease was had and given up.
async fn write_as_a_host(chain: &Chain<Machine>, commit: &str, method_ms: u64) -> (u64, u64) {
    let lease = acquire(chain, 3_600_000).await.unwrap();
    let had_ms = chain.world().elapsed_ms();
    chain.world().sleep(method_ms).await;
    chain.push(&push_request(commit, vec![new_entry("a", &[7; 1024], commit)], Some(lease))).await.unwrap();
    (had_ms, chain.world().elapsed_ms())
}

/// Writers of hosts of their own, each beginning when it is told to. Answers who was served when, in order.
fn contend(store: &Store, arrivals_ms: &[u64]) -> Vec<(usize, u64, u64)> {
    contend_for(store, arrivals_ms, METHOD_MS, METHOD_MS)
}

/// The same; the method of the first works for another time than those of the others.
fn contend_for(store: &Store, arrivals_ms: &[u64], first_ms: u64, others_ms: u64) -> Vec<(usize, u64, u64)> {
    let served = RefCell::new(Vec::new());
    let mut schedule = Schedule::exact(store);
    for (writer, arrival_ms) in arrivals_ms.iter().enumerate() {
        let (chain, served) = (machine(store, u32::try_from(writer).unwrap() + 1), &served);
        schedule.add(async move {
            // A machine that has used the store before.
            pull(&chain).await.unwrap();
            chain.world().sleep(*arrival_ms).await;
            let method_ms = if writer == 0 { first_ms } else { others_ms };
            let (had_ms, gave_ms) = write_as_a_host(&chain, &format!("w{writer}"), method_ms).await;
            served.borrow_mut().push((writer, had_ms, gave_ms));
        });
    }
    schedule.run();
    let mut served = served.into_inner();
    served.sort_by_key(|(_, had_ms, _)| *had_ms);
    served
}

fn used_store(seed: u64) -> Store {
    let store = store(seed);
    run(&store, async {
        write(&machine(&store, 500), "before", "a", b"1").await.unwrap();
    });
    store.set_latency_ms(ROUND_TRIP_MS);
    store
}

#[test]
fn a_warm_locked_write_is_three_requests_and_two_of_them_one_after_the_other() {
    let store = used_store(1);
    let chain = machine(&store, 1);
    let counted = store.clone();
    let mut schedule = Schedule::exact(&store);
    schedule.add(async move {
        write_as_a_host(&chain, "c0", 0).await;
        for round in 1..20_u64 {
            counted.take_requests();
            let began_ms = counted.now_ms();
            // A method that takes no time: nothing can hide behind it.
            write_as_a_host(&chain, &format!("c{round}"), 0).await;
            let requests = counted.take_requests();
            assert_eq!(requests.len(), 3, "{requests:#?}");
            assert_eq!(counted.now_ms() - began_ms, 2 * ROUND_TRIP_MS, "{requests:#?}");
        }
    });
    schedule.run();
}

/// A write of one's own partition, as a host makes it.
async fn write_own(chain: &Chain<Machine>, partition: &str, commit: &str) {
    let request = AcquireRequest { partitions: vec![partition.to_owned()], ..acquire_request(60_000) };
    let lease = chain.acquire(&request).await.unwrap().remove(0);
    let push = push_request(commit, vec![new_entry("a", &[7; 1024], commit)], Some(lease));
    chain.push(&PushRequest { partition: partition.to_owned(), ..push }).await.unwrap();
}

#[test]
fn sixty_four_writers_of_a_partition_each_take_no_longer_than_one() {
    let store = used_store(5);
    let writers: Vec<_> =
        (0..64).map(|pid| (machine(&store, pid + 1), format!("model--command+shell--{pid:08}"))).collect();
    for (chain, partition) in &writers {
        run(&store, write_own(chain, partition, "first"));
    }
    store.take_requests();
    let began_ms = store.now_ms();
    let mut schedule = Schedule::exact(&store);
    for (chain, partition) in &writers {
        schedule.add(write_own(chain, partition, "second"));
    }
    schedule.run();
    // Without the time of a processor: nobody waits for anybody, and nobody asks again.
    assert_eq!(store.now_ms() - began_ms, 2 * ROUND_TRIP_MS);
    assert_eq!(store.take_requests().len(), 64 * 3);
}

#[test]
fn sixteen_writers_of_one_partition_are_served_in_the_order_their_waits_began() {
    for seed in 0..SEEDS {
        let store = used_store(seed);
        // One every 30 to 60 ms, so that most of them wait: faster than they can be served.
        let mut arrival_ms = 1_000;
        let arrivals: Vec<u64> = (0..16)
            .map(|_| {
                arrival_ms += 30 + store.chance() % 30;
                arrival_ms
            })
            .collect();
        let served = contend(&store, &arrivals);
        let order: Vec<usize> = served.iter().map(|(writer, _, _)| *writer).collect();
        let overtaken = |writer: usize| {
            let place = order.iter().position(|other| *other == writer).unwrap();
            order[..place].iter().filter(|other| **other > writer).count()
        };
        let most = (0..16).map(overtaken).max().unwrap();
        assert!(most <= 1, "seed {seed}: somebody was overtaken {most} times: {order:?}");
    }
}

#[test]
fn a_handover_takes_at_most_five_round_trips() {
    let mut all = Vec::new();
    for seed in 0..SEEDS {
        let store = used_store(seed);
        let arrivals: Vec<u64> = (0..16).map(|_| 1_000 + store.chance() % 500).collect();
        let served = contend(&store, &arrivals);
        all.extend(served.windows(2).map(|two| two[1].1.saturating_sub(two[0].2)));
    }
    all.sort_unstable();
    let (median, most) = (all[all.len() / 2], all[all.len() - 1]);
    println!("handovers: {} of them, median {median} ms, most {most} ms, round trip {ROUND_TRIP_MS} ms", all.len());
    assert!(median <= 3 * ROUND_TRIP_MS, "median {median} ms");
    assert!(most <= 5 * ROUND_TRIP_MS, "one took {most} ms");
}

#[test]
fn a_handover_takes_at_most_five_round_trips_after_long_work_too() {
    for seed in 0..SEEDS {
        let store = used_store(seed);
        let mut arrivals = vec![0];
        arrivals.extend((1..16).map(|_| 1_000 + store.chance() % 500));
        // The others' methods take no time: the next but one is due almost at once.
        let served = contend_for(&store, &arrivals, LONG_METHOD_MS, 0);
        let handovers: Vec<u64> = served.windows(2).map(|two| two[1].1.saturating_sub(two[0].2)).collect();
        let most = handovers.iter().max().unwrap();
        assert!(*most <= 5 * ROUND_TRIP_MS, "seed {seed}: {handovers:?} ms");
    }
}

#[test]
fn a_place_in_the_queue_tells_when_the_wait_began_and_not_when_the_ticket_was_written() {
    let store = used_store(3);
    // So slow that seconds pass before a ticket is written.
    store.set_latency_ms(1_000);
    let (holder, waiter) = (machine(&store, 1), machine(&store, 2));
    let began_ms = std::cell::Cell::new(0);
    let seen = RefCell::new(Vec::new());
    let watcher = machine(&store, 3);
    let mut schedule = Schedule::exact(&store);
    schedule.add(async {
        acquire(&holder, 0).await.unwrap();
        began_ms.set(holder.world().elapsed_ms());
        assert!(acquire(&waiter, 12_000).await.is_err());
    });
    schedule.add(async {
        while seen.borrow().is_empty() {
            watcher.world().sleep(100).await;
            let now_ms = watcher.world().store().now_ms();
            let tickets = watcher.world().store().keys("default/_queue/").into_iter();
            seen.borrow_mut().extend(tickets.map(|ticket| (ticket, now_ms - began_ms.get())));
        }
    });
    schedule.run();
    let (ticket, written_after_ms) = seen.into_inner().remove(0);
    let since: u64 = ticket.rsplit('/').next().unwrap().split('-').next().unwrap().parse().unwrap();
    assert!(written_after_ms >= 2_000, "the test needs a ticket that is written late: {written_after_ms} ms");
    assert!(since.abs_diff(began_ms.get()) <= 500, "{since}, the wait began at {}", began_ms.get());
}
