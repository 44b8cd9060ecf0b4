//! What a sync, a lazy clone and a first run cost in requests, counted: the real protocol and the real local store over
//! objects in memory. The figures are those of `docs/hydration.md` and `docs/shared-store.md`, scaled down.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use peat_conformance_tests::native_chain::NativeChain;
use peat_conformance_tests::samples::{append, new_entry};
use peat_core::content::{SharedContent, in_memory};
use peat_core::identifiers::{DataName, MethodName, ModelId, ModelName, ModelTypeName, PartitionName};
use peat_core::interrupt::Interrupt;
use peat_core::metadata::{Method, ModelType};
use peat_core::ports::{
    AcquireRequest, Condition, Datastore, Listing, LocalStore, Lookup, MethodOutcome, Missing, ObjectError,
    ObjectStore, PushRequest, Range, Silent,
};
use peat_core::repository::{HydrationStrategy, Model};
use peat_core::run::{RunPorts, RunRequest, RunStatus, run_method};
use peat_core::sync::{SyncError, SyncPorts, SyncReport, SyncRequest, sync};
use peat_store::{FileLocks, RenewalThread, SqliteStore, StoreSettings, SystemClock, SystemRandom};
use peat_test_support::executor::ClosureExecutor;
use peat_test_support::objects::MemoryObjects;

const TTL: Duration = Duration::from_secs(600);

/// Counts requests by the place they are for; asked to, it has the work interrupted after so many reads of packs.
#[derive(Default)]
struct Counting {
    objects: MemoryObjects,
    requests: Mutex<Vec<String>>,
    interrupt_after_packs: Mutex<Option<(usize, Interrupt)>>,
}

impl Counting {
    fn count(&self, method: &str, key: &str) {
        self.requests.lock().unwrap().push(format!("{method} {key}"));
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

#[async_trait]
impl ObjectStore for Counting {
    fn description(&self) -> String {
        self.objects.description()
    }

    async fn get(&self, key: &str, unless_etag: Option<&str>) -> Result<Lookup, ObjectError> {
        self.count("GET", key);
        self.objects.get(key, unless_etag).await
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range]) -> Result<Vec<SharedContent>, ObjectError> {
        self.count("RANGES", key);
        if let Some((left, interrupt)) = &mut *self.interrupt_after_packs.lock().unwrap() {
            *left = left.saturating_sub(1);
            if *left == 0 {
                interrupt.trigger();
            }
        }
        self.objects.get_ranges(key, ranges).await
    }

    async fn put(&self, key: &str, content: SharedContent, condition: Condition) -> Result<String, ObjectError> {
        self.count("PUT", key);
        self.objects.put(key, content, condition).await
    }

    async fn copy(&self, source: &str, target: &str) -> Result<String, ObjectError> {
        self.count("COPY", source);
        self.objects.copy(source, target).await
    }

    async fn list(&self, prefix: &str, delimiter: bool, cursor: Option<&str>) -> Result<Listing, ObjectError> {
        self.count("LIST", prefix);
        self.objects.list(prefix, delimiter, cursor).await
    }

    async fn delete(&self, keys: &[String]) -> Result<Vec<(String, ObjectError)>, ObjectError> {
        self.count("DELETE", keys.first().map_or("", String::as_str));
        self.objects.delete(keys).await
    }
}

/// A machine that has never been here.
struct Machine {
    store: Arc<SqliteStore>,
    datastore: Arc<NativeChain>,
    lane: RenewalThread,
    locks: FileLocks,
    _place: tempfile::TempDir,
}

impl Machine {
    fn new(objects: &Arc<Counting>) -> Self {
        let place = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(place.path(), StoreSettings::default()).unwrap());
        let datastore = Arc::new(NativeChain::new(objects.clone(), store.clone()));
        Self {
            lane: RenewalThread::new(datastore.clone(), Arc::new(SystemClock)),
            datastore,
            store,
            locks: FileLocks::open(&place.path().join("locks"), "test").unwrap(),
            _place: place,
        }
    }

    async fn sync(&self, hydration: HydrationStrategy, interrupt: &Interrupt) -> Result<SyncReport, SyncError> {
        let ports = SyncPorts {
            store: &*self.store,
            datastore: &*self.datastore,
            lane: Some(&self.lane),
            locks: &self.locks,
            clock: &SystemClock,
            observer: &Silent,
        };
        let lock_timeout = Duration::from_secs(60);
        let request = SyncRequest { hydration, partitions: None, lock_timeout, lease_ttl: TTL, timeout: None };
        sync(&ports, &request, interrupt).await
    }
}

fn model(number: usize) -> Model {
    Model {
        id: ModelId::parse(&format!("model-{number:06}")).unwrap(),
        name: ModelName::parse(&format!("model-{number}")).unwrap(),
        model_type: ModelTypeName::parse("@test/writer").unwrap(),
        arguments: serde_json::json!({}),
        reads: Vec::new(),
        driver: None,
        retention: Default::default(),
    }
}

/// So many partitions with commits of so many entries of 600 bytes each, whose names go round: neighbours in name lie in
/// different packs.
async fn filled(partitions: usize, commits: usize, entries: usize) -> Arc<Counting> {
    let objects = Arc::new(Counting::default());
    let writer = Machine::new(&objects);
    writer.datastore.setup().await.unwrap();
    for number in 0..partitions {
        let partition: PartitionName = model(number).partition();
        for commit in 0..commits {
            let entry = |index: usize| {
                let text = format!("{number} {commit} {index} ").repeat(100);
                new_entry(&format!("data-{index:05}-{commit}"), &text.as_bytes()[..600])
            };
            let id = (number * commits + commit) as u64;
            let changes = append(id, partition.as_str(), (0..entries).map(entry).collect());
            let request = AcquireRequest {
                partitions: vec![partition.clone()],
                ttl: TTL,
                wait: Duration::ZERO,
                holds_others: false,
            };
            let lease = writer.datastore.acquire(&request).await.unwrap().pop();
            writer
                .datastore
                .push(&PushRequest { changes, lease, release: true, may_be_repeated: false })
                .await
                .unwrap();
        }
    }
    objects.take();
    objects
}

