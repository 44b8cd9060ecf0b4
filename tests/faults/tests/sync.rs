//! What a sync does when something cannot be sent or brought: everything else, and then it says by name what is missing.
//! With the real local store and an in-memory datastore in virtual time.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use peat_core::content;
use peat_core::digest::Digest;
use peat_core::entry::{ChangeSet, Description, Lifetime, NewEntry};
use peat_core::identifiers::{CommitId, DataName, PartitionName, RunId};
use peat_core::interrupt::Interrupt;
use peat_core::ports::{
    AcquireRequest, Clock, Datastore, DatastoreFeatures, EntryFilter, LocalStore, Missing, Observer, Progress,
    PushRequest, Replica, StoredState,
};
use peat_core::repository::HydrationStrategy;
use peat_core::sync::{SyncError, SyncPorts, SyncReport, SyncRequest, hydrate, read, sync};
use peat_store::{SqliteStore, StoreSettings};
use peat_test_support::clock::ManualClock;
use peat_test_support::datastore::{Fault, MemoryDatastore, SharedState};
use peat_test_support::locks::MemoryLocks;
use peat_test_support::renewal::ManualLane;

const TTL: Duration = Duration::from_secs(60);

/// Keeps what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<Progress>>);

impl Observer for Told {
    fn progress(&self, progress: Progress) {
        self.0.lock().unwrap().push(progress);
    }

    fn warn(&self, _: &str) {}
}

struct Machine {
    store: Arc<SqliteStore>,
    datastore: Arc<MemoryDatastore>,
    lane: ManualLane,
    locks: MemoryLocks,
    clock: ManualClock,
    told: Told,
    _directory: tempfile::TempDir,
}

impl Machine {
    fn new(clock: &ManualClock, state: &SharedState) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(directory.path(), StoreSettings::default()).unwrap());
        let datastore = Arc::new(MemoryDatastore::new(state.clone(), clock.clone(), store.clone()));
        Self {
            lane: ManualLane::new(datastore.clone(), clock.clone()),
            datastore,
            store,
            locks: MemoryLocks::new(clock.clone()),
            clock: clock.clone(),
            told: Told::default(),
            _directory: directory,
        }
    }

    fn ports(&self) -> SyncPorts<'_> {
        SyncPorts {
            store: &*self.store,
            datastore: &*self.datastore,
            lane: Some(&self.lane),
            locks: &self.locks,
            clock: &self.clock,
            observer: &self.told,
        }
    }

    fn sync(&self, request: &SyncRequest) -> Result<SyncReport, SyncError> {
        self.clock.run(sync(&self.ports(), request, &Interrupt::new()))
    }

    /// Names of the entries of a partition that are here with their content.
    fn here(&self, of: &str) -> Vec<String> {
        let filter = EntryFilter { partition: Some(partition(of)), ..EntryFilter::default() };
        let entries = self.store.entries(&filter).unwrap();
        let here = entries.into_iter().filter(|stored| stored.state == StoredState::Here);
        here.map(|stored| stored.entry.description.name.to_string()).collect()
    }
}

fn partition(name: &str) -> PartitionName {
    PartitionName::parse(name).unwrap()
}

fn changes(of: &str, names: &[&str]) -> ChangeSet {
    let entry = |name: &&str| {
        let bytes = format!("{of} {name}").into_bytes();
        let description = Description {
            name: DataName::parse(name).unwrap(),
            size: bytes.len() as u64,
            digest: Digest::of(&bytes),
            content_type: "text/plain".to_owned(),
            lifetime: Lifetime::Infinite,
            tags: Vec::new(),
            created_at_ms: 1,
            run_id: RunId::parse("run-00000001").unwrap(),
            of_failed_run: false,
        };
        NewEntry { description, content: content::in_memory(bytes), version_cap: None, version: None }
    };
    let commit_id = CommitId::parse(&format!("commit-of-{of}-{}", names.join("-"))).unwrap();
    ChangeSet { commit_id, partition: partition(of), append: names.iter().map(entry).collect(), remove: Vec::new() }
}

fn digest_of(of: &str, name: &str) -> Digest {
    Digest::of(format!("{of} {name}").as_bytes())
}

