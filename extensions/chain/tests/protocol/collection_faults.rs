//! Collectors among writers and readers on a faulty store, any of them killed between any two requests: nothing that a head
//! names is ever deleted, nothing acknowledged is lost, and in the end nothing is left that no head names.
//! `PEAT_CHAIN_SEED=n` repeats a seed, `PEAT_CHAIN_SEEDS=n` runs so many.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use peat_chain::maintenance::CollectRequest;
use peat_chain::memory::{Bytes, Faults, Machine, Schedule, Store};
use peat_chain::ports::Clock as _;
use peat_chain::types::{DeltaMode, Entry, Lifetime, PushRequest, Wanted};
use peat_chain::{Chain, ErrorKind, Result};

use crate::support::*;

const WRITERS: u32 = 3;
const COMMITS: u32 = 6;
const COLLECTIONS: u32 = 12;
const NOTE_MS: u64 = 500;
const GRACE_MS: u64 = 300;

fn seeds() -> Vec<u64> {
    let read = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match read("PEAT_CHAIN_SEED") {
        Some(seed) => vec![seed],
        None => (0..read("PEAT_CHAIN_SEEDS").unwrap_or(100)).collect(),
    }
}

fn is_passing(error: &peat_chain::Error) -> bool {
    matches!(error.kind, ErrorKind::Unavailable(_) | ErrorKind::LeaseLost | ErrorKind::Held | ErrorKind::Conflict)
}

/// Three items in one pack: one that stays, one that newer versions push out, one that is over soon.
fn appended(store: &Store, writer: u32, commit: u32) -> PushRequest<Bytes> {
    let id = format!("w{writer}-c{commit}");
    let content = |letter: u8, size: usize| [id.as_bytes().to_vec(), vec![letter; size]].concat();
    let kept = new_entry(&format!("kept-{writer}-{commit}"), &content(b'k', 1_500), &id);
    let mut capped = new_entry(&format!("capped-{writer}"), &content(b'c', 9_000), &id);
    capped.version_cap = Some(1);
    let mut note = new_entry(&format!("note-{writer}"), &content(b'n', 20_000), &id);
    note.description.lifetime = Lifetime::DurationMs(NOTE_MS);
    note.description.created_at_ms = store.now_ms();
    let mut inlined = new_entry(&format!("note-{writer}-{commit}"), &content(b'i', 10), &id);
    inlined.description.lifetime = Lifetime::DurationMs(NOTE_MS);
    inlined.description.created_at_ms = store.now_ms();
    push_request(&id, vec![kept, capped, note, inlined], None)
}

async fn commit_until_acknowledged(chain: &Chain<Machine>, writer: u32, commit: u32, locked: bool, repeated: bool) {
    let appended = appended(chain.world().store(), writer, commit);
    for tries in 0..300 {
        let attempt = async {
            let lease = if locked { Some(acquire(chain, 300_000).await?) } else { None };
            let request = PushRequest {
                release: lease.is_some(),
                lease,
                may_be_repeated: repeated || tries > 0,
                append: appended
                    .append
                    .iter()
                    .map(|new| peat_chain::types::NewEntry {
                        description: new.description.clone(),
                        content: new.content.clone(),
                        version_cap: new.version_cap,
                        version: new.version,
                    })
                    .collect(),
                ..push_request(&appended.commit_id, Vec::new(), None)
            };
            chain.push(&request).await
        };
        match attempt.await {
            Ok(_) => return,
            // It was done before, and is over by now.
            Err(error) if repeated && error.kind == ErrorKind::NotFound => return,
            Err(error) => assert!(is_passing(&error), "{error}"),
        }
    }
    panic!("commit {} was never acknowledged", appended.commit_id);
}

async fn collect(chain: &Chain<Machine>, grace_ms: u64, whole: bool) -> Result<u64> {
    let mut objects = 0;
    loop {
        let page = chain.measure(NAMESPACE, None).await?;
        let request = CollectRequest {
            namespace: NAMESPACE.to_owned(),
            partitions: page.rooms.iter().map(|room| room.partition.clone()).collect(),
            ttl_ms: TTL_MS,
            wait_ms: 0,
            now_ms: page.now_ms,
            grace_ms,
            dry_run: false,
            sweep_orphans: whole,
            compact: whole,
        };
        let collected = chain.collect(&request).await?;
        objects += collected.iter().map(|collected| collected.objects_deleted).sum::<u64>();
        if !collected.iter().any(|collected| collected.more) {
            return Ok(objects);
        }
    }
}

/// What a replica holds.
#[derive(Debug, Default)]
struct Held {
    entries: BTreeMap<(String, u64), Entry>,
}

impl Held {
    /// Takes over what is new. What cannot be had now is left to the next time.
    async fn pull(&mut self, chain: &Chain<Machine>) -> Result<()> {
        let mut request = pull_request(None);
        loop {
            let page = chain.pull(&request).await?;
            for delta in page.deltas {
                if delta.mode == DeltaMode::Replace {
                    self.entries.clear();
                }
                for pulled in delta.entries {
                    let key = (pulled.entry.description.name.clone(), pulled.entry.version);
                    self.entries.insert(key, pulled.entry);
                }
                for gone in delta.removed {
                    self.entries.remove(&(gone.name, gone.version));
                }
                if !delta.continues {
                    chain.world().set_known(&delta.partition, &delta.version);
                }
            }
            request.cursor = page.cursor;
            if request.cursor.is_none() {
                return Ok(());
            }
        }
    }

    fn wanted(&self) -> Vec<Wanted> {
        let wanted = |entry: &Entry| Wanted {
            partition: PARTITION.to_owned(),
            name: entry.description.name.clone(),
            version: entry.version,
            size: entry.description.size,
            digest: entry.description.digest.clone(),
            location: entry.location.clone(),
        };
        self.entries.values().map(wanted).collect()
    }