/// How often each object was read in parts.
fn reads_of_packs(requests: &[String]) -> BTreeMap<&str, usize> {
    let mut reads = BTreeMap::new();
    for key in requests.iter().filter_map(|request| request.strip_prefix("RANGES ")) {
        *reads.entry(key).or_default() += 1;
    }
    reads
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lazy_clone_is_one_listing_and_the_first_run_of_a_model_a_few_requests() {
    let objects = filled(40, 1, 500).await;
    let machine = Machine::new(&objects);
    let report = machine.sync(HydrationStrategy::Lazy, &Interrupt::new()).await.unwrap();
    let requests = objects.take();
    assert!(requests.len() <= 3 + 1, "{requests:#?}");
    assert_eq!((report.unread, report.brought.entries), (40, 0));
    // Nothing changed: the listing alone.
    machine.sync(HydrationStrategy::Lazy, &Interrupt::new()).await.unwrap();
    assert_eq!(objects.take(), ["LIST default/_index/"]);

    let executor = ClosureExecutor::new(|_, data, _| {
        Box::pin(async move {
            let name = DataName::parse("data-00007-0").unwrap();
            let (entry, content) = data.read(None, &name, None).await.unwrap();
            assert_eq!((entry.version.0, content.size()), (1, 600));
            data.write(name, in_memory(*b"new"), "text/plain".to_owned(), None, Vec::new()).unwrap();
            Ok(MethodOutcome { summary: "read and wrote".to_owned() })
        })
    });
    let ports = RunPorts {
        store: &*machine.store,
        datastore: Some(&*machine.datastore),
        lane: Some(&machine.lane),
        locks: &machine.locks,
        executor: &executor,
        clock: &SystemClock,
        random: &SystemRandom,
        observer: &Silent,
    };
    let schema = serde_json::json!({ "type": "object" });
    let method = MethodName::parse("write").unwrap();
    let methods = vec![Method {
        name: method.clone(),
        summary: "writes".to_owned(),
        arguments: schema.clone(),
        writes: Vec::new(),
    }];
    let request = RunRequest {
        model: model(7),
        model_type: ModelType {
            name: ModelTypeName::parse("@test/writer").unwrap(),
            summary: "writes".to_owned(),
            arguments: schema,
            methods,
            driver: None,
        },
        method,
        arguments: serde_json::json!({}),
        reads: Vec::new(),
        timeout: Duration::from_secs(600),
        lock_timeout: Duration::from_secs(60),
        lease_ttl: TTL,
        hydration: HydrationStrategy::Lazy,
        retention: Default::default(),
        by: Default::default(),
    };
    let report = run_method(&ports, request, &Interrupt::new()).await.unwrap();
    assert_eq!(report.record.status, RunStatus::Succeeded, "{}", report.record.summary);
    let requests = objects.take();
    assert!(requests.len() <= 8, "{requests:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_clone_reads_every_pack_once_and_lists_once() {
    let objects = filled(3, 3, 1000).await;
    let machine = Machine::new(&objects);
    let report = machine.sync(HydrationStrategy::Full, &Interrupt::new()).await.unwrap();
    assert_eq!((report.brought.entries, report.missing), (9_000, Missing::default()));
    let requests = objects.take();
    assert_eq!(requests.iter().filter(|request| request.starts_with("LIST")).count(), 1, "{requests:#?}");
    let packs = reads_of_packs(&requests);
    // The end of a call may cut one pack in two.
    let calls = 9_000_usize.div_ceil(4096);
    let twice = packs.values().filter(|reads| **reads > 1).count();
    assert!(twice <= calls && packs.values().all(|reads| *reads <= 2), "{packs:#?}");
    // Of 262,000 entries this would be 3,000.
    assert!(requests.len() <= 9_000 * 3_000 / 262_000, "{} requests: {requests:#?}", requests.len());
    machine.sync(HydrationStrategy::Full, &Interrupt::new()).await.unwrap();
    assert_eq!(objects.take(), ["LIST default/_index/"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_clone_goes_on_where_it_was() {
    let objects = filled(30, 1, 1000).await;
    let machine = Machine::new(&objects);
    let interrupt = Interrupt::new();
    // Early: what is under way may still come, and on a busy machine what is asked for before the interruption is noticed.
    *objects.interrupt_after_packs.lock().unwrap() = Some((7, interrupt.clone()));
    let error = machine.sync(HydrationStrategy::Full, &interrupt).await.unwrap_err();
    let SyncError::Interrupted { report } = error else { panic!("{error}") };
    objects.interrupt_after_packs.lock().unwrap().take();
    let left = machine.store.missing_total(None).unwrap().entries;
    assert!((1..30_000).contains(&left), "{left} of 30,000 are left");
    assert_eq!((report.brought.contents, report.missing.entries), (30_000 - left, left));
    objects.take();
    let report = machine.sync(HydrationStrategy::Full, &Interrupt::new()).await.unwrap();
    let requests = objects.take();
    assert_eq!((report.brought.entries, report.brought.contents), (0, left), "only what was missing came");
    assert_eq!(report.missing, Missing::default());
    assert!(!requests.iter().any(|request| request.contains("_segments/")), "{requests:#?}");
    assert!(reads_of_packs(&requests).len() <= 2 * ((left as usize).div_ceil(1000) + 1), "{requests:#?}");
}
