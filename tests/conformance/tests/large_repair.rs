//! The index of a large partition is lost, and the cache of its machine too: what the local index knows makes it again, and
//! where it knows more than a repair takes, nothing is changed.

#![cfg(feature = "wasm")]
#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use peat_conformance_tests::components::{Components, Own, Place};
use peat_conformance_tests::samples::{append, commit_id, new_entry, partition};
use peat_core::collection::CollectPorts;
use peat_core::content::SharedContent;
use peat_core::entry::Lifetime;
use peat_core::health::{Check, Repair, RepairedPart, check, repair};
use peat_core::identifiers::PartitionName;
use peat_core::interrupt::Interrupt;
use peat_core::ports::{
    AcquireRequest, Damage, Datastore, LocalStore, PullDepth, PullRequest, PushRequest, REPAIR_INDEX_MAX, Replica,
    Silent, StoreError,
};
use peat_store::SystemClock;
use peat_test_support::local_store::MemoryStore;
use peat_wasm::Limits;

const TTL: Duration = Duration::from_secs(60);

/// Entries of one commit.
const COMMIT: usize = 10_000;

/// What a guest has here, in bytes: less than it has by default, so that a repair keeps a margin.
const MEMORY: u64 = 192 * 1024 * 1024;

/// The memory of a machine whose cache is gone.
struct WithoutCache(Arc<MemoryStore>);

impl Replica for WithoutCache {
    fn known(&self, partitions: &[PartitionName]) -> Result<Vec<Option<String>>, StoreError> {
        self.0.known(partitions)
    }

    fn cached(&self, _: &str) -> Result<Option<SharedContent>, StoreError> {
        Ok(None)
    }

    fn cache(&self, _: &str, _: &SharedContent) -> Result<(), StoreError> {
        Ok(())
    }
}

struct Machine {
    store: Arc<MemoryStore>,
    datastore: peat_wasm::ComponentDatastore,
    _components: Components,
}

impl Machine {
    async fn new(place: &Place) -> Self {
        let store = Arc::new(MemoryStore::default());
        let replica = Arc::new(WithoutCache(store.clone()));
        let own = Own { spool: store.clone(), replica, launcher: None };
        let components = Components::new(Limits { memory_bytes: MEMORY, ..Limits::default() });
        Self { datastore: components.open("peat-directory.wasm", place, own).await, store, _components: components }
    }

    async fn commit(&self, number: usize, entries: usize) {
        let entry = |index: usize| {
            let mut entry = new_entry(&format!("data-{number:02}-{index:05}"), format!("{number} {index}").as_bytes());
            entry.description.lifetime = Lifetime::Infinite;
            entry
        };
        let changes = append(number as u64, "large", (0..entries).map(entry).collect());
        let request = AcquireRequest {
            partitions: vec![partition("large")],
            ttl: TTL,
            wait: Duration::ZERO,
            holds_others: false,
        };
        let lease = self.datastore.acquire(&request).await.unwrap().pop();
        let push = PushRequest { changes, lease, release: true, may_be_repeated: false };
        assert_eq!(self.datastore.push(&push).await.unwrap().entries.len(), entries, "{}", commit_id(number as u64));
    }

    /// The local index knows what the shared one does.
    async fn pull(&self) {
        let mut request = PullRequest { partitions: None, leases: Vec::new(), depth: PullDepth::Index, cursor: None };
        loop {
            let page = self.datastore.pull(&request).await.unwrap();
            self.store.apply_all(&page.deltas).unwrap();
            request.cursor = page.cursor;
            if request.cursor.is_none() {
                return;
            }
        }
    }

    fn ports(&self) -> CollectPorts<'_> {
        CollectPorts { store: &*self.store, datastore: &self.datastore, clock: &SystemClock, observer: &Silent }
    }

    /// Damages, and how many entries the shared index has.
    async fn check(&self) -> (Vec<Damage>, u64) {
        let report = check(&self.ports(), &Check { partitions: None, read_data: false }, &Interrupt::new()).await;
        let report = report.unwrap();
        (report.damage, report.entries)
    }

    async fn repair(&self, found: &[Damage], dry_run: bool) -> RepairedPart {
        let how = Repair { dry_run, read_data: false, lock_timeout: Duration::ZERO, lease_ttl: TTL };
        repair(&self.ports(), &how, found, &Interrupt::new()).await.unwrap().pop().unwrap()
    }
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Every segment of an index is gone.
fn lose_segments(shared: &Path) {
    let segments: Vec<_> = files_below(shared)
        .into_iter()
        .filter(|path| path.components().any(|part| part.as_os_str() == "_segments"))
        .collect();
    assert!(segments.len() > 1, "{segments:?}");
    for segment in segments {
        std::fs::remove_file(segment).unwrap();
    }
}

fn contents_of(shared: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut contents: Vec<_> =
        files_below(shared).into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    contents.sort();
    contents
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_index_is_made_again_and_of_a_larger_one_nothing_is_given_up() {
    let shared = tempfile::tempdir().unwrap();
    let machine = Machine::new(&Place::Directory(shared.path().to_owned())).await;
    machine.datastore.setup().await.unwrap();
    let commits = REPAIR_INDEX_MAX / COMMIT;
    for number in 0..commits {
        machine.commit(number, COMMIT).await;
    }
    machine.pull().await;
    lose_segments(shared.path());
    let (found, left) = machine.check().await;
    assert!(left < COMMIT as u64, "{left} entries are left");
    let done = machine.repair(&found, false).await;
    assert_eq!((done.done.lost.len(), done.done.records_lost, done.left), (0, 0, None));
    assert_eq!(machine.check().await, (Vec::new(), REPAIR_INDEX_MAX as u64));

    // One entry more than a repair takes.
    machine.commit(commits, 1).await;
    machine.pull().await;
    lose_segments(shared.path());
    let (found, _) = machine.check().await;
    let before = contents_of(shared.path());
    for dry_run in [true, false] {
        let left = machine.repair(&found, dry_run).await.left.unwrap();
        assert!(left.contains("more of it than the 100000 entries"), "{left}");
    }
    assert!(contents_of(shared.path()) == before, "something was changed");
}