    /// Everything that is held can be read, or is told by the next pull to be gone or elsewhere.
    async fn read_all(&mut self, chain: &Chain<Machine>, seed: u64) -> Result<()> {
        for _ in 0..50 {
            let wanted = self.wanted();
            let answers = chain.fetch(NAMESPACE, &wanted).await?;
            let mut late = BTreeSet::new();
            for (wanted, answer) in wanted.iter().zip(answers) {
                match answer {
                    Ok(content) => assert_eq!(digest(&content.0), wanted.digest, "seed {seed}"),
                    Err(error) if error.kind == ErrorKind::NotFound => drop(late.insert(wanted.clone_key())),
                    Err(error) => return Err(error),
                }
            }
            if late.is_empty() {
                return Ok(());
            }
            self.pull(chain).await?;
            for wanted in self.wanted() {
                assert!(!late.contains(&wanted.clone_key()), "seed {seed}: the index names what is gone: {wanted:?}");
            }
        }
        Ok(())
    }
}

trait Key {
    fn clone_key(&self) -> (String, u64, String);
}

impl Key for Wanted {
    fn clone_key(&self) -> (String, u64, String) {
        (self.name.clone(), self.version, self.location.clone())
    }
}

/// In the end: everything that was to stay is there, and nothing else takes up room.
fn check(store: &Store, seed: u64) {
    store.set_faults(Faults::default());
    store.advance(120_000);
    let chain = machine(store, 2_000);
    run(store, async {
        for _ in 0..4 {
            collect(&chain, 0, true).await.unwrap();
            store.advance(1_000);
        }
        assert_eq!(collect(&chain, 0, true).await.unwrap(), 0, "seed {seed}");
        let mut held = Held::default();
        let reader = machine(store, 2_001);
        held.pull(&reader).await.unwrap();
        held.read_all(&reader, seed).await.unwrap();
        let names: BTreeSet<String> = held.entries.keys().map(|(name, _)| name.clone()).collect();
        let mut expected = BTreeSet::new();
        for writer in 0..WRITERS {
            expected.insert(format!("capped-{writer}"));
            expected.extend((0..COMMITS).map(|commit| format!("kept-{writer}-{commit}")));
        }
        assert_eq!(names, expected, "seed {seed}");
        let named: BTreeSet<String> = held
            .entries
            .values()
            .filter_map(|entry| {
                let id = entry.location.strip_prefix("pack:")?.split(':').next()?;
                Some(format!("default/_packs/{PARTITION}/{id}"))
            })
            .collect();
        let stored: BTreeSet<String> = store.keys("default/_packs/").into_iter().collect();
        assert_eq!(stored, named, "seed {seed}: what lies in the store and what the index names");
        let totals = chain.measure(NAMESPACE, None).await.unwrap().rooms[0].totals;
        assert!(
            totals.tombstone_bytes <= totals.bytes,
            "seed {seed}: packs that stay are at least half alive: {totals:?}"
        );
        assert_eq!(totals.entries, held.entries.len() as u64, "seed {seed}");
    });
}

#[test]
fn collectors_killed_anywhere_among_writers_and_readers_delete_nothing_that_is_named_and_leave_nothing_that_is_not() {
    for seed in seeds() {
        let locked = seed % 3 != 0;
        let store = store(seed);
        store.set_faults(Faults { unavailable: 20, reply_lost: 40, conflict_after: 30, delayed: 20 });
        let over = RefCell::new(0_u32);
        let mut schedule = Schedule::new(&store);
        for writer in 0..WRITERS {
            let victim = machine(&store, writer + 1);
            let heir = Chain::new(victim.world().sibling(writer + 101));
            let (victims, over) = (victim.clone(), &over);
            let task = schedule.add(async move {
                for commit in 0..COMMITS {
                    commit_until_acknowledged(&victims, writer, commit, locked, false).await;
                }
            });
            schedule.kill(task, store.chance() % 1_500);
            let kept = store.clone();
            schedule.add(async move {
                heir.world().sleep(1_500 + kept.chance() % 50).await;
                victim.world().bury(writer + 1);
                for commit in 0..COMMITS {
                    commit_until_acknowledged(&heir, writer, commit, locked, true).await;
                }
                *over.borrow_mut() += 1;
            });
        }
        for collector in 0..2 {
            let victim = machine(&store, collector + 51);
            let heir = Chain::new(victim.world().sibling(collector + 151));
            let victims = victim.clone();
            let collecting = async move |chain: Chain<Machine>| {
                for round in 0..COLLECTIONS {
                    if let Err(error) = collect(&chain, GRACE_MS, (round + collector) % 2 == 0).await {
                        assert!(is_passing(&error), "seed {seed}: {error}");
                    }
                    chain.world().sleep(50).await;
                }
            };
            let task = schedule.add(async move { collecting(victims).await });
            schedule.kill(task, store.chance() % 2_000);
            schedule.add(async move {
                heir.world().sleep(1_000).await;
                victim.world().bury(collector + 51);
                collecting(heir).await;
            });
        }
        for reader in 0..2 {
            let (chain, over) = (machine(&store, reader + 71), &over);
            schedule.add(async move {
                let mut held = Held::default();
                while *over.borrow() < WRITERS {
                    let read = async {
                        held.pull(&chain).await?;
                        held.read_all(&chain, seed).await
                    };
                    if let Err(error) = read.await {
                        assert!(is_passing(&error), "seed {seed}: {error}");
                    }
                    chain.world().sleep(30).await;
                }
            });
        }
        schedule.run();
        check(&store, seed);
    }
}
