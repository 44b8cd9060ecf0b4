//! Collection, sweeping and compaction: what goes, what stays, what it costs.

use peat_chain::maintenance::{CollectRequest, Collected, Room};
use peat_chain::memory::{Machine, Schedule, Store};
use peat_chain::types::{Lifetime, PullRequest, Wanted};
use peat_chain::{Chain, ErrorKind, Result};

use crate::support::*;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const NOTE_MS: u64 = 60_000;

fn partition(number: usize) -> String {
    format!("model--web--{number:03}")
}

fn collect_request(store: &Store, partitions: &[String]) -> CollectRequest {
    CollectRequest {
        namespace: NAMESPACE.to_owned(),
        partitions: partitions.to_vec(),
        ttl_ms: TTL_MS,
        wait_ms: 0,
        now_ms: store.now_ms(),
        grace_ms: DAY_MS,
        dry_run: false,
        sweep_orphans: false,
        compact: false,
    }
}

async fn collect_one(chain: &Chain<Machine>, partition: &str) -> Collected {
    let request = collect_request(chain.world().store(), &[partition.to_owned()]);
    chain.collect(&request).await.unwrap().remove(0)
}

async fn compact_one(chain: &Chain<Machine>, partition: &str) -> Collected {
    let request = collect_request(chain.world().store(), &[partition.to_owned()]);
    let request = CollectRequest { sweep_orphans: true, compact: true, ..request };
    chain.collect(&request).await.unwrap().remove(0)
}

/// Commits entries of these names and sizes; a name that begins with "note" lives for a minute.
async fn commit(chain: &Chain<Machine>, partition: &str, id: &str, entries: &[(String, usize)], cap: Option<u32>) {
    let append = entries.iter().map(|(name, size)| {
        let mut entry = new_entry(name, &vec![b'x'; *size], id);
        entry.description.created_at_ms = chain.world().store().now_ms();
        entry.version_cap = cap;
        if name.starts_with("note") {
            entry.description.lifetime = Lifetime::DurationMs(NOTE_MS);
        }
        entry
    });
    let request = push_request(id, append.collect(), None);
    chain.push(&peat_chain::types::PushRequest { partition: partition.to_owned(), ..request }).await.unwrap();
}

async fn measure(chain: &Chain<Machine>) -> Vec<Room> {
    chain.measure(NAMESPACE, None).await.unwrap().rooms
}

fn named(entries: &[(&str, usize)]) -> Vec<(String, usize)> {
    entries.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect()
}

fn contents(store: &Store) -> Vec<String> {
    let mut keys = store.keys("default/_packs/");
    keys.extend(store.keys("default/_objects/"));
    keys
}

/// Everything the index tells, with its content. Panics when something is not there.
async fn told(chain: &Chain<Machine>) -> Vec<(String, u64)> {
    let page = pull(chain).await.unwrap();
    let mut told = Vec::new();
    for delta in &page.deltas {
        for pulled in &delta.entries {
            let description = &pulled.entry.description;
            told.push((description.name.clone(), pulled.entry.version));
            let wanted = Wanted {
                partition: delta.partition.clone(),
                name: description.name.clone(),
                version: pulled.entry.version,
                size: description.size,
                digest: description.digest.clone(),
                location: pulled.entry.location.clone(),
            };
            let content = chain.fetch(NAMESPACE, &[wanted]).await.unwrap().remove(0).unwrap();
            assert_eq!(digest(&content.0), description.digest);
        }
    }
    told.sort();
    told
}

