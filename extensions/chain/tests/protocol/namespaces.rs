//! Namespaces: made, listed, moved while they are in use, deleted.

use peat_chain::ErrorKind;
use peat_chain::memory::Store;
use peat_chain::types::{NamespaceState, PullRequest, Wanted};

use crate::support::*;

const NEW: &str = "new";

/// A store whose namespace has content of every size in several partitions, and index segments.
fn filled(seed: u64) -> Store {
    let store = store(seed);
    let chain = machine(&store, 1);
    run(&store, async {
        for (partition, size) in [("model--a", 10), ("model--b", 50_000), ("model--c", 2_000_000)] {
            for round in 0..3_u8 {
                let commit = format!("{partition}-{round}").replace("model--", "");
                write_to(&chain, (NAMESPACE, partition), &commit, "name", &vec![round; size]).await.unwrap();
            }
        }
        for round in 0..40 {
            let append = (0..30).map(|item| new_entry(&format!("item-{round}-{item}"), b"12", "run-1")).collect();
            chain.push(&push_request(&format!("many-{round}"), append, None)).await.unwrap();
        }
    });
    store.take_requests();
    store
}

#[test]
fn a_namespace_is_made_once_and_listed() {
    let store = store(1);
    let (one, two) = (machine(&store, 1), machine(&store, 2));
    run(&store, async {
        let made = one.create_namespace(NEW, None, None).await.unwrap();
        assert_eq!((made.name.as_str(), &made.state), (NEW, &NamespaceState::Active));
        let error = two.create_namespace(NEW, None, None).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Conflict);
        assert!(error.message.contains("exists already"), "{error}");
        for (name, parent) in
            [("x.scope-1", None), ("x", Some("default")), ("default.scope-a.scope-b", Some("default"))]
        {
            let error = one.create_namespace(name, parent, None).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidInput, "{name}: {error}");
        }
        let listed = two.list_namespaces(None).await.unwrap();
        let names: Vec<&str> = listed.namespaces.iter().map(|namespace| namespace.name.as_str()).collect();
        assert_eq!(names, [NAMESPACE, NEW]);
        write_to(&two, (NEW, PARTITION), "c1", "a", b"1").await.unwrap();
    });
}

#[test]
fn a_moved_namespace_has_everything_and_the_old_place_says_where_it_is() {
    let store = filled(2);
    let (mover, writer) = (machine(&store, 2), machine(&store, 3));
    run(&store, async {
        // It knows the old place as it was.
        write(&writer, "warm", "a", b"1").await.unwrap();
        let before = contents(&store, NAMESPACE).await.unwrap();
        store.take_traffic();
        let done = to_the_end(async |state| mover.migrate(NAMESPACE, NEW, state).await).await.unwrap();
        assert!(store.take_traffic().down < 1_000_000, "content is copied inside the store");
        assert_eq!(done.completed.partitions, 4);
        assert_eq!(done.completed.items, before.len() as u64);
        assert_eq!(contents(&store, NEW).await.unwrap(), before);
        for error in [
            write(&writer, "late", "a", b"late").await.unwrap_err(),
            writer.push(&push_request("late", vec![new_entry("a", b"late", "late")], None)).await.unwrap_err(),
            contents(&store, NAMESPACE).await.unwrap_err(),
            writer.setup_of_moved().await,
        ] {
            assert_eq!(error.kind, ErrorKind::Denied, "{error}");
            assert!(error.message.contains("was moved to new"), "{error}");
        }
        let receipt = write_to(&writer, (NEW, "model--a"), "next", "name", b"next").await.unwrap();
        assert_eq!(receipt.entries[0].version, 4, "numbers go on");
        let again = to_the_end(async |state| mover.migrate(NAMESPACE, NEW, state).await).await.unwrap();
        assert!(again.done, "a move that is done is done");
    });
}

trait Moved {
    async fn setup_of_moved(&self) -> peat_chain::Error;
}

impl Moved for peat_chain::Chain<peat_chain::memory::Machine> {
    async fn setup_of_moved(&self) -> peat_chain::Error {
        let request = PullRequest { partitions: Some(vec![PARTITION.to_owned()]), ..pull_request(None) };
        self.pull(&request).await.unwrap_err()
    }
}

#[test]
fn nothing_is_half_visible_and_any_machine_goes_on() {
    let store = filled(3);
    run(&store, async {
        let mut before = contents(&store, NAMESPACE).await.unwrap();
        let mut refused = false;
        // Every step by another machine that knows of nothing, until the target is there.
        let mut machines = 100;
        let mut state: Option<String> = None;
        loop {
            machines += 1;
            let mover = machine(&store, machines);
            let step = mover.migrate(NAMESPACE, NEW, state.as_deref()).await.unwrap();
            if step.done {
                break;
            }
            let error = contents(&store, NEW).await.unwrap_err();
            assert!(error.message.contains("is on its way to it"), "{error}");
            let error = write_to(&mover, (NEW, "model--a"), "early", "name", b"early").await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Denied);
            match write(&mover, "late", "a", b"late").await {
                // Before its partition was sealed: it comes along.
                Ok(_) => {
                    assert!(!refused, "a sealed partition took a commit");
                    before = contents(&store, NAMESPACE).await.unwrap();
                }
                Err(error) => {
                    assert_eq!(error.kind, ErrorKind::Denied);
                    assert!(error.message.contains("on its way to new"), "{error}");
                    refused = true;
                }
            }
            assert_eq!(contents(&store, NAMESPACE).await.unwrap(), before, "the source is read meanwhile");
            state = Some(step.state);
        }
        assert!(refused);
        assert_eq!(contents(&store, NEW).await.unwrap(), before);
    });
}

