//! Random steps, the same on SQLite and on the model in memory: both must look the same after each.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

use peat_conformance_tests::samples::{
    append, bytes, commit_id, delta, entry, new_entry, partition, read, receipt, reference,
};
use peat_core::content;
use peat_core::digest::Digest;
use peat_core::ports::{DeltaMode, EntryFilter, LocalStore, PushReceipt};
use peat_store::{SqliteStore, StoreSettings};
use peat_test_support::local_store::MemoryStore;
use peat_test_support::random::SeededRandom;

const STEPS: u64 = 150;

const PARTITIONS: [&str; 2] = ["p", "q"];
const NAMES: [&str; 5] = [".run/run-00000001/log", "a", "ab", "b", "b/c"];
const LENGTHS: [usize; 3] = [3, 40, 70_000];

#[test]
fn sqlite_behaves_like_the_model() {
    for seed in 1..=5 {
        let place = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(place.path(), StoreSettings::default()).unwrap();
        let model = MemoryStore::default();
        let random = SeededRandom::new(seed);
        for step in 0..STEPS {
            let what = random_step(&random, step);
            let (real, expected) = (what(&store), what(&model));
            assert_eq!(real, expected, "seed {seed}, step {step}: the answers differ");
            compare(&store, &model, &random, &format!("seed {seed}, step {step}"));
            if random.below(50) == 0 {
                // Nothing but an unfinished replacement lives in the process, and here none is unfinished.
                store = SqliteStore::open(place.path(), StoreSettings::default()).unwrap();
            }
        }
        assert_eq!(store.examine().unwrap(), [""; 0]);
    }
}

type Step = Box<dyn Fn(&dyn LocalStore) -> Result<String, String>>;

fn pick<T: Copy>(random: &SeededRandom, from: &[T]) -> T {
    from[random.below(from.len() as u64) as usize]
}

fn random_step(random: &SeededRandom, step: u64) -> Step {
    let to = pick(random, &PARTITIONS);
    let fresh = |random: &SeededRandom| bytes(random.below(6), pick(random, &LENGTHS));
    let mut changes = append(step, to, Vec::new());
    for data in NAMES {
        if random.below(3) == 0 {
            let mut new = new_entry(data, &fresh(random));
            new.version_cap = (random.below(2) == 0).then(|| random.below(4) as u32);
            new.description.of_failed_run = random.below(4) == 0;
            changes.append.push(new);
        }
    }
    changes.remove = vec![reference(pick(random, &NAMES), 1 + random.below(6))];
    let earlier = commit_id(random.below(step + 1));
    let told = |receipt: PushReceipt| format!("{:?} {:?} {}", receipt.entries, receipt.removed, receipt.version);
    match random.below(8) {
        0 | 1 => Box::new(move |store| store.commit(&changes).map(told).map_err(kind)),
        2 => Box::new(move |store| done(store.stage(&changes, step))),
        3 => Box::new(move |store| {
            let pending = store.pending(None).map_err(kind)?;
            let Some(first) = pending.first() else { return Ok("nothing pending".to_owned()) };
            let receipt = receipt(&first.changes, 1 + step, &format!("v{step}"));
            done(store.confirm(&first.changes.commit_id, &first.changes.partition, &receipt))
        }),
        4 => Box::new(move |store| done(store.discard(&earlier))),
        5 | 6 => {
            let mode = if random.below(2) == 0 { DeltaMode::Extend } else { DeltaMode::Replace };
            let pages: Vec<_> = (0..1 + random.below(3))
                .map(|_| {
                    (0..random.below(4))
                        .map(|_| entry(pick(random, &NAMES), 1 + random.below(9), &fresh(random)))
                        .collect()
                })
                .collect();
            let last = pages.len() - 1;
            Box::new(move |store| {
                for (number, entries) in pages.iter().enumerate() {
                    let page: Vec<_> = Vec::clone(entries);
                    store.apply(&delta(to, mode, &format!("v{step}"), page, number < last)).map_err(kind)?;
                }
                Ok(String::new())
            })
        }
        _ => {
            let kept = fresh(random);
            let collect = random.below(2) == 0;
            Box::new(move |store| {
                if collect {
                    return store.collect().map(|freed| freed.to_string()).map_err(kind);
                }
                done(store.keep(&Digest::of(&kept), &content::in_memory(kept.clone())))
            })
        }
    }
}

fn done(answer: Result<(), peat_core::ports::StoreError>) -> Result<String, String> {
    answer.map(|()| String::new()).map_err(kind)
}

/// Only what kind of error: the words and the path differ.
fn kind(error: peat_core::ports::StoreError) -> String {
    format!("{error:?}").split([' ', '{']).next().unwrap_or_default().to_owned()
}

fn compare(store: &dyn LocalStore, model: &dyn LocalStore, random: &SeededRandom, at: &str) {
    let filter = EntryFilter {
        partition: (random.below(2) == 0).then(|| partition(pick(random, &PARTITIONS))),
        latest_only: random.below(2) == 0,
        public_only: random.below(2) == 0,
        committed_only: random.below(2) == 0,
        limit: (random.below(2) == 0).then(|| 1 + random.below(8) as u32),
        name_prefix: (random.below(4) == 0).then(|| "a".to_owned()),
        ..EntryFilter::default()
    };
    for filter in [EntryFilter::default(), filter] {
        assert_eq!(store.entries(&filter).unwrap(), model.entries(&filter).unwrap(), "{at}: {filter:?}");
    }
    let partitions = PARTITIONS.map(partition);
    assert_eq!(store.known(&partitions).unwrap(), model.known(&partitions).unwrap(), "{at}");
    assert_eq!(store.partitions().unwrap(), model.partitions().unwrap(), "{at}");
    let look = |store: &dyn LocalStore| {
        let pending = store.pending(None).unwrap();
        let told = |commit: &peat_core::ports::PendingCommit| {
            let bytes: Vec<_> = commit.changes.append.iter().map(|new| Digest::of(&read(&new.content))).collect();
            (commit.changes.commit_id.to_string(), commit.staged_at_ms, bytes)
        };
        pending.iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(look(store), look(model), "{at}");
}