#[test]
fn an_entry_whose_lifetime_is_over_leaves_the_index_at_once_and_the_store_after_the_grace_period() {
    let store = store(1);
    let chain = machine(&store, 1);
    run(&store, async {
        let (one, began_ms) = (partition(1), store.now_ms());
        commit(&chain, &one, "c1", &named(&[("kept", 5_000), ("note", 3_000_000), ("note-2", 10)]), None).await;
        assert_eq!(measure(&chain).await[0].expires_ms, Some(began_ms + NOTE_MS));
        let before = collect_one(&chain, &one).await;
        assert_eq!((before.expired.len(), before.objects_deleted), (0, 0), "nothing is over yet");
        store.advance(NOTE_MS);
        let expired = collect_one(&chain, &one).await;
        assert_eq!((expired.expired.len(), expired.expired_bytes, expired.objects_deleted), (2, 3_000_010, 0));
        assert_eq!(told(&machine(&store, 2)).await, [("kept".to_owned(), 1)]);
        assert_eq!(contents(&store).len(), 2, "a reader that is late still finds the content");
        store.advance(DAY_MS - 1_000);
        let early = collect_one(&chain, &one).await;
        assert_eq!((early.objects_deleted, early.bytes_waiting), (0, 3_000_000));
        store.advance(1_000);
        let deleted = collect_one(&chain, &one).await;
        assert_eq!((deleted.objects_deleted, deleted.bytes_deleted), (1, 3_000_000));
        assert_eq!(contents(&store).len(), 1);
        let room = &measure(&chain).await[0];
        assert_eq!((room.totals.entries, room.totals.tombstones, room.totals.tombstone_bytes), (1, 0, 0));
        assert_eq!(room.expires_ms, None);
        commit(&chain, &one, "c2", &named(&[("note", 10)]), None).await;
        assert!(told(&machine(&store, 3)).await.contains(&("note".to_owned(), 2)), "numbers go on");
    });
}

#[test]
fn a_commit_that_is_repeated_after_what_it_wrote_was_collected_is_not_done_again() {
    let store = store(1);
    let (chain, other) = (machine(&store, 1), machine(&store, 2));
    run(&store, async {
        let one = partition(1);
        let mut append = vec![new_entry("note", b"1", "run-a"), new_entry("kept", b"2", "run-a")];
        append[0].description.created_at_ms = store.now_ms();
        append[0].description.lifetime = Lifetime::DurationMs(NOTE_MS);
        let request = peat_chain::types::PushRequest {
            partition: one.clone(),
            may_be_repeated: true,
            ..push_request("c1", append, None)
        };
        chain.push(&request).await.unwrap();
        for round in 0..2 {
            // A mark remembers a name's newest number: that of an older version is forgotten.
            commit(&other, &one, &format!("newer-{round}"), &named(&[("note", 1)]), None).await;
            for wait_ms in [NOTE_MS, DAY_MS] {
                store.advance(wait_ms);
                compact_one(&other, &one).await;
            }
            let receipt = chain.push(&request).await.unwrap();
            let told_of: Vec<_> = receipt.entries.iter().map(|entry| &*entry.description.name).collect();
            assert_eq!((told_of, receipt.collected), (vec!["kept"], vec![0]), "round {round}");
            assert_eq!(told(&other).await.iter().filter(|(name, _)| name == "kept").count(), 1);
            // In the second round the head has forgotten the commit.
            for number in 0..100 {
                commit(&other, &one, &format!("other-{number}"), &named(&[("other", 1)]), Some(1)).await;
            }
        }
    });
}

#[test]
fn a_pack_stays_until_all_of_it_has_left_the_index() {
    let store = store(2);
    let chain = machine(&store, 1);
    run(&store, async {
        let one = partition(1);
        commit(&chain, &one, "c1", &named(&[("a", 9_000), ("b", 8_000), ("note", 7_000)]), None).await;
        store.advance(NOTE_MS);
        collect_one(&chain, &one).await;
        store.advance(2 * DAY_MS);
        assert_eq!(collect_one(&chain, &one).await.bytes_waiting, 7_000);
        assert_eq!(told(&machine(&store, 2)).await.len(), 2);
        commit(&chain, &one, "c2", &named(&[("a", 1), ("b", 1)]), Some(1)).await;
        assert_eq!(collect_one(&chain, &one).await.bytes_waiting, 24_000);
        store.advance(DAY_MS);
        let deleted = collect_one(&chain, &one).await;
        assert_eq!((deleted.objects_deleted, deleted.bytes_deleted, deleted.bytes_waiting), (1, 24_000, 0));
        assert!(contents(&store).is_empty());
    });
}