/// A datastore with three partitions `a`, `b`, `c` of three entries each.
fn three_partitions(clock: &ManualClock) -> SharedState {
    let state = SharedState::default();
    let writer = Machine::new(clock, &state);
    for of in ["a", "b", "c"] {
        clock.run(async {
            let partitions = vec![partition(of)];
            let request = AcquireRequest { partitions, ttl: TTL, wait: Duration::ZERO, holds_others: false };
            let lease = writer.datastore.acquire(&request).await.unwrap().pop();
            let changes = changes(of, &["one", "two", "three"]);
            writer
                .datastore
                .push(&PushRequest { changes, lease, release: true, may_be_repeated: false })
                .await
                .unwrap();
        });
    }
    state
}

fn full() -> SyncRequest {
    SyncRequest {
        hydration: HydrationStrategy::Full,
        partitions: None,
        lock_timeout: Duration::from_secs(5),
        lease_ttl: TTL,
        timeout: None,
    }
}

fn lazy() -> SyncRequest {
    SyncRequest { hydration: HydrationStrategy::Lazy, ..full() }
}

#[test]
fn content_that_cannot_be_had_is_named_and_everything_else_comes() {
    let clock = ManualClock::default();
    let state = three_partitions(&clock);
    let machine = Machine::new(&clock, &state);
    state.lose_content(&digest_of("b", "two"));
    let error = machine.sync(&full()).unwrap_err();
    let SyncError::Incomplete { report, failures } = &error else { panic!("{error}") };
    assert_eq!((report.brought.contents, report.missing.entries, failures.count), (8, 1, 1));
    assert!(error.to_string().contains("b: two version 1"), "{error}");
    assert_eq!(machine.here("b"), ["one", "three"]);
    assert_eq!(machine.here("c").len(), 3);
}

#[test]
fn an_index_that_cannot_be_read_is_named_and_the_other_partitions_come() {
    let clock = ManualClock::default();
    let state = three_partitions(&clock);
    let machine = Machine::new(&clock, &state);
    state.damage_index(&partition("b"));
    let error = machine.sync(&full()).unwrap_err();
    let SyncError::Incomplete { report, failures } = &error else { panic!("{error}") };
    assert_eq!((report.brought.contents, report.unread, failures.count), (6, 1, 1));
    assert!(error.to_string().contains("b: its index"), "{error}");
    assert_eq!((machine.here("a").len(), machine.here("c").len()), (3, 3));
}

#[test]
fn a_call_that_fails_for_one_content_does_not_keep_the_others_away() {
    let clock = ManualClock::default();
    let state = three_partitions(&clock);
    let machine = Machine::new(&clock, &state);
    // The whole call fails, then its first half: what is left of it comes.
    machine.datastore.fail("fetch", [Fault::Before, Fault::Before]);
    let report = machine.sync(&full()).unwrap();
    assert_eq!((report.brought.contents, report.missing), (9, Missing::default()));
}

#[test]
fn a_datastore_that_is_away_is_given_up_after_a_few_calls() {
    let clock = ManualClock::default();
    let state = three_partitions(&clock);
    let machine = Machine::new(&clock, &state);
    machine.sync(&lazy()).unwrap();
    machine.datastore.fail("fetch", vec![Fault::Before; 100]);
    let before = state.count("fetch");
    let error = machine.sync(&full()).unwrap_err();
    assert_eq!(state.count("fetch") - before, 3);
    assert!(error.to_string().contains("the rest was not tried"), "{error}");
    assert!(error.to_string().contains("a: one version 1"), "it names what it tried: {error}");
}

#[test]
fn a_sync_that_takes_too_long_keeps_what_came_and_the_next_one_goes_on() {
    let clock = ManualClock::default();
    let state = three_partitions(&clock);
    let machine = Machine::new(&clock, &state);
    machine.datastore.fail("fetch", [Fault::Never]);
    let request = SyncRequest { timeout: Some(Duration::from_secs(90)), ..full() };
    let error = machine.sync(&request).unwrap_err();
    assert!(matches!(error, SyncError::TimedOut { .. }) && error.to_string().contains("90 s"), "{error}");
    assert_eq!(clock.elapsed_ms(), 90_000);
    assert_eq!(machine.store.missing_total(None).unwrap().entries, 9, "the index is kept");
    let report = machine.sync(&request).unwrap();
    assert_eq!((report.brought.entries, report.brought.contents), (0, 9));
}

#[test]
fn an_interrupted_sync_keeps_what_came() {
    let clock = ManualClock::default();
    let state = three_partitions(&clock);
    let machine = Machine::new(&clock, &state);
    machine.datastore.fail("fetch", [Fault::Never]);
    let interrupt = Interrupt::new();
    let operator = async {
        clock.sleep(Duration::from_secs(5)).await;
        interrupt.trigger();
    };
    let (ports, request) = (machine.ports(), full());
    let (synced, ()) = clock.run(futures::future::join(sync(&ports, &request, &interrupt), operator));
    assert!(matches!(synced.unwrap_err(), SyncError::Interrupted { report } if report.missing.entries == 9));
    assert_eq!(machine.sync(&request).unwrap().brought.entries, 0, "the index did not come again");
}

