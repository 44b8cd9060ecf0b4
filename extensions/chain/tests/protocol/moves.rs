//! Seeded schedules of moves beside busy writers: every acknowledged commit is in exactly one place, whoever is killed when.
//! `PEAT_CHAIN_SEED=n` repeats one seed, `PEAT_CHAIN_SEEDS=n` runs so many.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use peat_chain::memory::{Faults, Machine, Schedule, Store};
use peat_chain::ports::Clock as _;
use peat_chain::types::{NamespaceState, PushRequest};
use peat_chain::{Chain, ErrorKind, Result};

use crate::support::*;

const WRITERS: u32 = 3;
const COMMITS: u32 = 4;
const PARTITIONS: [&str; 2] = ["model--a", "model--b"];

/// Commit id → (partition, version).
type Told = RefCell<BTreeMap<String, (String, u64)>>;

fn seeds(count: u64) -> Vec<u64> {
    let read = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match read("PEAT_CHAIN_SEED") {
        Some(seed) => vec![seed],
        None => (0..read("PEAT_CHAIN_SEEDS").unwrap_or(count)).collect(),
    }
}

fn faulty() -> Faults {
    Faults { unavailable: 20, reply_lost: 40, conflict_after: 30, delayed: 30 }
}

/// Where the namespace is, as an operator would look: follows the signs.
async fn current(chain: &Chain<Machine>, namespace: &str) -> String {
    let mut name = namespace.to_owned();
    loop {
        let Ok(page) = chain.list_namespaces(None).await else { continue };
        let found = page.namespaces.into_iter().find(|found| found.name == name);
        match found.map(|found| found.state) {
            Some(NamespaceState::Moved(to)) => name = to,
            _ => return name,
        }
    }
}

