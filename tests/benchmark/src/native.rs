//! A machine without processes and without wasm: the same host code and the same protocol, in this process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use peat_conformance_tests::native_chain::NativeChain;
use peat_core::content::in_memory;
use peat_core::entry::ChangeSet;
use peat_core::identifiers::{DataName, MethodName, PartitionName};
use peat_core::interrupt::Interrupt;
use peat_core::metadata::{Method, ModelType};
use peat_core::ports::{Datastore as _, MethodOutcome, PushRequest, Silent};
use peat_core::repository::{HydrationStrategy, Model};
use peat_core::run::{RunPorts, RunRequest, RunStatus, run_method};
use peat_core::sync::{SyncPorts, SyncReport, SyncRequest, hydrate, sync};
use peat_store::{BucketObjects, FileLocks, RenewalThread, SqliteStore, StoreSettings, SystemClock, SystemRandom};
use peat_test_support::executor::ClosureExecutor;
use tokio_util::task::LocalPoolHandle;

use crate::world::World;

const TTL: Duration = Duration::from_secs(60);

/// It.
pub(crate) struct Native {
    pub(crate) store: Arc<SqliteStore>,
    chain: Arc<NativeChain>,
    lane: RenewalThread,
    locks: FileLocks,
}

impl Native {
    /// One that has never been here. Its files go with the scratch directory of the world.
    pub(crate) async fn new(world: &World) -> Self {
        let place = tempfile::tempdir_in(world.scratch.path()).unwrap().keep();
        Self::of(world, &place, |chain| chain).await
    }

    /// One of many in this process, which share `threads`. Its files are in `place`.
    pub(crate) async fn among(world: &World, place: &Path, threads: &LocalPoolHandle) -> Self {
        let place = tempfile::tempdir_in(place).unwrap().keep();
        Self::of(world, &place, |chain| chain.sharing(threads.clone())).await
    }

    async fn of(world: &World, place: &Path, on: impl FnOnce(NativeChain) -> NativeChain) -> Self {
        let store = Arc::new(SqliteStore::open(place, StoreSettings::default()).unwrap());
        let objects = BucketObjects::open(world.settings(), store.clone()).await.unwrap();
        let chain = Arc::new(on(NativeChain::new(Arc::new(objects), store.clone())));
        Self {
            lane: RenewalThread::new(chain.clone(), Arc::new(SystemClock)),
            chain,
            store,
            locks: FileLocks::open(&place.join("locks"), "benchmark").unwrap(),
        }
    }

    /// Commits without a lease of its own.
    pub(crate) async fn push(&self, changes: ChangeSet) {
        let request = PushRequest { changes, lease: None, release: false, may_be_repeated: false };
        self.chain.push(&request).await.unwrap();
    }

    /// Syncs.
    pub(crate) async fn sync(&self, hydration: HydrationStrategy) -> SyncReport {
        let request = SyncRequest { hydration, partitions: None, lock_timeout: TTL, lease_ttl: TTL, timeout: None };
        sync(&self.ports(), &request, &Interrupt::new()).await.unwrap()
    }

    /// Brings everything of one partition.
    pub(crate) async fn hydrate(&self, partition: PartitionName) -> SyncReport {
        hydrate(&self.ports(), Some(&[partition]), None, &Interrupt::new()).await.unwrap()
    }

    fn ports(&self) -> SyncPorts<'_> {
        SyncPorts {
            store: &*self.store,
            datastore: &*self.chain,
            lane: Some(&self.lane),
            locks: &self.locks,
            clock: &SystemClock,
            observer: &Silent,
        }
    }

    /// Runs a method of `model` that writes 1 KiB.
    pub(crate) async fn write_1_kib(&self, model: Model) {
        let executor = ClosureExecutor::new(|_, data, _| {
            Box::pin(async move {
                let name = DataName::parse("result").unwrap();
                data.write(name, in_memory([7; 1024]), "text/plain".to_owned(), None, Vec::new()).unwrap();
                Ok(MethodOutcome { summary: "wrote".to_owned() })
            })
        });
        let ports = RunPorts {
            store: &*self.store,
            datastore: Some(&*self.chain),
            lane: Some(&self.lane),
            locks: &self.locks,
            executor: &executor,
            clock: &SystemClock,
            random: &SystemRandom,
            observer: &Silent,
        };
        let report = run_method(&ports, request(model), &Interrupt::new()).await.unwrap();
        assert_eq!(report.record.status, RunStatus::Succeeded, "{}", report.record.summary);
    }
}

fn request(model: Model) -> RunRequest {
    let schema = serde_json::json!({ "type": "object" });
    let method = MethodName::parse("write").unwrap();
    let described =
        Method { name: method.clone(), summary: "writes".to_owned(), arguments: schema.clone(), writes: Vec::new() };
    RunRequest {
        model_type: ModelType {
            name: model.model_type.clone(),
            summary: "writes".to_owned(),
            arguments: schema,
            methods: vec![described],
            driver: None,
        },
        model,
        method,
        arguments: serde_json::json!({}),
        reads: Vec::new(),
        timeout: TTL,
        lock_timeout: TTL,
        lease_ttl: TTL,
        hydration: HydrationStrategy::Lazy,
        retention: Default::default(),
        by: Default::default(),
    }
}
