//! A machine with the real local store and a datastore in memory, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use peat_core::content::{self, in_memory};
use peat_core::identifiers::{DataName, MethodName, ModelId, ModelName, ModelTypeName, PartitionName};
use peat_core::interrupt::Interrupt;
use peat_core::metadata::{Method, ModelType};
use peat_core::ports::{Clock, EntryFilter, LocalStore, MethodError, MethodOutcome, Silent, StoredState};
use peat_core::repository::{HydrationStrategy, Model};
use peat_core::run::{RunError, RunPorts, RunReport, RunRequest, run_method};
use peat_core::sync::{SyncPorts, SyncReport, SyncRequest, sync};
use peat_store::{SqliteStore, StoreSettings};
use peat_test_support::clock::ManualClock;
use peat_test_support::datastore::{MemoryDatastore, SharedState};
use peat_test_support::executor::ClosureExecutor;
use peat_test_support::locks::MemoryLocks;
use peat_test_support::random::SeededRandom;
use peat_test_support::renewal::ManualLane;
use serde_json::json;

pub const TTL: Duration = Duration::from_secs(60);

pub struct Machine {
    pub store: Arc<SqliteStore>,
    pub datastore: Option<Arc<MemoryDatastore>>,
    pub locks: MemoryLocks,
    pub clock: ManualClock,
    pub random: SeededRandom,
    _directory: tempfile::TempDir,
}

impl Machine {
    pub fn local(clock: &ManualClock, seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(directory.path(), StoreSettings::default()).unwrap());
        Self {
            store,
            datastore: None,
            locks: MemoryLocks::new(clock.clone()),
            clock: clock.clone(),
            random: SeededRandom::new(seed),
            _directory: directory,
        }
    }

    pub fn shared(clock: &ManualClock, state: &SharedState, seed: u64) -> Self {
        let mut machine = Self::local(clock, seed);
        machine.datastore = Some(Arc::new(MemoryDatastore::new(state.clone(), clock.clone(), machine.store.clone())));
        machine
    }

    pub fn lane(&self) -> Option<ManualLane> {
        self.datastore.clone().map(|datastore| ManualLane::new(datastore, self.clock.clone()))
    }

    pub fn remote(&self) -> &MemoryDatastore {
        self.datastore.as_ref().unwrap()
    }

    pub async fn run(&self, executor: &ClosureExecutor, interrupt: &Interrupt) -> Result<RunReport, RunError> {
        self.run_with(executor, interrupt, request()).await
    }

    pub async fn run_with(
        &self,
        executor: &ClosureExecutor,
        interrupt: &Interrupt,
        request: RunRequest,
    ) -> Result<RunReport, RunError> {
        let lane = self.lane();
        let ports = RunPorts {
            store: &*self.store,
            datastore: self.datastore.as_ref().map(|datastore| &**datastore as _),
            lane: lane.as_ref().map(|lane| lane as _),
            locks: &self.locks,
            executor,
            clock: &self.clock,
            random: &self.random,
            observer: &Silent,
        };
        run_method(&ports, request, interrupt).await
    }

    pub fn sync(&self, hydration: HydrationStrategy) -> SyncReport {
        let lane = self.lane();
        let ports = SyncPorts {
            store: &*self.store,
            datastore: self.remote(),
            lane: lane.as_ref().map(|lane| lane as _),
            locks: &self.locks,
            clock: &self.clock,
            observer: &Silent,
        };
        let request = SyncRequest {
            hydration,
            partitions: None,
            lock_timeout: Duration::from_secs(5),
            lease_ttl: TTL,
            timeout: None,
        };
        self.clock.run(sync(&ports, &request, &Interrupt::new())).unwrap()
    }

    /// Public data as (name, version, state).
    pub fn data(&self) -> Vec<(String, u64, StoredState)> {
        let filter = EntryFilter { public_only: true, ..EntryFilter::default() };
        let entries = self.store.entries(&filter).unwrap();
        entries
            .into_iter()
            .map(|stored| (stored.entry.description.name.to_string(), stored.entry.version.0, stored.state))
            .collect()
    }
}

pub fn model() -> Model {
    Model {
        id: ModelId::parse("0a1b2c3d4e5f").unwrap(),
        name: ModelName::parse("web").unwrap(),
        model_type: ModelTypeName::parse("@test/writer").unwrap(),
        arguments: json!({}),
        reads: Vec::new(),
        driver: None,
        retention: Default::default(),
    }
}

pub fn partition() -> PartitionName {
    model().partition()
}

pub fn request() -> RunRequest {
    let schema =
        json!({ "type": "object", "properties": { "text": { "type": "string" } }, "additionalProperties": false });
    let method = |name: &str| Method {
        name: MethodName::parse(name).unwrap(),
        summary: "writes".to_owned(),
        arguments: schema.clone(),
        writes: Vec::new(),
    };
    RunRequest {
        model: model(),
        model_type: ModelType {
            name: ModelTypeName::parse("@test/writer").unwrap(),
            summary: "writes".to_owned(),
            arguments: schema.clone(),
            methods: vec![method("write")],
            driver: None,
        },
        method: MethodName::parse("write").unwrap(),
        arguments: json!({ "text": "hello" }),
        reads: Vec::new(),
        timeout: Duration::from_secs(600),
        lock_timeout: Duration::from_secs(120),
        lease_ttl: TTL,
        hydration: HydrationStrategy::Full,
        retention: Default::default(),
        by: Default::default(),
    }
}

/// Takes `seconds` and writes its argument as data `answer`, after how it ends.
pub fn writer(clock: &ManualClock, seconds: u64, result: Result<(), MethodError>) -> ClosureExecutor {
    let clock = clock.clone();
    ClosureExecutor::new(move |invocation, data, log| {
        let (clock, result) = (clock.clone(), result.clone());
        let text = invocation.arguments["text"].as_str().unwrap_or_default().to_owned();
        Box::pin(async move {
            log.line("info", "begun");
            let name = DataName::parse("answer").unwrap();
            data.write(name, in_memory(text), "text/plain".to_owned(), None, Vec::new()).unwrap();
            clock.sleep(Duration::from_secs(seconds)).await;
            result.map(|()| MethodOutcome { summary: "done".to_owned() })
        })
    })
}

pub fn text_of(machine: &Machine, report: &RunReport) -> Vec<u8> {
    let content = machine.store.content(&report.entries[0].entry.description.digest).unwrap().unwrap();
    content::read_all(&*content, 1024).unwrap()
}
