//! Nothing acknowledged is lost and nothing is half there, however often the processes that use a store are killed.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use peat_conformance_tests::crash_work::{COMMITS_PER_WORKER, Way, items, partition_of, way};
use peat_conformance_tests::samples::read;
use peat_conformance_tests::worker::Worker;
use peat_core::content;
use peat_core::digest::Digest;
use peat_core::ports::{EntryFilter, LocalStore, Lookup, ObjectStore, StoredState};
use peat_store::{DirectoryObjects, SqliteStore, StoreSettings};
use peat_test_support::random::SeededRandom;

const WORKER: &str = env!("CARGO_BIN_EXE_store-worker");
const SEED: u64 = 20_261_121;

/// Two workers each, killed at different times.
const ROUNDS: u64 = 100;

/// Longest life of a worker, in milliseconds, from its start.
const LIFE_MS: u64 = 110;

#[test]
fn two_hundred_kills_lose_no_acknowledged_commit() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("store");
    let store = SqliteStore::open(&directory, StoreSettings::default()).unwrap();
    let random = SeededRandom::new(SEED);
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        let start = |worker: u64| Worker::start(WORKER, &["commit", directory.to_str().unwrap(), &worker.to_string()]);
        let workers = [start(2 * round + 1), start(2 * round + 2)];
        for worker in workers {
            std::thread::sleep(Duration::from_millis(random.below(LIFE_MS)));
            acknowledged.extend(worker.kill().iter().map(|line| line.parse::<u64>().unwrap()));
        }
        for worker in [2 * round + 1, 2 * round + 2] {
            check_worker(&store, worker, &acknowledged);
        }
    }
    println!("seed {SEED}: {} commits acknowledged by {} killed workers", acknowledged.len(), 2 * ROUNDS);
    assert!(acknowledged.len() as u64 > ROUNDS, "the workers hardly worked");
    (1..=2 * ROUNDS).for_each(|worker| check_worker(&store, worker, &acknowledged));
    check_leftovers(&store, &directory);
}

/// Every acknowledged commit of the worker is there, and at most one more, each whole and with its content.
fn check_worker(store: &SqliteStore, worker: u64, acknowledged: &BTreeSet<u64>) {
    let filter = EntryFilter { name_prefix: Some(format!("w{worker}/")), ..EntryFilter::default() };
    let mut found: BTreeMap<u64, BTreeMap<String, (Digest, StoredState, String)>> = BTreeMap::new();
    for stored in store.entries(&filter).unwrap() {
        let name = stored.entry.description.name.to_string();
        let number = name.split(['/', '-']).nth(1).unwrap().parse().unwrap();
        let what = (stored.entry.description.digest, stored.state, stored.partition.to_string());
        assert!(found.entry(number).or_default().insert(name, what).is_none(), "an entry is there twice");
    }
    let of_worker = worker * COMMITS_PER_WORKER..(worker + 1) * COMMITS_PER_WORKER;
    for number in acknowledged.range(of_worker.clone()) {
        assert!(found.contains_key(number), "seed {SEED}: commit {number} was acknowledged and is lost");
    }
    for (number, entries) in &found {
        let last = acknowledged.range(of_worker.clone()).next_back().map_or(of_worker.start, |last| last + 1);
        assert!(acknowledged.contains(number) || *number == last, "commit {number} comes from nowhere");
        let expected = items(*number);
        assert_eq!(entries.len(), expected.len(), "seed {SEED}: commit {number} is there in part");
        for (name, bytes) in expected {
            let (digest, state, partition) = &entries[&name];
            assert_eq!(*digest, Digest::of(&bytes));
            assert_eq!(partition, partition_of(*number));
            let uncommitted = *state == StoredState::Uncommitted;
            let may_be = match way(*number) {
                Way::Commit => !uncommitted,
                Way::Stage => uncommitted,
                Way::Confirm => !uncommitted || !acknowledged.contains(number),
            };
            assert!(may_be, "commit {number} is {state:?}");
            assert!(read(&store.content(digest).unwrap().unwrap()) == bytes, "content of {name} changed");
        }
    }
}

/// The database is sound, and after a collection there is no file that nothing refers to.
fn check_leftovers(store: &SqliteStore, directory: &Path) {
    assert_eq!(store.examine().unwrap(), [""; 0]);
    let settings = StoreSettings { leftover_age: Duration::ZERO, ..StoreSettings::default() };
    let sweeping = SqliteStore::open(directory, settings).unwrap();
    sweeping.collect().unwrap();
    assert_eq!(files(&directory.join("spool")), [""; 0]);
    let large = |length: u64| length > 64 * 1024;
    let entries = store.entries(&EntryFilter::default()).unwrap();
    let mut expected: BTreeSet<String> = entries
        .iter()
        .filter(|stored| large(stored.entry.description.size))
        .map(|stored| stored.entry.description.digest.to_string())
        .collect();
    for key in ["key-0", "key-1", "key-2"] {
        if let Some(cached) = peat_core::ports::Replica::cached(store, key).unwrap().filter(|it| large(it.size())) {
            expected.insert(content::digest(&*cached).unwrap().to_string());
        }
    }
    let mut found = BTreeSet::new();
    for shard in files(&directory.join("content")) {
        found.extend(files(&directory.join("content").join(shard)));
    }
    assert_eq!(found, expected);
}

fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn kills_lose_no_acknowledged_swap_of_an_object() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().to_str().unwrap();
    let random = SeededRandom::new(SEED);
    let mut acknowledged = Vec::new();
    for round in 0..40 {
        let start = |worker: u64| Worker::start(WORKER, &["swap", directory, &worker.to_string(), "1000000"]);
        for worker in [start(2 * round), start(2 * round + 1)] {
            std::thread::sleep(Duration::from_millis(random.below(60)));
            acknowledged.extend(worker.kill());
        }
    }
    assert!(acknowledged.len() > 100, "the workers hardly worked: {}", acknowledged.len());
    let lines = lines_of_head(place.path());
    let seen: BTreeSet<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(seen.len(), lines.len(), "a swap was applied twice");
    for line in &acknowledged {
        assert!(seen.contains(line.as_str()), "seed {SEED}: swap {line} was acknowledged and is lost");
    }
    assert!(lines.len() <= acknowledged.len() + 80, "more swaps than workers could leave unacknowledged");
}

#[test]
fn several_processes_swap_one_object_and_lose_nothing() {
    let place = tempfile::tempdir().unwrap();
    let start =
        |worker: u64| Worker::start(WORKER, &["swap", place.path().to_str().unwrap(), &worker.to_string(), "50"]);
    let workers: Vec<Worker> = (0..4).map(start).collect();
    let mut acknowledged: Vec<String> = workers.into_iter().flat_map(Worker::finish).collect();
    let mut lines = lines_of_head(place.path());
    assert_eq!(lines.len(), 200);
    lines.sort();
    acknowledged.sort();
    assert_eq!(lines, acknowledged);
}

fn lines_of_head(directory: &Path) -> Vec<String> {
    let store = DirectoryObjects::open(directory).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let Ok(Lookup::Found(found)) = runtime.block_on(store.get("space/head", None)) else { panic!("no head") };
    String::from_utf8(read(&found.content)).unwrap().lines().map(str::to_owned).collect()
}
