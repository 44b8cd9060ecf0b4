//! Seeded schedules of several writers on a faulty store: nothing acknowledged is lost, nothing is done twice, numbers never
//! fall. A failing seed reproduces with `PEAT_CHAIN_SEED=n`; `PEAT_CHAIN_SEEDS=n` runs more of them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use peat_chain::memory::{Bytes, Fault, Faults, Machine, Schedule, Store};
use peat_chain::types::{Depth, Lease, PushRequest, Receipt};
use peat_chain::{Chain, Error, ErrorKind};

use crate::support::*;

const WRITERS: u32 = 4;
const COMMITS: u32 = 5;

/// What writers were told.
#[derive(Debug, Default)]
struct Told {
    /// Commit id → (name, version).
    acknowledged: BTreeMap<String, (String, u64)>,
    epochs: Vec<u64>,
}

fn seeds() -> Vec<u64> {
    let read = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match read("PEAT_CHAIN_SEED") {
        Some(seed) => vec![seed],
        None => (0..read("PEAT_CHAIN_SEEDS").unwrap_or(300)).collect(),
    }
}

fn faulty() -> Faults {
    Faults { unavailable: 30, reply_lost: 60, conflict_after: 40, delayed: 40 }
}

/// A commit that is tried until it is acknowledged, as a host does with what is pending.
async fn commit_until_acknowledged(
    chain: &Chain<Machine>,
    commit: &str,
    name: &str,
    (locked, repeated): (bool, bool),
    told: &RefCell<Told>,
) {
    let content = commit.as_bytes().repeat(700);
    for tries in 0..200 {
        let request = |lease| PushRequest {
            may_be_repeated: repeated || tries > 0,
            ..push_request(commit, vec![new_entry(name, &content, commit)], lease)
        };
        match attempt(chain, request, locked, told).await {
            Ok(receipt) => {
                assert_eq!(receipt.entries.len(), 1);
                let acknowledged = (name.to_owned(), receipt.entries[0].version);
                told.borrow_mut().acknowledged.insert(commit.to_owned(), acknowledged);
                return;
            }
            Err(error) => assert!(
                matches!(
                    error.kind,
                    ErrorKind::Unavailable(_) | ErrorKind::LeaseLost | ErrorKind::Held | ErrorKind::Conflict
                ),
                "{error}"
            ),
        }
    }
    panic!("commit {commit} was never acknowledged");
}

async fn attempt(
    chain: &Chain<Machine>,
    request: impl Fn(Option<Lease>) -> PushRequest<Bytes>,
    locked: bool,
    told: &RefCell<Told>,
) -> Result<Receipt, Error> {
    let lease = if locked { Some(acquire(chain, 300_000).await?) } else { None };
    told.borrow_mut().epochs.extend(lease.as_ref().map(|lease| lease.epoch));
    chain.push(&request(lease)).await
}

/// Every acknowledged commit is in the index once, with its version and content; nothing else is there.
fn check(store: &Store, told: &Told, seed: u64) {
    store.set_faults(Faults::default());
    store.advance(60_000);
    let reader = machine(store, 1_000);
    run(store, async {
        let mut found: BTreeMap<String, (String, u64)> = BTreeMap::new();
        let mut versions: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        let mut request = pull_request(None);
        request.depth = Depth::Content;
        loop {
            let page = reader.pull(&request).await.unwrap();
            for pulled in page.deltas.iter().flat_map(|delta| &delta.entries) {
                let (description, version) = (&pulled.entry.description, pulled.entry.version);
                let commit = description.run_id.clone();
                let content = pulled.content.as_ref().unwrap();
                assert_eq!(digest(&content.0), description.digest, "seed {seed}");
                assert!(versions.entry(description.name.clone()).or_default().insert(version), "seed {seed}");
                let before = found.insert(commit.clone(), (description.name.clone(), version));
                assert!(before.is_none(), "seed {seed}: commit {commit} was done twice");
            }
            request.cursor = page.cursor;
            if request.cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, told.acknowledged, "seed {seed}");
        for (name, versions) in versions {
            let count = versions.len() as u64;
            assert!(versions.into_iter().eq(1..=count), "seed {seed}: {name} has gaps in its versions");
        }
    });
}

#[test]
fn no_acknowledged_commit_is_lost_or_done_twice_whatever_the_store_does() {
    for locked in [true, false] {
        for seed in seeds() {
            let store = store(seed);
            store.set_faults(faulty());
            let told = RefCell::new(Told::default());
            let mut schedule = Schedule::new(&store);
            for writer in 0..WRITERS {
                let (chain, told) = (machine(&store, writer + 1), &told);
                schedule.add(async move {
                    for commit in 0..COMMITS {
                        let name = format!("name-{}", commit % 2);
                        let commit = format!("w{writer}-c{commit}");
                        commit_until_acknowledged(&chain, &commit, &name, (locked, false), told).await;
                    }
                });
            }
            schedule.run();
            let told = told.into_inner();
            assert_eq!(told.acknowledged.len(), (WRITERS * COMMITS) as usize);
            let distinct: BTreeSet<u64> = told.epochs.iter().copied().collect();
            assert_eq!(distinct.len(), told.epochs.len(), "seed {seed}: an epoch was given twice");
            check(&store, &told, seed);
        }
    }
}