#[test]
fn a_move_is_given_up_by_deleting_its_target() {
    let store = filled(4);
    let (mover, writer) = (machine(&store, 2), machine(&store, 3));
    run(&store, async {
        let before = contents(&store, NAMESPACE).await.unwrap();
        let begun = mover.migrate(NAMESPACE, NEW, None).await.unwrap();
        let sealed = mover.migrate(NAMESPACE, NEW, Some(&begun.state)).await.unwrap();
        let error = mover.delete_namespace(NAMESPACE, true, None).await.unwrap_err();
        assert!(error.message.contains("namespace delete new"), "{error}");
        to_the_end(async |state| writer.delete_namespace(NEW, false, state).await).await.unwrap();
        assert_eq!(store.keys("new/"), ["new/_index/_meta.json"]);
        assert_eq!(contents(&store, NAMESPACE).await.unwrap(), before);
        write_to(&writer, (NAMESPACE, "model--a"), "after", "name", b"after").await.unwrap();
        // The mover was only slow.
        let error = to_the_end(async |state| mover.migrate(NAMESPACE, NEW, state.or(Some(&sealed.state))).await).await;
        assert!(error.is_err());
        assert_eq!(contents(&store, NAMESPACE).await.unwrap().len(), before.len() + 1);
        // What it left is not taken for anything later.
        writer.create_namespace(NEW, None, None).await.unwrap();
        assert!(contents(&store, NEW).await.unwrap().is_empty());
    });
}

#[test]
fn a_taken_name_is_refused_and_nothing_changes() {
    let store = filled(5);
    let mover = machine(&store, 2);
    run(&store, async {
        mover.create_namespace(NEW, None, None).await.unwrap();
        write_to(&mover, (NEW, PARTITION), "c1", "a", b"1").await.unwrap();
        let error = mover.migrate(NAMESPACE, NEW, None).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Conflict);
        assert!(error.message.contains("namespace new exists already"), "{error}");
        write(&mover, "c2", "a", b"2").await.unwrap();
        assert_eq!(contents(&store, NEW).await.unwrap().len(), 1);
    });
}

#[test]
fn deleting_what_is_left_frees_it_and_slow_readers_are_told() {
    let store = filled(6);
    let (mover, reader) = (machine(&store, 2), machine(&store, 3));
    run(&store, async {
        let page = pull(&reader).await.unwrap();
        let delta = page.deltas.iter().find(|delta| delta.partition == "model--b").unwrap();
        let entry = &delta.entries[0].entry;
        let wanted = Wanted {
            partition: delta.partition.clone(),
            name: entry.description.name.clone(),
            version: entry.version,
            size: entry.description.size,
            digest: entry.description.digest.clone(),
            location: entry.location.clone(),
        };
        to_the_end(async |state| mover.migrate(NAMESPACE, NEW, state).await).await.unwrap();
        assert!(reader.fetch(NAMESPACE, std::slice::from_ref(&wanted)).await.unwrap()[0].is_ok(), "it is still there");
        let deleted = to_the_end(async |state| mover.delete_namespace(NAMESPACE, false, state).await).await.unwrap();
        assert!(deleted.completed.bytes > 6_000_000, "{:?}", deleted.completed);
        assert_eq!(store.keys("default/"), ["default/_index/_meta.json"]);
        let error = reader.fetch(NAMESPACE, &[wanted]).await.unwrap_err();
        assert!(error.message.contains("was moved to new"), "{error}");
        // And back.
        let before = contents(&store, NEW).await.unwrap();
        to_the_end(async |state| mover.migrate(NEW, NAMESPACE, state).await).await.unwrap();
        assert_eq!(contents(&store, NAMESPACE).await.unwrap(), before);
    });
}

#[test]
fn a_deleted_namespace_is_gone_and_its_writers_are_refused() {
    let store = filled(7);
    let (operator, writer) = (machine(&store, 2), machine(&store, 3));
    run(&store, async {
        write(&writer, "c1", "a", b"1").await.unwrap();
        let error = operator.delete_namespace(NAMESPACE, false, None).await.unwrap_err();
        assert!(error.message.contains("is in use"), "{error}");
        let lease = acquire(&writer, 0).await.unwrap();
        let step = operator.delete_namespace(NAMESPACE, true, None).await.unwrap();
        assert!(step.waiting && step.message.contains("host-3"), "{step:?}");
        let push = push_request("c2", vec![new_entry("a", b"2", "c2")], Some(lease));
        writer.push(&push).await.expect("who had a lease before is waited for");
        to_the_end(async |state| operator.delete_namespace(NAMESPACE, true, state).await).await.unwrap();
        assert_eq!(store.keys("default/"), ["default/_index/_meta.json"]);
        assert!(operator.list_namespaces(None).await.unwrap().namespaces.is_empty());
        assert_eq!(write(&writer, "c3", "a", b"3").await.unwrap_err().kind, ErrorKind::NotFound);
    });
}