#[test]
fn seven_expired_entries_cost_two_requests_a_partition_however_many_entries_there_are() {
    for entries in [400, 4_000] {
        let store = store(3);
        let chain = machine(&store, 1);
        run(&store, async {
            let partitions: Vec<String> = (0..20).map(partition).collect();
            for name in &partitions {
                let many: Vec<(String, usize)> = (0..entries / 20).map(|index| (format!("item-{index}"), 10)).collect();
                commit(&chain, name, "c1", &many, None).await;
            }
            for name in partitions.iter().take(7) {
                commit(&chain, name, "c2", &named(&[("note", 9_000)]), None).await;
            }
            store.advance(NOTE_MS);
            measure(&chain).await;
            store.take_requests();
            let rooms = measure(&chain).await;
            assert_eq!(store.take_requests().len(), 1, "one listing tells what is to be collected");
            let now_ms = store.now_ms();
            let due = |room: &&Room| room.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms);
            let due: Vec<String> = rooms.iter().filter(due).map(|room| room.partition.clone()).collect();
            assert_eq!(due, partitions[..7]);
            let collected = chain.collect(&collect_request(&store, &due)).await.unwrap();
            assert_eq!(collected.iter().map(|collected| collected.expired.len()).sum::<usize>(), 7);
            let requests = store.take_requests();
            assert_eq!(requests.len(), 2 * 7, "{requests:#?}");
            store.advance(DAY_MS);
            chain.collect(&collect_request(&store, &due)).await.unwrap();
            let requests = store.take_requests();
            assert_eq!(requests.len(), 3 * 7 + 1, "a deletion more for each, and a look for run scopes: {requests:#?}");
            chain.collect(&collect_request(&store, &partitions[..16])).await.unwrap();
            assert!(store.take_requests().is_empty(), "there is nothing left to do");
        });
    }
}

#[test]
fn only_segments_that_hold_something_that_is_over_are_read_and_their_references_learn_of_it() {
    let store = store(4);
    let chain = machine(&store, 1);
    run(&store, async {
        let one = partition(1);
        for round in 0..6 {
            let many: Vec<(String, usize)> = (0..1_000).map(|index| (format!("item-{round}-{index:04}"), 10)).collect();
            commit(&chain, &one, &format!("c{round}"), &many, None).await;
        }
        let mut mixed: Vec<(String, usize)> = (0..1_200).map(|index| (format!("item-7-{index:04}"), 10)).collect();
        mixed.push(("note".to_owned(), 9_000));
        commit(&chain, &one, "c9", &mixed, None).await;
        store.advance(NOTE_MS);
        let fresh = machine(&store, 2);
        measure(&fresh).await;
        store.take_requests();
        let dry = CollectRequest { dry_run: true, ..collect_request(&store, std::slice::from_ref(&one)) };
        assert_eq!(fresh.collect(&dry).await.unwrap()[0].expired.len(), 1);
        let requests = store.take_requests();
        let segments = requests.iter().filter(|request| request.contains("/_segments/")).count();
        assert!((1..=2).contains(&segments), "{requests:#?}");
        assert!(requests.iter().all(|request| request.starts_with("GET")), "a dry run writes nothing: {requests:#?}");
        collect_one(&chain, &one).await;
        assert_eq!(measure(&chain).await[0].expires_ms, None, "the reference knows that its entry is gone");
    });
}

#[test]
fn a_partition_that_somebody_holds_is_left_alone_or_waited_for() {
    let store = store(5);
    let (chain, other) = (machine(&store, 1), machine(&store, 2));
    run(&store, async {
        let names = vec![partition(1), partition(2)];
        for name in &names {
            commit(&chain, name, "c1", &named(&[("note", 10)]), None).await;
        }
        store.advance(NOTE_MS);
        let held = peat_chain::types::AcquireRequest { partitions: vec![partition(1)], ..acquire_request(0) };
        let lease = other.acquire(&held).await.unwrap().remove(0);
        measure(&chain).await;
        let collected = chain.collect(&collect_request(&store, &names)).await.unwrap();
        assert!(collected[0].left.as_ref().unwrap().contains("host-2"), "{collected:?}");
        assert_eq!((collected[0].expired.len(), collected[1].expired.len()), (0, 1));
        other.renew(NAMESPACE, &lease).await.unwrap();
        let waiting = CollectRequest { wait_ms: 600_000, ..collect_request(&store, &names[..1]) };
        let collected = chain.collect(&waiting).await.unwrap();
        assert_eq!(collected[0].expired.len(), 1, "the holder was silent for too long");
        let both = CollectRequest { wait_ms: 1, ..collect_request(&store, &names) };
        assert_eq!(chain.collect(&both).await.unwrap_err().kind, ErrorKind::InvalidInput);
    });
}

