//! The commands of a schedule: what is run, what a method does, and what is told to the oracle.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use peat_core::collection::{CollectPorts, Collection, collect};
use peat_core::content::in_memory;
use peat_core::entry::Lifetime;
use peat_core::hold::{self, HoldPorts, Wanted};
use peat_core::identifiers::{DataName, MethodName, ModelId, ModelName, ModelTypeName};
use peat_core::interrupt::Interrupt;
use peat_core::metadata::{Method, ModelType};
use peat_core::ports::{
    Datastore, Invocation, LocalStore, MethodError, MethodExecutor, MethodOutcome, RunData, RunDataError, RunLog,
    Silent,
};
use peat_core::repository::{HydrationStrategy, Model};
use peat_core::run::{RunError, RunPorts, RunReport, RunRequest, run_method};
use peat_core::sync::{SyncPorts, SyncRequest, sync};
use serde_json::json;

use super::Simulation;
use super::datastore::ProcessDatastore;
use super::lane::ProcessLane;
use super::world::ProcessWorld;

/// One in so many methods fails by itself.
const FAILING_METHODS: u64 = 8;

/// Data names that methods write.
const NAMES: u64 = 3;

/// What one command does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Command {
    /// Runs the method of a model.
    Run { model: u64 },
    /// `peat datastore sync`.
    Sync { full: bool },
    /// `peat datastore lock run` with all models.
    Hold,
    /// `peat data gc`, or `peat datastore compact`.
    Collect { compact: bool },
}

