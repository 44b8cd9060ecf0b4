//! Checking: every kind of damage, of every kind of object, is found and named; what is sound is not, whoever writes and
//! collects meanwhile. Repairing: what can be had is put back, the rest becomes marks, nothing else is touched.
//! `PEAT_CHAIN_SEED=n` repeats a seed, `PEAT_CHAIN_SEEDS=n` runs so many.

use std::cell::Cell;
use std::collections::BTreeMap;

use peat_chain::maintenance::CollectRequest;
use peat_chain::maintenance::check::{CheckPage, CheckRequest, Damage, Part};
use peat_chain::maintenance::repair::{KnownEntry, RepairRequest, Repaired, Supplied};
use peat_chain::memory::{Bytes, Machine, Schedule, Store};
use peat_chain::ports::Clock as _;
use peat_chain::types::{Entry, VersionReference};
use peat_chain::{Chain, ErrorKind, Result};

use crate::support::*;

const META: &str = "default/_index/_meta.json";

/// Contents of a partition: some inlined, a pack of three, an object; and, with `spilled`, a segment.
async fn fill(chain: &Chain<Machine>, spilled: bool) {
    let entries = vec![
        new_entry("inlined", b"a line", "run-1"),
        new_entry("packed-1", &vec![b'1'; 9_000], "run-1"),
        new_entry("packed-2", &vec![b'2'; 9_000], "run-1"),
        new_entry("packed-3", &vec![b'3'; 9_000], "run-1"),
        new_entry("large", &vec![b'l'; 2_000_000], "run-1"),
        new_entry("large-2", &vec![b'm'; 2_000_000], "run-1"),
    ];
    let lease = acquire(chain, 0).await.unwrap();
    chain.push(&push_request("c1", entries, Some(lease))).await.unwrap();
    if spilled {
        for number in 0..14 {
            write(chain, &format!("s{number}"), &format!("note-{number}"), &vec![b'n'; 4_000]).await.unwrap();
        }
    }
}

async fn check_with(chain: &Chain<Machine>, request: &CheckRequest) -> Result<CheckPage> {
    let mut whole = CheckPage::default();
    let mut request = request.clone();
    loop {
        let page = chain.check(&request).await?;
        whole.damage.extend(page.damage);
        whole.damage_total += page.damage_total;
        whole.partitions += page.partitions;
        whole.entries += page.entries;
        whole.bytes_read += page.bytes_read;
        whole.orphans += page.orphans;
        request.cursor = page.cursor;
        if request.cursor.is_none() {
            return Ok(whole);
        }
    }
}

async fn check(chain: &Chain<Machine>, read_data: bool) -> CheckPage {
    let request = CheckRequest { namespace: NAMESPACE.to_owned(), read_data, ..CheckRequest::default() };
    check_with(chain, &request).await.unwrap()
}

/// What a machine has: the index and the contents of it.
struct Held {
    entries: Vec<Entry>,
    contents: BTreeMap<String, Vec<u8>>,
}

impl Held {
    fn nothing() -> Self {
        Self { entries: Vec::new(), contents: BTreeMap::new() }
    }

    async fn of(chain: &Chain<Machine>) -> Self {
        let mut held = Self::nothing();
        let mut request =
            peat_chain::types::PullRequest { depth: peat_chain::types::Depth::Content, ..pull_request(None) };
        loop {
            let page = chain.pull(&request).await.unwrap();
            for delta in page.deltas {
                for pulled in delta.entries {
                    let content = pulled.content.unwrap().0.to_vec();
                    held.contents.insert(digest(&content), content);
                    held.entries.push(pulled.entry);
                }
                chain.world().set_known(&delta.partition, &delta.version);
            }
            request.cursor = page.cursor;
            if request.cursor.is_none() {
                return held;
            }
        }
    }