#[test]
fn uncommitted_results_that_cannot_be_sent_keep_no_others_back() {
    let clock = ManualClock::default();
    let state = SharedState::default();
    let machine = Machine::new(&clock, &state);
    for of in ["a", "b", "c"] {
        machine.store.stage(&changes(of, &["one"]), 1).unwrap();
    }
    state.take_over(&partition("b"));
    let error = machine.sync(&full()).unwrap_err();
    let SyncError::Incomplete { report, failures } = &error else { panic!("{error}") };
    assert_eq!((report.commits_pushed, failures.count), (2, 1));
    assert!(error.to_string().contains("b: its uncommitted results"), "{error}");
}

#[test]
fn a_scoped_sync_touches_nothing_else() {
    let clock = ManualClock::default();
    let state = three_partitions(&clock);
    let machine = Machine::new(&clock, &state);
    machine.store.stage(&changes("c", &["mine"]), 1).unwrap();
    let request = SyncRequest { partitions: Some(vec![partition("a")]), ..full() };
    let report = machine.sync(&request).unwrap();
    assert_eq!((report.commits_pushed, report.brought.partitions_changed, report.brought.contents), (0, 1, 3));
    assert_eq!(machine.store.known(&[partition("b")]).unwrap(), [None]);
}

#[test]
fn a_lazy_sync_hears_of_everything_and_first_use_brings_it() {
    let clock = ManualClock::default();
    let state = three_partitions(&clock);
    let machine = Machine::new(&clock, &state);
    let report = machine.sync(&lazy()).unwrap();
    assert_eq!((report.unread, report.brought.entries), (3, 0));
    assert_eq!(state.count("pull"), 1);
    clock.run(read(&machine.ports(), &[partition("b")])).unwrap();
    assert_eq!(machine.store.missing_total(None).unwrap().entries, 3);
    // From now on its index is kept up to date, and the others wait.
    let other = Machine::new(&clock, &state);
    other.store.stage(&changes("b", &["four"]), 1).unwrap();
    other.store.stage(&changes("c", &["four"]), 1).unwrap();
    other.sync(&lazy()).unwrap();
    let report = machine.sync(&lazy()).unwrap();
    assert_eq!((report.unread, report.missing.entries), (2, 4));
    // Everything, without another listing.
    let report = clock.run(hydrate(&machine.ports(), None, None, &Interrupt::new())).unwrap();
    assert_eq!((report.unread, report.missing), (0, Missing::default()));
    assert_eq!(machine.here("c").len(), 4);
}

#[test]
fn an_extension_without_hydration_gets_a_full_sync_whatever_is_configured() {
    let clock = ManualClock::default();
    let state = three_partitions(&clock);
    let mut machine = Machine::new(&clock, &state);
    let datastore = MemoryDatastore::new(state.clone(), clock.clone(), machine.store.clone());
    machine.datastore = Arc::new(datastore.with_features(DatastoreFeatures::default()));
    let report = machine.sync(&lazy()).unwrap();
    assert_eq!((report.unread, report.brought.contents, report.missing), (0, 9, Missing::default()));
    assert_eq!(state.count("fetch"), 0);
}

#[test]
fn a_pull_that_never_ends_is_given_up_by_name() {
    let clock = ManualClock::default();
    let state = three_partitions(&clock);
    let machine = Machine::new(&clock, &state);
    machine.sync(&full()).unwrap();
    state.never_end();
    let error = machine.sync(&full()).unwrap_err().to_string();
    assert!(error.contains("memory") && error.contains("pages in a row without any news"), "{error}");
    assert_eq!(machine.here("b").len(), 3);
}

#[test]
fn progress_counts_objects_and_bytes_up_to_what_is_missing() {
    let clock = ManualClock::default();
    let state = three_partitions(&clock);
    let machine = Machine::new(&clock, &state);
    machine.sync(&full()).unwrap();
    let told = machine.told.0.lock().unwrap();
    let last = told.last().unwrap();
    let objects = last.objects.unwrap();
    assert_eq!((objects.done, objects.total, Some(last.done)), (9, 9, last.total));
    let messages: BTreeSet<&str> = told.iter().map(|progress| progress.message.as_str()).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
}