#[test]
fn a_writer_killed_between_any_two_requests_leaves_nothing_half_done_and_its_successor_finishes() {
    for seed in seeds() {
        let store = store(seed);
        store.set_faults(faulty());
        let told = RefCell::new(Told::default());
        let mut schedule = Schedule::new(&store);
        for writer in 0..WRITERS {
            let (victim, told) = (machine(&store, writer + 1), &told);
            let heir = Chain::new(victim.world().sibling(writer + 101));
            let victims = victim.clone();
            let task = schedule.add(async move {
                for commit in 0..COMMITS {
                    let commit = format!("w{writer}-c{commit}");
                    commit_until_acknowledged(&victims, &commit, "name", (true, false), told).await;
                }
            });
            schedule.kill(task, store.chance() % 400);
            let store = store.clone();
            schedule.add(async move {
                // The next command on that machine, after the kill: it finds what is pending and pushes it again.
                use peat_chain::ports::Clock as _;
                heir.world().sleep(400 + store.chance() % 50).await;
                victim.world().bury(writer + 1);
                for commit in 0..COMMITS {
                    let commit = format!("w{writer}-c{commit}");
                    commit_until_acknowledged(&heir, &commit, "name", (true, true), told).await;
                }
            });
        }
        schedule.run();
        check(&store, &told.into_inner(), seed);
    }
}

#[test]
fn a_holder_paused_for_three_times_its_ttl_cannot_commit_over_its_successor() {
    let store = store(1);
    let (paused, heir) = (machine(&store, 1), machine(&store, 2));
    run(&store, async {
        let lease = acquire(&paused, 0).await.unwrap();
        store.advance(3 * TTL_MS);
        let new = acquire(&heir, 0).await.unwrap();
        assert_eq!(new.epoch, lease.epoch + 1);
        let late = push_request("late", vec![new_entry("a", b"late", "run-1")], Some(lease));
        assert_eq!(paused.push(&late).await.unwrap_err().kind, ErrorKind::LeaseLost);
        heir.push(&push_request("new", vec![new_entry("a", b"new", "run-2")], Some(new))).await.unwrap();
        assert_eq!(paused.push(&late).await.unwrap_err().kind, ErrorKind::LeaseLost);
    });
}

#[test]
fn a_commit_answers_the_same_receipt_when_it_is_repeated_even_after_many_others() {
    let store = store(2);
    let (one, two) = (machine(&store, 1), machine(&store, 2));
    run(&store, async {
        for (fault, id) in [(Fault::ReplyLost, "c1"), (Fault::ConflictAfter, "c2"), (Fault::Delayed, "c3")] {
            let request = push_request(id, vec![new_entry("a", id.as_bytes(), id)], None);
            one.push(&push_request(&format!("{id}-before"), vec![new_entry("b", b"1", "run-b")], None)).await.unwrap();
            store.force(&[fault]);
            let first = one.push(&request).await.unwrap();
            store.advance(30_000);
            for round in 0..100 {
                let append = vec![new_entry("other", b"1", "run-o")];
                two.push(&push_request(&format!("{id}-{round}"), append, None)).await.unwrap();
            }
            let again = one.push(&PushRequest { may_be_repeated: true, ..request }).await.unwrap();
            assert_eq!(again.entries, first.entries);
        }
        let page = pull(&machine(&store, 3)).await.unwrap();
        let written: Vec<u64> = page
            .deltas
            .iter()
            .flat_map(|delta| &delta.entries)
            .filter(|pulled| pulled.entry.description.name == "a")
            .map(|pulled| pulled.entry.version)
            .collect();
        assert_eq!(written, [1, 2, 3]);
    });
}

#[test]
fn commits_without_a_lease_are_rebased_over_each_other() {
    for seed in seeds().into_iter().take(50) {
        let store = store(seed);
        let told = RefCell::new(Told::default());
        let mut schedule = Schedule::new(&store);
        for writer in 0..8 {
            let (chain, told) = (machine(&store, writer + 1), &told);
            schedule.add(async move {
                let commit = format!("w{writer}");
                let append =
                    vec![new_entry(&format!("own-{writer}"), b"1", &commit), new_entry("shared", b"2", "run-s")];
                let receipt = chain.push(&push_request(&commit, append, None)).await.unwrap();
                assert_eq!(receipt.entries[0].version, 1);
                told.borrow_mut().acknowledged.insert(commit, ("shared".to_owned(), receipt.entries[1].version));
            });
        }
        schedule.run();
        let versions: BTreeSet<u64> =
            told.into_inner().acknowledged.into_values().map(|(_, version)| version).collect();
        assert!(versions.into_iter().eq(1..=8), "seed {seed}");
    }
}

#[test]
fn caps_leave_the_newest_good_version_when_runs_fail() {
    let store = store(3);
    let chain = machine(&store, 1);
    run(&store, async {
        for round in 0..5_u64 {
            let mut entry = new_entry("a", format!("{round}").as_bytes(), "run-1");
            entry.version_cap = Some(2);
            entry.description.of_failed_run = round >= 2;
            chain.push(&push_request(&format!("c{round}"), vec![entry], None)).await.unwrap();
        }
        let page = pull(&machine(&store, 2)).await.unwrap();
        let kept: Vec<u64> = page.deltas[0].entries.iter().map(|pulled| pulled.entry.version).collect();
        assert_eq!(kept, [2, 5], "version 2 is the newest good one");
    });
}