/// A writer whose configuration follows the namespace when it is told that it was moved.
async fn write_until_acknowledged(chain: &Chain<Machine>, writer: u32, locked: bool, told: &Told) {
    let mut namespace = NAMESPACE.to_owned();
    for commit in 0..COMMITS {
        let partition = PARTITIONS[(commit % 2) as usize];
        let id = format!("w{writer}-c{commit}");
        // Inlined, in a pack.
        let content = id.as_bytes().repeat(if commit % 2 == 0 { 10 } else { 2_000 });
        for tries in 0_u32.. {
            assert!(tries < 3_000, "commit {id} was never acknowledged");
            let attempt = if locked {
                write_repeated(chain, (&namespace, partition), &id, &content).await
            } else {
                let push = push_request(&id, vec![new_entry("name", &content, &id)], None);
                let push = PushRequest { partition: partition.to_owned(), may_be_repeated: true, ..push };
                chain.push(&push_to(&namespace, push)).await.map(|receipt| receipt.entries[0].version)
            };
            match attempt {
                Ok(version) => {
                    told.borrow_mut().insert(id, (partition.to_owned(), version));
                    break;
                }
                Err(error) if matches!(error.kind, ErrorKind::Denied | ErrorKind::NotFound) => {
                    chain.world().sleep(200).await;
                    namespace = current(chain, NAMESPACE).await;
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
    }
}

async fn write_repeated(chain: &Chain<Machine>, at: (&str, &str), id: &str, content: &[u8]) -> Result<u64> {
    let request = peat_chain::types::AcquireRequest {
        namespace: at.0.to_owned(),
        partitions: vec![at.1.to_owned()],
        ..acquire_request(60_000)
    };
    let lease = chain.acquire(&request).await?.pop();
    let push = push_request(id, vec![new_entry("name", content, id)], lease);
    let push = PushRequest { partition: at.1.to_owned(), may_be_repeated: true, ..push };
    chain.push(&push_to(at.0, push)).await.map(|receipt| receipt.entries[0].version)
}

/// Moves until that is done, or somebody else was faster; whether it was this one's target.
async fn move_until_done(chain: &Chain<Machine>, target: &str) -> bool {
    let mut state: Option<String> = None;
    for _ in 0..2_000 {
        match chain.migrate(NAMESPACE, target, state.as_deref()).await {
            Ok(step) if step.done => return true,
            Ok(step) => state = Some(step.state),
            Err(error) => match error.kind {
                ErrorKind::Unavailable(_) | ErrorKind::Held => state = None,
                ErrorKind::Denied | ErrorKind::Conflict | ErrorKind::NotFound => return false,
                _ => panic!("{error}"),
            },
        }
    }
    panic!("the move to {target} never ended");
}

/// Every acknowledged commit is in `place` once, and the old place says where that is.
fn check(store: &Store, told: &Told, place: &str, seed: u64) {
    store.set_faults(Faults::default());
    store.advance(60_000);
    run(store, async {
        let found = contents(store, place).await.unwrap();
        let mut runs = BTreeMap::new();
        for ((partition, _, version), (run_id, _)) in &found {
            let before = runs.insert(run_id.clone(), (partition.clone(), *version));
            assert!(before.is_none(), "seed {seed}: {run_id} was done twice");
        }
        assert_eq!(runs, *told.borrow(), "seed {seed}");
        for partition in PARTITIONS {
            let versions: BTreeSet<u64> =
                runs.values().filter(|(found, _)| found == partition).map(|(_, version)| *version).collect();
            let count = versions.len() as u64;
            assert!(versions.into_iter().eq(1..=count), "seed {seed}: versions of {partition} have gaps");
        }
        assert_eq!(contents(store, NAMESPACE).await.unwrap_err().kind, ErrorKind::Denied, "seed {seed}");
    });
}

#[test]
fn a_move_beside_busy_writers_loses_nothing_and_leaves_nothing_behind() {
    for locked in [true, false] {
        for seed in seeds(150) {
            let store = store(seed);
            store.set_faults(faulty());
            let told = Told::default();
            let mut schedule = Schedule::new(&store);
            for writer in 0..WRITERS {
                let (chain, told) = (machine(&store, writer + 1), &told);
                schedule.add(async move { write_until_acknowledged(&chain, writer, locked, told).await });
            }
            let (mover, start_ms) = (machine(&store, 50), store.chance() % 600);
            schedule.add(async move {
                mover.world().sleep(start_ms).await;
                assert!(move_until_done(&mover, "new").await, "seed {seed}");
            });
            schedule.run();
            assert_eq!(told.borrow().len(), (WRITERS * COMMITS) as usize);
            check(&store, &told, "new", seed);
        }
    }
}

#[test]
fn a_mover_killed_between_any_two_requests_is_succeeded_by_another_machine() {
    for seed in seeds(300) {
        let store = store(seed);
        store.set_faults(faulty());
        let told = Told::default();
        let mut schedule = Schedule::new(&store);
        for writer in 0..WRITERS {
            let (chain, told) = (machine(&store, writer + 1), &told);
            schedule.add(async move { write_until_acknowledged(&chain, writer, seed % 2 == 0, told).await });
        }
        for mover in 0..3_u32 {
            let (chain, store_) = (machine(&store, 50 + mover), store.clone());
            let task = schedule.add(async move {
                chain.world().sleep(u64::from(mover) * 300 + store_.chance() % 300).await;
                move_until_done(&chain, "new").await;
            });
            if mover < 2 {
                schedule.kill(task, 300 + store.chance() % 1_500);
            }
        }
        schedule.run();
        check(&store, &told, "new", seed);
    }
}

#[test]
fn of_two_moves_at_once_one_is_done_and_nothing_is_left_of_the_other() {
    for seed in seeds(200) {
        let store = store(seed);
        if seed % 2 == 1 {
            store.set_faults(Faults { unavailable: 20, ..Faults::default() });
        }
        let told = Told::default();
        let won: RefCell<Vec<&str>> = RefCell::default();
        let mut schedule = Schedule::new(&store);
        let (writer, told_) = (machine(&store, 1), &told);
        schedule.add(async move { write_until_acknowledged(&writer, 0, true, told_).await });
        for (index, target) in ["left", "right", "left"].into_iter().enumerate() {
            let (mover, won) = (machine(&store, 50 + index as u32), &won);
            schedule.add(async move {
                if move_until_done(&mover, target).await {
                    won.borrow_mut().push(target);
                }
            });
        }
        schedule.run();
        let won: BTreeSet<&str> = won.into_inner().into_iter().collect();
        assert_eq!(won.len(), 1, "seed {seed}: {won:?}");
        let place = *won.first().unwrap();
        check(&store, &told, place, seed);
        run(&store, async {
            let page = machine(&store, 99).list_namespaces(None).await.unwrap();
            let usable: Vec<_> = page.namespaces.iter().filter(|found| found.state == NamespaceState::Active).collect();
            assert_eq!(usable.len(), 1, "seed {seed}: {usable:?}");
        });
    }
}

#[test]
fn a_move_given_up_at_any_moment_leaves_the_source_as_it_was() {
    let moved = Cell::new(0);
    for seed in seeds(200) {
        let store = store(seed);
        let told = Told::default();
        let mut schedule = Schedule::new(&store);
        for writer in 0..2 {
            let (chain, told) = (machine(&store, writer + 1), &told);
            schedule.add(async move { write_until_acknowledged(&chain, writer, true, told).await });
        }
        let (mover, operator) = (machine(&store, 50), machine(&store, 51));
        schedule.add(async move {
            move_until_done(&mover, "new").await;
        });
        let (start_ms, moved) = (store.chance() % 500, &moved);
        schedule.add(async move {
            operator.world().sleep(start_ms).await;
            // Only while it fills: what is in use by then is not deleted.
            loop {
                let page = operator.list_namespaces(None).await.unwrap();
                match page.namespaces.iter().find(|found| found.name == "new").map(|found| &found.state) {
                    Some(NamespaceState::Filling(_)) => {
                        let id = operator.give_up("new").await;
                        moved.set(moved.get() + u32::from(id.is_err()));
                        return;
                    }
                    Some(NamespaceState::Active) => {
                        moved.set(moved.get() + 1);
                        return;
                    }
                    _ => operator.world().sleep(5).await,
                }
            }
        });
        schedule.run();
        let place = run(&store, async { current(&machine(&store, 98), NAMESPACE).await });
        store.advance(60_000);
        run(&store, async {
            let found = contents(&store, &place).await.unwrap();
            let runs: BTreeSet<&String> = found.values().map(|(run_id, _)| run_id).collect();
            assert_eq!(runs.len(), found.len(), "seed {seed}");
            assert!(runs.into_iter().eq(told.borrow().keys()), "seed {seed}: {place}");
        });
    }
    assert!(moved.get() > 0, "some moves were faster than the operator");
    assert!(u64::from(moved.get()) < 200, "some moves were given up");
}

trait GiveUp {
    async fn give_up(&self, target: &str) -> Result<()>;
}

impl GiveUp for Chain<Machine> {
    async fn give_up(&self, target: &str) -> Result<()> {
        to_the_end(async |state| self.delete_namespace(target, false, state).await).await.map(drop)
    }
}