    fn request(&self, damage: &[Damage], dry_run: bool) -> RepairRequest<Bytes> {
        let contents = damage.iter().filter(|damage| damage.part == Part::Content).flat_map(|damage| &damage.versions);
        let contents = contents.map(|version| Supplied {
            reference: VersionReference { name: version.name.clone(), version: version.version },
            content: self.contents.get(&version.digest).map(|content| bytes(content)),
        });
        let index = self.entries.iter().map(|entry| KnownEntry {
            entry: entry.clone(),
            content: (entry.description.size <= 4_096).then(|| bytes(&self.contents[&entry.description.digest])),
        });
        RepairRequest {
            namespace: NAMESPACE.to_owned(),
            partition: damage.iter().find_map(|damage| damage.partition.clone()),
            ttl_ms: TTL_MS,
            wait_ms: 0,
            contents: contents.collect(),
            index: index.collect(),
            dry_run,
        }
    }

    /// Repairs until a check finds nothing.
    async fn repair(&self, chain: &Chain<Machine>) -> Vec<Repaired> {
        let mut done = Vec::new();
        for _ in 0..5 {
            let found = check(chain, true).await;
            if found.damage.is_empty() {
                return done;
            }
            done.push(chain.repair(&self.request(&found.damage, false)).await.unwrap());
        }
        panic!("it does not end: {:#?}", check(chain, true).await.damage);
    }
}

fn key_of(store: &Store, prefix: &str) -> String {
    store.keys(prefix).into_iter().next().unwrap_or_else(|| panic!("nothing lies at {prefix}"))
}

