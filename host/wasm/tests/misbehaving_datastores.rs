//! Datastore extensions that lie, trap or answer nonsense: what they say is used only as far as it can be true.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use peat_core::content::in_memory;
use peat_core::digest::Digest;
use peat_core::entry::{ChangeSet, Description, Lifetime, NewEntry};
use peat_core::identifiers::{CommitId, DataName, NamespaceName, PartitionName, RunId};
use peat_core::lease::Holder;
use peat_core::ports::{
    AcquireRequest, Datastore as _, DatastoreError, DatastoreFeatures, ErrorKind, ExtensionError, HolderIdentity,
    Movement, Observer, Progress, PullRequest, PushRequest,
};
use peat_test_guests::text::{datastore_metadata, extension};
use peat_test_support::local_store::MemoryStore;
use peat_wasm::{ComponentDatastore, DatastoreBinding, GrantedCapabilities};

use world::World;

/// Says nothing but what it is.
struct Somebody;

impl HolderIdentity for Somebody {
    fn current(&self) -> Holder {
        Holder {
            host: "host".to_owned(),
            boot_id: "boot".to_owned(),
            pid_namespace: "1".to_owned(),
            pid: 1,
            process_start: 1,
            command: "test".to_owned(),
        }
    }

    fn is_dead(&self, _: &Holder) -> bool {
        false
    }
}

/// Keeps warnings.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Observer for Warnings {
    fn progress(&self, _: Progress) {}

    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

async fn open(world: &World, bytes: &[u8]) -> (ComponentDatastore, Vec<String>) {
    let warnings = Arc::new(Warnings::default());
    let store = Arc::new(MemoryStore::default());
    let binding = DatastoreBinding {
        namespace: NamespaceName::default_namespace(),
        capabilities: GrantedCapabilities::default(),
        settings: serde_json::json!({}),
        directory: None,
        bucket: None,
        secrets: BTreeMap::new(),
        replica: store.clone(),
        spool: store,
        identity: Arc::new(Somebody),
        observer: warnings.clone(),
        launcher: None,
        movement: Movement::default(),
    };
    let datastore = world.host.datastore(world.install(bytes), binding).await.unwrap();
    let warned = warnings.0.lock().unwrap().clone();
    (datastore, warned)
}

/// A datastore of a module whose answers lie at 2048, all zero but for what each function of `bodies` stores there:
/// `describe`, `setup`, `pull`, `push`.
fn datastore(bodies: [&str; 4]) -> Vec<u8> {
    datastore_with("", bodies)
}

fn datastore_with(items: &str, bodies: [&str; 4]) -> Vec<u8> {
    let [describe, setup, pull, push] = bodies;
    let pull_parameters = "i32 ".repeat(11);
    let run = format!(
        r#"(func (export "peat:datastore/capabilities@0.1.0#describe") (result i32) {describe} (i32.const 2048))
           (func (export "peat:datastore/capabilities@0.1.0#setup") (param i32 i32) (result i32) {setup} (i32.const 2048))
           (func (export "peat:datastore/capabilities@0.1.0#verify") (param i32 i32) (result i32) {setup} (i32.const 2048))
           (func (export "peat:datastore/sync@0.1.0#pull") (param {pull_parameters}) (result i32) {pull} (i32.const 2048))
           (func (export "peat:datastore/sync@0.1.0#push") (param i32) (result i32) {push} (i32.const 2048))"#
    );
    extension("peat:datastore/datastore", &format!("{items}\n{run}"), &datastore_metadata(&[]))
}

/// As many as a run may write, with its record and its log.
const ITEMS_OF_A_RUN: u32 = 10_002;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_commit_of_a_run_reaches_the_datastore() {
    let world = World::new();
    let room = "(memory (export \"memory\") 256)";
    let (datastore, _) = open(&world, &datastore_with(room, ["", "", "", ""])).await;
    let content = in_memory(b"x".to_vec());
    let append = (0..ITEMS_OF_A_RUN).map(|number| NewEntry {
        description: Description {
            name: DataName::parse(&format!("item-{number}")).unwrap(),
            size: 1,
            digest: Digest::of(b"x"),
            content_type: "text/plain".to_owned(),
            lifetime: Lifetime::Infinite,
            tags: Vec::new(),
            created_at_ms: 0,
            run_id: RunId::parse("run-00000001").unwrap(),
            of_failed_run: false,
        },
        content: content.clone(),
        version_cap: None,
        version: None,
    });
    let changes = ChangeSet {
        commit_id: CommitId::parse("commit-00000001").unwrap(),
        partition: partition(),
        append: append.collect(),
        remove: Vec::new(),
    };
    let request = PushRequest { changes, lease: None, release: true, may_be_repeated: false };
    // It came to answering: what it answers is of no use here.
    assert_malformed(datastore.push(&request).await, "0 for 10002 pushed entries");
}

