//! Run scopes: they read what their parent has, write for themselves, and are folded or dropped.
//! `PEAT_CHAIN_SEED=n` repeats one seed, `PEAT_CHAIN_SEEDS=n` runs so many.

use std::cell::RefCell;
use std::collections::BTreeMap;

use peat_chain::ErrorKind;
use peat_chain::memory::{Faults, Schedule};
use peat_chain::ports::Clock as _;
use peat_chain::types::{FoldConflict, VersionReference};

use crate::support::*;

const SCOPE: &str = "default.scope-1";

fn seeds(count: u64) -> Vec<u64> {
    let read = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match read("PEAT_CHAIN_SEED") {
        Some(seed) => vec![seed],
        None => (0..read("PEAT_CHAIN_SEEDS").unwrap_or(count)).collect(),
    }
}

#[test]
fn a_scope_reads_its_parent_and_writes_for_itself() {
    let store = store(1);
    let (chain, other) = (machine(&store, 1), machine(&store, 2));
    run(&store, async {
        write_to(&chain, (NAMESPACE, "model--a"), "p1", "small", b"parent").await.unwrap();
        write_to(&chain, (NAMESPACE, "model--a"), "p2", "packed", &[1; 50_000]).await.unwrap();
        write_to(&chain, (NAMESPACE, "model--b"), "p3", "large", &[2; 2_000_000]).await.unwrap();
        other.create_namespace(SCOPE, Some(NAMESPACE), Some(store.now_ms() + 1_000)).await.unwrap();
        let parent = contents(&store, NAMESPACE).await.unwrap();
        assert_eq!(contents(&store, SCOPE).await.unwrap(), parent, "everything is the parent's");
        let receipt = write_to(&other, (SCOPE, "model--a"), "s1", "small", b"scope").await.unwrap();
        assert_eq!(receipt.entries[0].version, 2, "numbers go on where the parent is");
        write_to(&other, (SCOPE, "model--z"), "s2", "new", &[3; 30_000]).await.unwrap();
        let scope = contents(&store, SCOPE).await.unwrap();
        assert_eq!(scope.len(), parent.len() + 2);
        assert_eq!(scope[&("model--a".to_owned(), "small".to_owned(), 2)].1, b"scope");
        assert_eq!(contents(&store, NAMESPACE).await.unwrap(), parent, "the parent knows of nothing");
        // A scope has leases of its own.
        let lease = acquire(&chain, 0).await.unwrap();
        write_to(&other, (SCOPE, PARTITION), "s3", "beside", b"1").await.unwrap();
        chain.release(NAMESPACE, &lease).await.unwrap();
        store.advance(2_000);
        let listed = chain.list_namespaces(None).await.unwrap();
        let scope = listed.namespaces.iter().find(|namespace| namespace.name == SCOPE).unwrap();
        assert!(scope.expired && scope.parent.as_deref() == Some(NAMESPACE));
        let error = chain.migrate(NAMESPACE, "new", None).await.unwrap_err();
        assert!(error.message.contains("run-scope list"), "{error}");
        to_the_end(async |state| chain.delete_namespace(SCOPE, false, state).await).await.unwrap();
        assert_eq!(store.keys(SCOPE), ["default.scope-1/_index/_meta.json"]);
        store.advance(25 * 3_600_000);
        assert_eq!(chain.list_namespaces(None).await.unwrap().namespaces.len(), 1);
        assert!(store.keys(SCOPE).is_empty(), "nothing of it is kept for ever");
        assert_eq!(contents(&store, NAMESPACE).await.unwrap(), parent);
        assert_eq!(write_to(&other, (SCOPE, "model--a"), "s4", "x", b"1").await.unwrap_err().kind, ErrorKind::NotFound);
    });
}

#[test]
fn a_fold_commits_everything_once_and_tells_what_it_renumbered() {
    let store = store(2);
    let (chain, other) = (machine(&store, 1), machine(&store, 2));
    run(&store, async {
        write(&chain, "p1", "a", b"1").await.unwrap();
        write(&chain, "p2", "gone", b"1").await.unwrap();
        chain.create_namespace(SCOPE, Some(NAMESPACE), None).await.unwrap();
        for round in 0..3_u8 {
            let content = vec![round; if round == 1 { 2_000_000 } else { 20_000 }];
            write_to(&chain, (SCOPE, PARTITION), &format!("s{round}"), "a", &content).await.unwrap();
        }
        // Enough to move into segments.
        for round in 0..40 {
            let append = (0..20).map(|item| new_entry(&format!("item-{round}-{item}"), b"12", "run-1")).collect();
            chain.push(&push_to(SCOPE, push_request(&format!("many-{round}"), append, None))).await.unwrap();
        }
        let remove = vec![VersionReference { name: "gone".to_owned(), version: 1 }];
        let removing = peat_chain::types::PushRequest { remove, ..push_request("remove", Vec::new(), None) };
        chain.push(&push_to(SCOPE, removing)).await.unwrap();
        write(&other, "p3", "a", b"meanwhile").await.unwrap();
        store.take_traffic();
        let conflicts = RefCell::new(Vec::new());
        let done = to_the_end(async |state| {
            let step = other.fold(SCOPE, state).await?;
            conflicts.borrow_mut().extend(step.conflicts.clone());
            Ok(step)
        });
        let done = done.await.unwrap();
        assert_eq!((done.completed.partitions, done.completed.items), (1, 803));
        assert!(store.take_traffic().down < 1_000_000, "content is copied inside the store");
        let conflict = |version| FoldConflict {
            partition: PARTITION.to_owned(),
            name: "a".to_owned(),
            version,
            folded_as: version + 1,
        };
        assert_eq!(conflicts.into_inner(), [conflict(2), conflict(3), conflict(4)]);
        let found = contents(&store, NAMESPACE).await.unwrap();
        assert_eq!(found.len(), 2 + 3 + 800, "one was removed");
        assert_eq!(found[&(PARTITION.to_owned(), "a".to_owned(), 4)].1, vec![1; 2_000_000]);
        assert_eq!(store.keys(SCOPE), ["default.scope-1/_index/_meta.json"]);
        assert_eq!(other.fold(SCOPE, None).await.unwrap_err().kind, ErrorKind::NotFound);
    });
}

