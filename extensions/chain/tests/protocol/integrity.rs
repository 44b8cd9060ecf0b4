//! Every record in the store carries a checksum of itself: one changed byte anywhere is named by its key, and nothing is
//! done on the strength of it.

use peat_chain::memory::{Machine, Store};
use peat_chain::{Chain, Error, ErrorKind};

use crate::support::*;

const META: &str = "default/_index/_meta.json";

/// Changes one byte after the other of the object at `key`, and asks a machine that has seen none of them.
fn flip_every_byte<T: std::fmt::Debug>(
    store: &Store,
    key: &str,
    ask: impl AsyncFn(&Chain<Machine>) -> Result<T, Error>,
) {
    let good = store.peek(key).unwrap();
    for place in 0..good.len() {
        let mut changed = good.clone();
        // Another bit in every place, the one that turns digits and letters into each other among them.
        changed[place] ^= 1 << (place % 8);
        store.tamper(key, &changed);
        store.take_requests();
        let error = run(store, ask(&machine(store, 7))).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Corrupt, "byte {place} of {key}: {error}");
        assert!(error.message.contains(key), "byte {place} of {key}: {error}");
        assert_eq!(store.peek(key).unwrap(), changed, "it was written over");
    }
    store.tamper(key, &good);
    run(store, ask(&machine(store, 7))).unwrap();
}

/// A store with a head that has a lease, a waiter's turn, commits, inlined content and a segment.
fn furnished(seed: u64) -> Store {
    let store = store(seed);
    let writer = machine(&store, 1);
    run(&store, async {
        let many = (0..600).map(|index| new_entry(&format!("d-{index:04}"), &[1; 300], "run-1")).collect();
        writer.push(&push_request("c0", many, None)).await.unwrap();
        write(&writer, "c1", "a", b"inlined").await.unwrap();
    });
    assert!(!store.keys("default/_segments/").is_empty());
    store
}

#[test]
fn one_changed_byte_of_a_head_is_named_and_not_believed() {
    let store = furnished(1);
    flip_every_byte(&store, HEAD, async |chain| pull(chain).await);
    flip_every_byte(&store, HEAD, async |chain| {
        // Taking the lease must not write over it; where the head is whole the lease is given back.
        let lease = acquire(chain, 0).await?;
        chain.release(NAMESPACE, &lease).await
    });
}

#[test]
fn one_changed_byte_of_a_namespace_root_is_named_and_not_believed() {
    let store = furnished(2);
    let keeper = machine(&store, 5);
    run(&store, async {
        let lease = keeper.acquire_structural(NAMESPACE, TTL_MS, 0).await.unwrap();
        keeper.release(NAMESPACE, &lease).await.unwrap();
    });
    flip_every_byte(&store, META, async |chain| {
        let lease = acquire(chain, 0).await?;
        chain.release(NAMESPACE, &lease).await
    });
    flip_every_byte(&store, META, async |chain| {
        let lease = chain.acquire_structural(NAMESPACE, TTL_MS, 0).await?;
        chain.release(NAMESPACE, &lease).await
    });
}

#[test]
fn one_changed_byte_of_the_store_record_is_named_and_not_believed() {
    let store = furnished(3);
    flip_every_byte(&store, "peat.json", async |chain| pull(chain).await);
    flip_every_byte(&store, "peat.json", async |chain| chain.verify(NAMESPACE).await);
}

#[test]
fn one_changed_byte_of_a_segment_is_named_and_not_believed() {
    let store = furnished(4);
    let segment = store.keys("default/_segments/").remove(0);
    flip_every_byte(&store, &segment, async |chain| {
        let mut cursor = None;
        loop {
            let page = chain.pull(&pull_request(cursor)).await?;
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(());
            }
        }
    });
}

#[test]
fn a_waiter_whose_ticket_has_one_changed_byte_is_not_shown_as_somebody_else() {
    let store = store(5);
    run(&store, async {
        acquire(&machine(&store, 1), 0).await.unwrap();
    });
    let (key, ticket) = waiting_ticket(&store);
    let shown = || {
        let page = run(&store, machine(&store, 9).inspect(NAMESPACE, None)).unwrap();
        page.leases[0].queue.iter().map(|waiter| waiter.holder.pid).collect::<Vec<_>>()
    };
    for place in 0..ticket.len() {
        let mut changed = ticket.clone();
        changed[place] ^= 1 << (place % 8);
        store.tamper(&key, &changed);
        assert_eq!(shown(), [0_u32; 0], "byte {place}");
    }
    store.tamper(&key, &ticket);
    assert_eq!(shown(), [2]);
}

/// The ticket that process 2 writes while it waits.
fn waiting_ticket(store: &Store) -> (String, Vec<u8>) {
    use peat_chain::memory::Schedule;
    let seen = std::cell::RefCell::new(None);
    let mut schedule = Schedule::new(store);
    let waiter = machine(store, 2);
    schedule.add(async move {
        assert_eq!(acquire(&waiter, 3_000).await.unwrap_err().kind, ErrorKind::Held);
    });
    let (watcher, found) = (machine(store, 3), &seen);
    schedule.add(async move {
        use peat_chain::ports::Clock as _;
        while found.borrow().is_none() {
            watcher.world().sleep(20).await;
            let tickets = watcher.world().store().keys("default/_queue/");
            let ticket = tickets.first().and_then(|key| Some((key.clone(), watcher.world().store().peek(key)?)));
            *found.borrow_mut() = ticket;
        }
    });
    schedule.run();
    seen.into_inner().unwrap()
}