/// A command as its process carries it out. An error is what the command says.
pub(super) async fn carry_out(world: &ProcessWorld, command: Command, interrupt: &Interrupt) -> Result<(), String> {
    let (store, datastore) = (world.store(), ProcessDatastore::new(world));
    let lane = ProcessLane(world.clone());
    let scenario = &world.simulation.scenario;
    let lock_timeout = Duration::from_millis(scenario.lock_timeout_ms);
    let lease_ttl = Duration::from_millis(scenario.ttl_ms);
    match command {
        Command::Run { model } => {
            let executor = Writer(world.clone());
            let request = run_request(model, lock_timeout, lease_ttl, strategy(!scenario.lazy));
            let report = run(world, &executor, request, interrupt).await.map_err(|error| error.to_string())?;
            let mut oracle = world.simulation.oracle();
            if world.namespace.contains(".scope-") {
                oracle.acknowledge_scope_run(&world.namespace, &report);
            } else {
                oracle.acknowledge_run(&report);
            }
        }
        Command::Collect { compact } => {
            let ports = CollectPorts { store: &store, datastore: &datastore, clock: world, observer: &Silent };
            let collection = Collection {
                partitions: None,
                grace: Duration::from_millis(scenario.grace_ms),
                dry_run: false,
                compact,
                lock_timeout,
                lease_ttl,
            };
            collect(&ports, &collection, interrupt).await.map_err(|error| error.to_string())?;
        }
        Command::Hold => {
            let ports = HoldPorts {
                datastore: Some(&datastore as &dyn Datastore),
                lane: Some(&lane),
                locks: &world.host.locks,
                clock: world,
                observer: &Silent,
            };
            // The last first: they are taken in order whatever the order is here.
            let partitions: Vec<_> = (0..scenario.models).rev().map(|model| model_of(model).partition()).collect();
            let wanted = Wanted { partitions: &partitions, ttl: lease_ttl, wait: lock_timeout };
            let held = hold::take(&ports, &wanted, interrupt).await.map_err(|error| error.to_string())?;
            let scheduler = &world.simulation.scheduler;
            let hold_ms = if world.simulation.is_calm() { 10 } else { scheduler.below(2 * scenario.ttl_ms) };
            let kept = held.unless_lost(&ports, scheduler.sleep(hold_ms)).await;
            hold::give_up(&ports, held).await;
            kept.map_err(|error| error.to_string())?;
        }
        Command::Sync { full } => {
            let ports = SyncPorts {
                store: &store,
                datastore: &datastore,
                lane: Some(&lane),
                locks: &world.host.locks,
                clock: world,
                observer: &Silent,
            };
            let request =
                SyncRequest { hydration: strategy(full), partitions: None, lock_timeout, lease_ttl, timeout: None };
            sync(&ports, &request, interrupt).await.map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// A run in a process.
pub(super) async fn run(
    world: &ProcessWorld,
    executor: &dyn MethodExecutor,
    request: RunRequest,
    interrupt: &Interrupt,
) -> Result<RunReport, RunError> {
    let (store, datastore) = (world.store(), ProcessDatastore::new(world));
    let lane = ProcessLane(world.clone());
    let ports = RunPorts {
        store: &store,
        datastore: Some(&datastore as &dyn Datastore),
        lane: Some(&lane),
        locks: &world.host.locks,
        executor,
        clock: world,
        random: world,
        observer: &Silent,
    };
    run_method(&ports, request, interrupt).await
}

fn strategy(full: bool) -> HydrationStrategy {
    if full { HydrationStrategy::Full } else { HydrationStrategy::Lazy }
}

fn model_of(number: u64) -> Model {
    Model {
        id: ModelId::parse(&format!("model-{number:06}")).expect("an id"),
        name: ModelName::parse(&format!("model-{number}")).expect("a name"),
        model_type: ModelTypeName::parse("@test/writer").expect("a type"),
        arguments: json!({}),
        reads: Vec::new(),
        driver: None,
        retention: Default::default(),
    }
}

pub(super) fn run_request(
    model: u64,
    lock_timeout: Duration,
    lease_ttl: Duration,
    hydration: HydrationStrategy,
) -> RunRequest {
    let schema = json!({ "type": "object", "additionalProperties": false });
    let method = MethodName::parse("write").expect("a method");
    let model = model_of(model);
    RunRequest {
        model_type: ModelType {
            name: model.model_type.clone(),
            summary: "writes".to_owned(),
            arguments: schema.clone(),
            methods: vec![Method {
                name: method.clone(),
                summary: "writes".to_owned(),
                arguments: schema,
                writes: Vec::new(),
            }],
            driver: None,
        },
        model,
        method,
        arguments: json!({}),
        reads: Vec::new(),
        timeout: Duration::from_secs(3_600),
        lock_timeout,
        lease_ttl,
        hydration,
        retention: Default::default(),
        by: Default::default(),
    }
}

/// A method that reads what is there, works for a while and writes a few items.
struct Writer(ProcessWorld);

#[async_trait]
impl MethodExecutor for Writer {
    async fn execute(
        &self,
        invocation: &Invocation,
        data: &dyn RunData,
        log: &dyn RunLog,
    ) -> Result<MethodOutcome, MethodError> {
        let simulation = &self.0.simulation;
        let scheduler = &simulation.scheduler;
        let method_ms = if simulation.is_calm() { 10 } else { simulation.scenario.method_ms };
        log.line("info", "begun");
        for name in (0..NAMES).filter(|_| scheduler.below(2) == 0) {
            let name = DataName::parse(&format!("item-{name}")).expect("a name");
            match data.read(None, &name, None).await {
                Ok((entry, content)) => {
                    let content = peat_core::content::digest(&*content).expect("content of a local store");
                    if content != entry.description.digest {
                        simulation.violate(format!("a method read other bytes of {name} than its entry says"));
                    }
                }
                Err(RunDataError::NotFound(_) | RunDataError::Store(_) | RunDataError::NotBrought(_)) => {}
                Err(error) => return Err(failed(&error)),
            }
            scheduler.sleep(scheduler.below(method_ms + 1)).await;
            let size = scheduler.below(simulation.scenario.item_bytes + 1) as usize;
            let text = format!("{} {name} ", invocation.run_id);
            let bytes: Vec<u8> = text.bytes().cycle().take(text.len() + size).collect();
            let lifetime = simulation.scenario.item_lifetime_ms.map(Lifetime::DurationMs);
            let lifetime = lifetime.filter(|_| scheduler.below(2) == 0);
            data.write(name, in_memory(bytes), "text/plain".to_owned(), lifetime, Vec::new())
                .map_err(|error| failed(&error))?;
        }
        scheduler.sleep(scheduler.below(method_ms + 1)).await;
        if !simulation.is_calm() && scheduler.below(FAILING_METHODS) == 0 {
            return Err(MethodError::Failed { message: "no answer from the service".to_owned(), transient: true });
        }
        Ok(MethodOutcome { summary: "done".to_owned() })
    }
}

fn failed(error: &RunDataError) -> MethodError {
    MethodError::Failed { message: error.to_string(), transient: false }
}

/// The bytes that a host would show for every entry it knows: what a replica must have in the end.
pub(super) fn check_replica(simulation: &Arc<Simulation>, who: &str, store: &dyn LocalStore) -> Result<(), String> {
    let entries = store.entries(&peat_core::ports::EntryFilter::default()).map_err(|error| error.to_string())?;
    let mut known = std::collections::BTreeSet::new();
    for stored in entries {
        let description = &stored.entry.description;
        let entry = (
            stored.partition.to_string(),
            description.name.to_string(),
            stored.entry.version.0,
            description.digest.to_string(),
        );
        if store.content(&description.digest).map_err(|error| error.to_string())?.is_none() {
            return Err(format!("{who} does not have the content of {entry:?}"));
        }
        known.insert(entry);
    }
    let truth = simulation.oracle().truth();
    let missing: Vec<_> = truth.difference(&known).collect();
    let surplus: Vec<_> = known.difference(&truth).collect();
    if missing.is_empty() && surplus.is_empty() {
        return Ok(());
    }
    let partitions: Vec<_> = store.partitions().map_err(|error| error.to_string())?;
    let versions = store.known(&partitions).map_err(|error| error.to_string())?;
    Err(format!("{who} lacks {missing:?} and has {surplus:?}, and knows {versions:?}"))
}