#[test]
fn whoever_has_the_lease_of_the_namespace_is_not_disturbed() {
    let store = store(6);
    let (chain, other) = (machine(&store, 1), machine(&store, 2));
    run(&store, async {
        let one = partition(1);
        commit(&chain, &one, "c1", &named(&[("note", 10)]), None).await;
        store.advance(NOTE_MS);
        let lease = other.acquire_structural(NAMESPACE, TTL_MS, 0).await.unwrap();
        let request = collect_request(&store, &[one]);
        let error = chain.collect(&request).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Held, "{error}");
        assert_eq!(told(&machine(&store, 3)).await.len(), 1);
        other.release(NAMESPACE, &lease).await.unwrap();
        assert_eq!(chain.collect(&request).await.unwrap()[0].expired.len(), 1);
    });
}

#[test]
fn content_that_the_store_does_not_delete_is_said_and_tried_again() {
    let store = store(7);
    let chain = machine(&store, 1);
    run(&store, async {
        let one = partition(1);
        commit(&chain, &one, "c1", &named(&[("note", 2_000_000)]), None).await;
        store.advance(NOTE_MS);
        collect_one(&chain, &one).await;
        store.advance(DAY_MS);
        store.refuse_deletes(true);
        let refused = collect_one(&chain, &one).await;
        assert!(refused.left.unwrap().contains("not allowed"));
        assert_eq!((refused.objects_deleted, refused.bytes_waiting), (0, 2_000_000));
        store.refuse_deletes(false);
        assert_eq!(collect_one(&chain, &one).await.bytes_deleted, 2_000_000);
    });
}

#[test]
fn orphans_are_deleted_when_they_are_old_and_uploads_under_way_are_done_again() {
    let store = store(8);
    let (chain, writer) = (machine(&store, 1), machine(&store, 2));
    run(&store, async {
        let one = partition(1);
        commit(&chain, &one, "c1", &named(&[("a", 9_000)]), None).await;
        let orphan = format!("default/_packs/{one}/{}", "0".repeat(32));
        store.tamper(&orphan, b"never committed");
        assert_eq!(compact_one(&chain, &one).await.objects_deleted, 0, "it may still be committed");
        store.advance(DAY_MS);
        let swept = compact_one(&chain, &one).await;
        assert_eq!((swept.objects_deleted, swept.bytes_deleted), (1, 15));
        assert_eq!(told(&machine(&store, 3)).await.len(), 1);
        // A writer that uploads, sleeps through the sweep, and then commits.
        let append = vec![new_entry("late", &[7; 9_000], "run-1")];
        let request = peat_chain::types::PushRequest { partition: one.clone(), ..push_request("late", append, None) };
        let mut pushing = Box::pin(writer.push(&request));
        while contents(&store).len() < 2 {
            assert!(futures::poll!(&mut pushing).is_pending());
        }
        store.advance(DAY_MS);
        assert_eq!(compact_one(&chain, &one).await.objects_deleted, 1);
        pushing.await.unwrap();
        assert_eq!(told(&machine(&store, 4)).await.len(), 2, "it was uploaded again");
    });
}

#[test]
fn compaction_copies_what_is_alive_and_frees_the_rest() {
    let store = store(9);
    let (chain, reader) = (machine(&store, 1), machine(&store, 2));
    run(&store, async {
        let one = partition(1);
        commit(&chain, &one, "c1", &named(&[("a", 9_000), ("note", 50_000)]), None).await;
        let page = pull(&reader).await.unwrap();
        let old = &page.deltas[0].entries.iter().find(|pulled| pulled.entry.description.name == "a").unwrap().entry;
        reader.world().set_known(&one, &page.deltas[0].version);
        store.advance(NOTE_MS);
        collect_one(&chain, &one).await;
        store.advance(DAY_MS);
        compact_one(&chain, &one).await;
        let wanted = Wanted {
            partition: one.clone(),
            name: "a".to_owned(),
            version: 1,
            size: 9_000,
            digest: old.description.digest.clone(),
            location: old.location.clone(),
        };
        assert!(reader.fetch(NAMESPACE, std::slice::from_ref(&wanted)).await.unwrap()[0].is_ok(), "the grace period");
        store.advance(DAY_MS);
        assert_eq!(collect_one(&chain, &one).await.bytes_deleted, 50_000, "9,000 were copied, not freed");
        let error = reader.fetch(NAMESPACE, &[wanted]).await.unwrap().remove(0).unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        let news = pull(&reader).await.unwrap();
        assert_ne!(news.deltas[0].entries[0].entry.location, old.location, "the replica hears of the new place");
        assert_eq!(told(&machine(&store, 3)).await, [("a".to_owned(), 1)]);
        assert_eq!(contents(&store).len(), 1);
    });
}