/// A kind of damage, and how it is done.
type Harm = (&'static str, Box<dyn Fn(&Store)>);

/// What may happen to an object, where `other` is another one of its kind.
fn damages(store: &Store, key: &str, other: Option<&str>) -> Vec<Harm> {
    let good = store.peek(key).unwrap();
    let tamper = |key: &str, bytes: Vec<u8>| -> Box<dyn Fn(&Store)> {
        let key = key.to_owned();
        Box::new(move |store| store.tamper(&key, &bytes))
    };
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let lost = key.to_owned();
    let mut damages: Vec<Harm> = vec![
        ("flipped", tamper(key, flipped)),
        ("cut", tamper(key, good[..good.len() / 3].to_vec())),
        ("lost", Box::new(move |store| store.lose(&lost))),
    ];
    if let Some(other) = other {
        damages.push(("swapped", tamper(key, store.peek(other).unwrap())));
    }
    damages
}

/// The objects of a filled partition, and what each is a part of.
fn objects(store: &Store) -> Vec<(Part, String, Option<String>)> {
    let large = store.keys("default/_objects/");
    let pack = store.keys("default/_packs/").into_iter().find(|key| store.peek(key).unwrap().len() == 27_000).unwrap();
    vec![
        (Part::Root, "peat.json".to_owned(), Some(META.to_owned())),
        (Part::Root, META.to_owned(), Some("peat.json".to_owned())),
        (Part::Head, HEAD.to_owned(), Some(META.to_owned())),
        (Part::Segment, key_of(store, "default/_segments/"), Some(HEAD.to_owned())),
        (Part::Content, pack, None),
        (Part::Content, large[0].clone(), Some(large[1].clone())),
    ]
}

#[test]
fn every_kind_of_damage_of_every_kind_of_object_is_found_and_named() {
    let store = store(1);
    let chain = machine(&store, 1);
    run(&store, async {
        fill(&chain, true).await;
        let sound = check(&chain, true).await;
        assert_eq!((sound.damage, sound.entries, sound.partitions), (Vec::new(), 20, 1));
        assert!(sound.bytes_read > 4_000_000, "{}", sound.bytes_read);
        for (part, key, other) in objects(&store) {
            let good = store.peek(&key).unwrap();
            for (kind, damage) in damages(&store, &key, other.as_deref()) {
                damage(&store);
                let reader = machine(&store, 2);
                let found = check(&reader, true).await;
                let named: Vec<_> = found.damage.iter().map(|damage| (damage.part, damage.key.as_str())).collect();
                assert_eq!(named, [(part, key.as_str())], "{kind} {key}");
                assert_eq!(found.damage_total, 1);
                let is_content = part == Part::Content;
                assert_eq!(!found.damage[0].versions.is_empty(), is_content, "{kind} {key}");
                // What can be seen without reading content is found without.
                let without = check(&reader, false).await.damage.len();
                assert_eq!(without, usize::from(!is_content || !matches!(kind, "flipped" | "swapped")), "{kind} {key}");
                store.tamper(&key, &good);
            }
        }
        assert_eq!(check(&machine(&store, 3), true).await.damage, []);
    });
}

#[test]
fn one_part_of_a_pack_is_told_from_the_others_and_objects_nobody_names_are_no_damage() {
    let store = store(2);
    let chain = machine(&store, 1);
    run(&store, async {
        fill(&chain, false).await;
        let pack = key_of(&store, "default/_packs/");
        let mut flipped = store.peek(&pack).unwrap();
        flipped[10_000] ^= 1;
        store.tamper(&pack, &flipped);
        store.tamper(&format!("default/_packs/{PARTITION}/{}", "0".repeat(32)), b"of a commit that never came");
        let found = check(&chain, true).await;
        let names: Vec<&str> = found.damage[0].versions.iter().map(|version| version.name.as_str()).collect();
        assert_eq!((names, found.orphans), (vec!["packed-2"], 1));
    });
}

#[test]
fn a_head_that_is_gone_is_missed_by_who_knew_it_and_by_everybody_where_objects_are_left() {
    let store = store(3);
    let chain = machine(&store, 1);
    run(&store, async {
        write(&chain, "c1", "note", b"inlined").await.unwrap();
        Held::of(&chain).await;
        store.lose(HEAD);
        let request = CheckRequest { namespace: NAMESPACE.to_owned(), ..CheckRequest::default() };
        let stranger = check_with(&machine(&store, 2), &request).await.unwrap();
        assert_eq!(stranger.damage, [], "there is nothing of it");
        let expected = CheckRequest { expected: vec![PARTITION.to_owned()], ..request.clone() };
        assert_eq!(check_with(&machine(&store, 2), &expected).await.unwrap().damage, []);
        let known = check_with(&chain, &expected).await.unwrap();
        assert_eq!(known.damage[0].part, Part::Head);
        let named = CheckRequest { partitions: Some(vec![PARTITION.to_owned()]), ..request };
        assert_eq!(check_with(&chain, &named).await.unwrap().damage[0].part, Part::Head);
    });
}

fn seeds() -> Vec<u64> {
    let read = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match read("PEAT_CHAIN_SEED") {
        Some(seed) => vec![seed],
        None => (0..read("PEAT_CHAIN_SEEDS").unwrap_or(20)).collect(),
    }
}

async fn collect(chain: &Chain<Machine>) -> Result<()> {
    let page = chain.measure(NAMESPACE, None).await?;
    let request = CollectRequest {
        namespace: NAMESPACE.to_owned(),
        partitions: page.rooms.iter().map(|room| room.partition.clone()).collect(),
        ttl_ms: TTL_MS,
        wait_ms: 0,
        now_ms: page.now_ms,
        grace_ms: 0,
        dry_run: false,
        sweep_orphans: true,
        compact: true,
    };
    chain.collect(&request).await.map(drop)
}

/// Content of every size under names of which few versions are kept.
async fn churn(chain: &Chain<Machine>, seed: u64, writer: u32, commits: u32) {
    for commit in 0..commits {
        let id = format!("w{writer}-c{commit}");
        for _ in 0..200 {
            let mut appended = Vec::new();
            for (name, size) in [("a", 10), ("b", 5_000), ("c", 30_000), ("d", 3_900), ("e", 1_050_000)] {
                let mut new = new_entry(&format!("{name}-{writer}"), &vec![b'x'; size + commit as usize], &id);
                new.version_cap = (name != "d").then_some(2);
                appended.push(new);
            }
            let attempt = async {
                let lease = acquire(chain, 300_000).await?;
                chain.push(&push_request(&id, appended, Some(lease))).await
            };
            match attempt.await {
                Ok(_) => break,
                Err(error) => {
                    assert!(matches!(error.kind, ErrorKind::LeaseLost | ErrorKind::Held), "seed {seed}: {error}");
                }
            }
        }
    }
}

#[test]
fn a_sound_store_is_found_sound_whoever_writes_and_collects_meanwhile() {
    for seed in seeds() {
        let store = store(seed);
        store.set_latency_ms(5);
        let over = Cell::new(0_u32);
        let mut schedule = Schedule::new(&store);
        for writer in 0..3 {
            let (chain, over) = (machine(&store, writer + 1), &over);
            schedule.add(async move {
                churn(&chain, seed, writer, 8).await;
                over.set(over.get() + 1);
            });
        }
        let (collector, is_over) = (machine(&store, 51), &over);
        schedule.add(async move {
            while is_over.get() < 3 {
                let _ = collect(&collector).await;
                collector.world().sleep(20).await;
            }
        });
        let (checker, is_over) = (machine(&store, 61), &over);
        schedule.add(async move {
            let mut round = 0;
            while is_over.get() < 3 {
                let found = check(&checker, round % 4 == 0).await;
                assert_eq!(found.damage, [], "seed {seed}");
                round += 1;
            }
        });
        schedule.run();
        assert_eq!(run(&store, check(&machine(&store, 71), true)).damage, [], "seed {seed}");
    }
}

/// Every entry that can be had, with its content.
async fn told(store: &Store) -> BTreeMap<(String, u64), String> {
    let found = contents(store, NAMESPACE).await.unwrap();
    found.into_iter().map(|((_, name, version), (_, content))| ((name, version), digest(&content))).collect()
}

#[test]
fn whoever_has_everything_restores_everything_and_nothing_else_changes() {
    for index in 0..6 {
        for kind in 0..4 {
            let store = store(10);
            let chain = machine(&store, 1);
            run(&store, async {
                fill(&chain, true).await;
                let held = Held::of(&chain).await;
                let before = told(&store).await;
                let (part, key, other) = objects(&store).swap_remove(index);
                let mut damages = damages(&store, &key, other.as_deref());
                if kind >= damages.len() {
                    return;
                }
                let (kind, damage) = damages.swap_remove(kind);
                damage(&store);
                let found = check(&chain, true).await;
                let dry = chain.repair(&held.request(&found.damage, true)).await.unwrap();
                assert_eq!(dry.lost, [], "{kind} {key}");
                assert_eq!(check(&chain, true).await.damage, found.damage, "a dry run changed something");
                let done = held.repair(&chain).await;
                assert!(
                    done.iter().all(|done| done.lost.is_empty() && done.records_lost == 0),
                    "{kind} {key}: {done:#?}"
                );
                assert_eq!(done[0].may_lose_commits, part == Part::Head);
                assert_eq!(told(&store).await, before, "{kind} {key}");
                // Whoever has another replica goes on, and no number is given twice.
                let other = machine(&store, 2);
                let written = write(&other, "later", "large", b"again").await.unwrap();
                let expected = if part == Part::Head { 1_000_002 } else { 2 };
                assert_eq!(written.entries[0].version, expected, "{kind} {key}");
            });
        }
    }
}

#[test]
fn whoever_has_nothing_learns_what_is_lost_and_everything_else_works() {
    for (index, kind) in [(2, 0), (2, 2), (3, 0), (3, 2), (4, 0), (4, 1), (4, 2), (5, 0), (5, 2), (5, 3)] {
        let store = store(11);
        let writer = machine(&store, 1);
        run(&store, async {
            fill(&writer, true).await;
            let before = told(&store).await;
            let (part, key, other) = objects(&store).swap_remove(index);
            let (kind, damage) = damages(&store, &key, other.as_deref()).swap_remove(kind);
            damage(&store);
            let chain = machine(&store, 2);
            let found = check(&chain, true).await;
            let concerned = found.damage[0].versions_total;
            let done = Held::nothing().repair(&chain).await;
            let after = told(&store).await;
            let gone: Vec<_> = before.keys().filter(|key| !after.contains_key(*key)).collect();
            assert!(after.iter().all(|(key, digest)| before.get(key) == Some(digest)), "{kind} {key}: something came");
            match part {
                Part::Content => {
                    assert_eq!(gone.len() as u64, concerned, "{kind} {key}: nothing undamaged is lost");
                    let lost: Vec<_> =
                        done.iter().flat_map(|done| &done.lost).map(|lost| (lost.name.clone(), lost.version)).collect();
                    assert_eq!(lost.iter().collect::<Vec<_>>(), gone);
                }
                _ => assert!(done[0].may_lose_commits || done[0].records_lost > 0, "{kind} {key}: {done:#?}"),
            }
            // Numbers that were given are not given again.
            let written = write(&chain, "later", "large", b"again").await.unwrap();
            assert!(written.entries[0].version >= 2, "{kind} {key}");
            let again = write(&machine(&store, 3), "later-2", "packed-1", b"again").await.unwrap();
            assert!(again.entries[0].version >= 2, "{kind} {key}");
            assert_eq!(check(&chain, true).await.damage, []);
        });
    }
}

#[test]
fn totals_that_do_not_add_up_are_found_and_corrected() {
    let store = store(12);
    let chain = machine(&store, 1);
    run(&store, async {
        fill(&chain, true).await;
        let record = unsealed(&store.peek(HEAD).unwrap());
        let wrong = record.replacen("\"totals\":{\"entries\":20", "\"totals\":{\"entries\":19", 1);
        assert_ne!(record, wrong);
        store.tamper(HEAD, &sealed(&wrong));
        let found = check(&chain, false).await;
        assert_eq!(found.damage[0].part, Part::Totals);
        let done = Held::nothing().repair(&chain).await;
        assert_eq!((done.len(), &done[0].lost), (1, &Vec::new()));
        assert_eq!(chain.measure(NAMESPACE, None).await.unwrap().rooms[0].totals.entries, 20);
    });
}

#[test]
fn a_repair_waits_for_who_holds_the_partition_and_a_sound_one_is_left_alone() {
    let store = store(13);
    let chain = machine(&store, 1);
    run(&store, async {
        fill(&chain, false).await;
        let before = store.peek(HEAD);
        let request = Held::nothing().request(&[], false);
        let request = RepairRequest { partition: Some(PARTITION.to_owned()), ..request };
        assert_eq!(chain.repair(&request).await.unwrap(), Repaired::default());
        assert_eq!(store.peek(HEAD), before, "a repair of what is sound wrote something");
        let object = key_of(&store, "default/_objects/");
        store.lose(&object);
        let lease = acquire(&machine(&store, 2), 0).await.unwrap();
        let damage = check(&chain, false).await.damage;
        let refused = chain.repair(&Held::nothing().request(&damage, false)).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Held, "{refused}");
        drop(lease);
    });
}

#[test]
fn a_sealed_namespace_whose_root_is_lost_is_not_made_again_blindly() {
    let store = store(14);
    let chain = machine(&store, 1);
    run(&store, async {
        fill(&chain, false).await;
        to_the_end(async |state| chain.migrate(NAMESPACE, "other", state).await).await.unwrap();
        store.lose(META);
        let request = RepairRequest { partition: None, ..Held::nothing().request(&[], false) };
        let refused = machine(&store, 2).repair(&request).await;
        // The machine that moved it knows the state.
        let made = chain.repair(&request).await.unwrap();
        let refused = refused.unwrap_err();
        assert!(refused.message.contains("backup"), "{refused}");
        assert!(!made.notes[0].contains("active"), "{made:?}");
    });
}