#[test]
fn fifty_scopes_are_folded_at_once() {
    let store = store(3);
    let mut schedule = Schedule::new(&store);
    for scope in 0..50_u32 {
        let chain = machine(&store, scope + 1);
        schedule.add(async move {
            let name = format!("default.scope-{scope}");
            chain.create_namespace(&name, Some(NAMESPACE), None).await.unwrap();
            for commit in 0..2 {
                let id = format!("s{scope}-c{commit}");
                write_to(&chain, (&name, PARTITION), &id, "shared", id.as_bytes()).await.unwrap();
            }
            to_the_end(async |state| chain.fold(&name, state).await).await.unwrap();
        });
    }
    schedule.run();
    run(&store, async {
        let found = contents(&store, NAMESPACE).await.unwrap();
        let versions = found.keys().map(|(_, _, version)| *version);
        assert!(versions.eq(1..=100));
        let runs: std::collections::BTreeSet<&String> = found.values().map(|(run_id, _)| run_id).collect();
        assert_eq!(runs.len(), 100);
        let left: Vec<String> = store.keys("default.scope-");
        assert!(left.iter().all(|key| key.ends_with("_meta.json")), "{left:?}");
    });
}

#[test]
fn folds_that_are_killed_anywhere_are_finished_by_others_and_nothing_is_done_twice() {
    for seed in seeds(150) {
        let store = store(seed);
        store.set_faults(Faults { unavailable: 20, reply_lost: 40, conflict_after: 30, delayed: 30 });
        let told: RefCell<BTreeMap<String, Vec<u8>>> = RefCell::default();
        let all_opened: RefCell<Vec<String>> = RefCell::default();
        let mut schedule = Schedule::new(&store);
        for scope in 0..3_u32 {
            let name = format!("default.scope-{scope}");
            let (writer, told, opened) = (machine(&store, scope + 1), &told, name.clone());
            let all_opened = &all_opened;
            schedule.add(async move {
                while matches!(writer.create_namespace(&opened, Some(NAMESPACE), None).await,
                    Err(error) if error.kind != ErrorKind::Conflict)
                {}
                all_opened.borrow_mut().push(opened.clone());
                for commit in 0..4_u32 {
                    let id = format!("s{scope}-c{commit}");
                    let content = id.as_bytes().repeat(if commit % 2 == 0 { 10 } else { 2_000 });
                    loop {
                        let push = push_request(&id, vec![new_entry("name", &content, &id)], None);
                        let push = peat_chain::types::PushRequest { may_be_repeated: true, ..push };
                        match writer.push(&push_to(&opened, push)).await {
                            Ok(_) => {
                                told.borrow_mut().insert(id, content);
                                break;
                            }
                            // Closed by the folder: nothing of this commit is in it, nor ever will be.
                            Err(error) if matches!(error.kind, ErrorKind::Denied | ErrorKind::NotFound) => return,
                            Err(_) => {}
                        }
                    }
                }
            });
            for folder in 0..3_u32 {
                let (chain, name, store_) = (machine(&store, 100 + scope * 10 + folder), name.clone(), store.clone());
                let task = schedule.add(async move {
                    while !all_opened.borrow().contains(&name) {
                        chain.world().sleep(50).await;
                    }
                    chain.world().sleep(u64::from(folder) * 200 + store_.chance() % 300).await;
                    let mut state: Option<String> = None;
                    for _ in 0..500 {
                        match chain.fold(&name, state.as_deref()).await {
                            Ok(step) if step.done => return,
                            Ok(step) => state = Some(step.state),
                            Err(error) if error.kind == ErrorKind::NotFound => return,
                            Err(error) if error.kind == ErrorKind::Denied => return,
                            Err(_) => state = None,
                        }
                    }
                    panic!("{name} was never folded");
                });
                if folder < 2 {
                    schedule.kill(task, 300 + store.chance() % 2_500);
                }
            }
        }
        schedule.run();
        store.set_faults(Faults::default());
        store.advance(60_000);
        run(&store, async {
            let found = contents(&store, NAMESPACE).await.unwrap();
            let mut runs: BTreeMap<String, Vec<u8>> = BTreeMap::new();
            for (run_id, content) in found.values() {
                assert!(runs.insert(run_id.clone(), content.clone()).is_none(), "seed {seed}: {run_id} twice");
            }
            let told = told.borrow();
            for (run_id, content) in told.iter() {
                assert!(runs.get(run_id) == Some(content), "seed {seed}: {run_id} is lost");
            }
            let versions = found.keys().map(|(_, _, version)| *version);
            assert!(versions.eq(1..=found.len() as u64), "seed {seed}: gaps");
        });
    }
}