#[test]
fn the_index_shrinks_and_compacting_again_changes_nothing() {
    let store = store(10);
    let chain = machine(&store, 1);
    run(&store, async {
        let one = partition(1);
        for round in 0..30 {
            let many: Vec<(String, usize)> = (0..100).map(|index| (format!("note-{index}"), 4_500)).collect();
            commit(&chain, &one, &format!("n{round}"), &many, None).await;
            commit(&chain, &one, &format!("k{round}"), &named(&[("kept", 5_000)]), Some(3)).await;
        }
        store.advance(NOTE_MS);
        let first = collect_one(&chain, &one).await;
        assert!(first.more, "a step is bounded");
        assert_eq!(first.expired.len() + collect_one(&chain, &one).await.expired.len(), 3_000);
        store.advance(2 * DAY_MS);
        let before = store.keys("default/_segments/").len();
        for _ in 0..3 {
            compact_one(&chain, &one).await;
            store.advance(2 * DAY_MS);
        }
        assert!(store.keys("default/_segments/").len() < before.min(3), "{before}");
        assert_eq!(contents(&store).len(), 3);
        assert_eq!(told(&machine(&store, 2)).await.len(), 3);
        store.take_requests();
        compact_one(&chain, &one).await;
        let requests = store.take_requests();
        assert!(requests.iter().all(|request| !request.starts_with("PUT")), "{requests:#?}");
    });
}

#[test]
fn a_reader_whose_segments_were_replaced_and_deleted_meanwhile_begins_the_partition_again() {
    let store = store(11);
    let (chain, reader) = (machine(&store, 1), machine(&store, 2));
    run(&store, async {
        let one = partition(1);
        for round in 0..6 {
            let many: Vec<(String, usize)> = (0..900).map(|index| (format!("item-{index}"), 10)).collect();
            commit(&chain, &one, &format!("c{round}"), &many, Some(1)).await;
        }
        let first = pull(&reader).await.unwrap();
        assert!(first.cursor.is_none() || first.deltas[0].continues);
        reader.world().clear_cache();
        let mut pulling = Box::pin(pull(&reader));
        store.take_requests();
        while !store.take_requests().iter().any(|request| request.starts_with("GET default/_index/model")) {
            assert!(futures::poll!(&mut pulling).is_pending());
        }
        store.advance(2 * DAY_MS);
        let swept = compact_one(&chain, &one).await;
        assert!(swept.objects_deleted > 0, "{swept:?}");
        let page = pulling.await.unwrap();
        assert!(!page.deltas[0].entries.is_empty());
    });
}

#[test]
fn a_replica_that_knew_everything_is_told_what_it_knows_afterwards() {
    let store = store(12);
    let chain = machine(&store, 1);
    run(&store, async {
        let one = partition(1);
        commit(&chain, &one, "c1", &named(&[("a", 10), ("note", 10)]), None).await;
        let page = pull(&chain).await.unwrap();
        chain.world().set_known(&one, &page.deltas[0].version);
        store.advance(NOTE_MS);
        let collected = collect_one(&chain, &one).await;
        chain.world().set_known(&one, &collected.version.unwrap());
        assert!(pull(&chain).await.unwrap().deltas.is_empty());
        commit(&machine(&store, 2), &one, "c2", &named(&[("note", 10)]), None).await;
        store.advance(NOTE_MS);
        measure(&chain).await;
        assert_eq!(collect_one(&chain, &one).await.version, None, "it has not heard of the second note");
    });
}

async fn pull_all(chain: &Chain<Machine>, request: PullRequest) -> Result<usize> {
    chain.pull(&request).await.map(|page| page.deltas.len())
}