fn partition() -> PartitionName {
    PartitionName::parse("model-a").unwrap()
}

#[track_caller]
fn assert_malformed<T: std::fmt::Debug>(result: Result<T, DatastoreError>, because: &str) {
    match result {
        Err(DatastoreError::Extension(error @ ExtensionError::Malformed { .. })) => {
            assert!(error.to_string().contains(because), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_cannot_say_what_it_is_is_used_without_its_options() {
    let world = World::new();
    let (datastore, warned) = open(&world, &peat_test_guests::sound_datastore()).await;
    assert_eq!(datastore.features(), DatastoreFeatures::default());
    assert!(warned[0].contains("its optional features are not used") && warned[0].contains("trapped"), "{warned:?}");
    let error = datastore.setup().await.unwrap_err();
    assert!(matches!(error, DatastoreError::Extension(ExtensionError::Trapped { .. })), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_promises_what_it_does_not_export_is_used_without_it() {
    let world = World::new();
    let lies = datastore(["(i32.store8 (i32.const 2064) (i32.const 15))", "", "", ""]);
    let (datastore, warned) = open(&world, &lies).await;
    assert_eq!(datastore.features(), DatastoreFeatures::default());
    assert!(warned[0].contains("locks, hydration, maintenance, namespaces"), "{warned:?}");
    let request = AcquireRequest {
        partitions: vec![partition()],
        ttl: Duration::from_secs(1),
        wait: Duration::ZERO,
        holds_others: false,
    };
    match datastore.acquire(&request).await {
        Err(DatastoreError::Refused { kind: ErrorKind::Unsupported, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_describes_itself_for_ever_is_given_up() {
    let world =
        World::with(peat_wasm::Limits { local_deadline: Duration::from_millis(300), ..peat_wasm::Limits::default() });
    let (datastore, warned) = open(&world, &datastore(["(loop (br 0))", "", "", ""])).await;
    assert_eq!(datastore.features(), DatastoreFeatures::default());
    assert!(warned[0].contains("did not finish describe within 300 ms"), "{warned:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_break_the_contract_are_not_used() {
    let world = World::new();
    // A page with one delta, of the partition "done", that nobody asked for.
    let pull = "(i32.store (i32.const 2056) (i32.const 3000)) (i32.store (i32.const 2060) (i32.const 1))
        (i32.store (i32.const 3000) (i32.const 1024)) (i32.store (i32.const 3004) (i32.const 4))";
    let (datastore, warned) = open(&world, &datastore(["", "", pull, ""])).await;
    assert!(warned.is_empty(), "{warned:?}");
    assert_malformed(datastore.setup().await, "store-id");
    let asked = PullRequest { partitions: Some(vec![partition()]), ..PullRequest::default() };
    assert_malformed(datastore.pull(&asked).await, "done was not asked for");
    let all = datastore.pull(&PullRequest::default()).await.unwrap();
    assert_eq!(all.deltas[0].partition.as_str(), "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_for_something_else_confirms_nothing() {
    let world = World::new();
    // One entry, all of it empty, where nothing was pushed.
    let push = "(i32.store (i32.const 2056) (i32.const 3072)) (i32.store (i32.const 2060) (i32.const 1))";
    let (store, _) = open(&world, &datastore(["", "", "", push])).await;
    let changes = ChangeSet {
        commit_id: CommitId::parse("commit-00000001").unwrap(),
        partition: partition(),
        append: Vec::new(),
        remove: Vec::new(),
    };
    let request = PushRequest { changes, lease: None, release: true, may_be_repeated: false };
    assert_malformed(store.push(&request).await, "1 for 0 pushed entries");
    // Positions that nothing was pushed at, and one twice.
    for (collected, fault) in [(1, "position 0 of 0 pushed entries"), (2, "positions in rising order")] {
        let push = format!(
            "(i32.store (i32.const 2064) (i32.const 3072)) (i32.store (i32.const 2068) (i32.const {collected}))"
        );
        let (other, _) = open(&world, &datastore(["", "", "", &push])).await;
        assert_malformed(other.push(&request).await, fault);
    }
}