#[test]
fn what_is_asked_wrongly_is_refused() {
    let store = store(13);
    let chain = machine(&store, 1);
    run(&store, async {
        assert_eq!(pull_all(&chain, pull_request(None)).await.unwrap(), 0);
        let sound = collect_request(&store, &[partition(1)]);
        let wrong = [
            CollectRequest { partitions: vec![partition(2), partition(1)], ..sound.clone() },
            CollectRequest { partitions: (0..17).map(partition).collect(), ..sound.clone() },
            CollectRequest { ttl_ms: 1, ..sound.clone() },
            CollectRequest { namespace: "..".to_owned(), ..sound.clone() },
        ];
        for request in wrong {
            assert_eq!(chain.collect(&request).await.unwrap_err().kind, ErrorKind::InvalidInput);
        }
        let absent = chain.collect(&sound).await.unwrap();
        assert_eq!((absent[0].expired.len(), &absent[0].left), (0, &None), "no head is made for it");
        assert!(store.keys("default/_index/model").is_empty());
    });
}

const SCOPE: &str = "default.scope-1";

/// Everything that a namespace tells, each with its content; the number of them.
async fn readable(store: &Store, namespace: &str) -> usize {
    crate::support::contents(store, namespace).await.unwrap().len()
}

#[test]
fn what_an_open_run_scope_may_read_is_deleted_when_the_scope_is_gone() {
    let store = store(21);
    let chain = machine(&store, 1);
    run(&store, async {
        let one = partition(1);
        let large = |name: &str| (name.to_owned(), 2_000_000);
        commit(&chain, &one, "c1", &[large("kept"), large("note")], None).await;
        chain.create_namespace(SCOPE, Some(NAMESPACE), None).await.unwrap();
        // A head of its own, which names everything that the parent's has.
        write_to(&chain, (SCOPE, &one), "s1", "own", b"1").await.unwrap();
        commit(&chain, &one, "c2", &[large("kept")], Some(1)).await;
        store.advance(NOTE_MS);
        collect_one(&chain, &one).await;
        store.advance(2 * DAY_MS);
        let expected = contents(&store).len();
        for _ in 0..2 {
            let kept = compact_one(&chain, &one).await;
            assert_eq!(kept.objects_deleted, 0);
            assert!(kept.left.unwrap().contains("run scope"));
            assert!(kept.bytes_waiting >= 4_000_000, "{}", kept.bytes_waiting);
        }
        assert_eq!(contents(&store).len(), expected);
        assert_eq!(readable(&store, SCOPE).await, 3, "both of then, and its own");
        to_the_end(async |state| chain.delete_namespace(SCOPE, false, state).await).await.unwrap();
        let deleted = compact_one(&chain, &one).await;
        assert!(deleted.left.is_none() && deleted.bytes_deleted >= 4_000_000, "{deleted:?}");
        assert_eq!((contents(&store).len(), readable(&store, NAMESPACE).await), (1, 1));
    });
}

/// The first write in a scope at any moment of a collection: whichever was first, the scope can read all that it names.
#[test]
fn a_scope_that_begins_during_a_collection_reads_everything_it_names() {
    let mut began_late = 0;
    for seed in 0..60 {
        let store = store(seed);
        let (collector, scope) = (machine(&store, 1), machine(&store, 2));
        let one = partition(1);
        run(&store, async {
            for round in 0..40 {
                let names: Vec<_> = (0..20).map(|item| (format!("item-{round}-{item}"), 400)).collect();
                commit(&collector, &one, &format!("c{round}"), &names, None).await;
            }
            commit(&collector, &one, "notes", &named(&[("note", 2_000_000), ("note-2", 60_000)]), None).await;
            scope.create_namespace(SCOPE, Some(NAMESPACE), None).await.unwrap();
            store.advance(DAY_MS);
        });
        let request = CollectRequest {
            sweep_orphans: true,
            compact: true,
            grace_ms: 0,
            ..collect_request(&store, std::slice::from_ref(&one))
        };
        let mut schedule = Schedule::new(&store);
        let (collector, scope, request, one) = (&collector, &scope, &request, one.as_str());
        schedule.add(async move {
            for _ in 0..3 {
                collector.collect(request).await.unwrap();
            }
        });
        schedule.add(async move {
            write_to(scope, (SCOPE, one), "s1", "own", b"1").await.unwrap();
        });
        schedule.run();
        run(&store, async {
            let own = readable(&store, SCOPE).await;
            assert!(own >= 801, "seed {seed}: {own}");
            began_late += usize::from(own == 801);
        });
    }
    assert!((5..55).contains(&began_late), "both orders are among them: {began_late} of 60 began late");
}
