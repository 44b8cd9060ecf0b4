//! The way of a method run. Each step consumes the value of the one before; steps never call each other:
//!
//! ```text
//! RunRequest → Opened → Held → (hydrated) → Executed → Staged → RunReport
//! ```
//!
//! [`run_method`] is the one function that knows the order, and the one that always awaits the release of what was
//! acquired. A failed push fails the run; its results stay in the local store. A failed *method* is not a failed *run*:
//! its record, its log and what it wrote are committed, marked as of a failed run.
//

mod commit;
mod data;
mod execute;
mod log;
mod open;
mod record;

use std::time::Duration;

pub use data::{RUN_DATA_BYTES_MAX, RUN_DATA_ITEMS_MAX};
pub use log::LOG_BYTES_MAX;
pub use record::{HoldTimes, RunRecord, RunStatus, WrittenData};

use crate::audit::Actor;
use crate::hold::{self, Held, HoldError, HoldPorts};
use crate::hydrate;
use crate::identifiers::{CommitId, MethodName, PartitionName};
use crate::interrupt::Interrupt;
use crate::metadata::ModelType;
use crate::ports::{
    Clock, Datastore, DatastoreError, LocalLockError, LocalLocks, LocalStore, MethodError, MethodExecutor, Observer,
    Random, StoreError, StoredEntry,
};
use crate::renewal::RenewalLane;
use crate::repository::{HydrationStrategy, Model, RepositoryRetention};
use crate::schema::Violation;

/// The world of a run.
#[derive(Clone, Copy)]
pub struct RunPorts<'a> {
    /// This machine's store.
    pub store: &'a dyn LocalStore,
    /// The shared datastore; none when `local` is the datastore.
    pub datastore: Option<&'a dyn Datastore>,
    /// Where its leases are renewed; none when `local` is the datastore.
    pub lane: Option<&'a dyn RenewalLane>,
    /// The queue of this host.
    pub locks: &'a dyn LocalLocks,
    /// What executes the method.
    pub executor: &'a dyn MethodExecutor,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Randomness.
    pub random: &'a dyn Random,
    /// Who watches.
    pub observer: &'a dyn Observer,
}

impl std::fmt::Debug for RunPorts<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RunPorts").finish_non_exhaustive()
    }
}

impl<'a> RunPorts<'a> {
    fn hold(&self) -> HoldPorts<'a> {
        HoldPorts {
            datastore: self.datastore,
            lane: self.lane,
            locks: self.locks,
            clock: self.clock,
            observer: self.observer,
        }
    }
}

/// What to run.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The model.
    pub model: Model,
    /// Its type, as the extension or the host describes it.
    pub model_type: ModelType,
    /// The method.
    pub method: MethodName,
    /// Its arguments, a JSON object; validated here.
    pub arguments: serde_json::Value,
    /// Models whose data the method may read.
    pub reads: Vec<Model>,
    /// How long the method may take.
    pub timeout: Duration,
    /// How long to wait for the lease.
    pub lock_timeout: Duration,
    /// How long a lease lasts after each renewal.
    pub lease_ttl: Duration,
    /// What to bring before the method starts.
    pub hydration: HydrationStrategy,
    /// How long data is kept of which neither the model nor its type says anything.
    pub retention: RepositoryRetention,
    /// Who runs it.
    pub by: Actor,
}

/// A run that came to its end and whose record is durable where the datastore promises it.
#[derive(Debug)]
pub struct RunReport {
    /// The record, as it was committed.
    pub record: RunRecord,
    /// What the run wrote, with versions; without the record and the log.
    pub entries: Vec<StoredEntry>,
    /// Why the method failed, when it did.
    pub failure: Option<MethodError>,
}

/// A run that could not begin, or whose results are not where they belong.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The type has no such method.
    #[error("model type {model_type} has no method {method}; it has {known}")]
    UnknownMethod {
        /// The type.
        model_type: String,
        /// What was asked for.
        method: MethodName,
        /// What there is.
        known: String,
    },
    /// Arguments do not fit their schema.
    #[error("{what}: {}", violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Arguments {
        /// Whose arguments.
        what: String,
        /// Where and why.
        violations: Vec<Violation>,
    },
    /// Another process of this host holds the partition.
    #[error(transparent)]
    Locked(#[from] LocalLockError),
    /// The local store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The datastore refused before the method started: nothing was done.
    #[error(transparent)]
    Datastore(#[from] DatastoreError),
    /// The lease was lost while the method ran, and the method was stopped.
    #[error(
        "the lease of {partition} was lost during the run: {source}. Nothing was written to the datastore; what the \
         method had produced is kept on this machine as uncommitted ({commit}), `peat datastore sync` sends it"
    )]
    LeaseLost {
        /// Which.
        partition: PartitionName,
        /// The pending commit that holds the results.
        commit: CommitId,
        /// What the datastore said.
        #[source]
        source: DatastoreError,
    },
    /// The method ran, its results did not reach the datastore.
    #[error(
        "the results of run {commit} did not reach the datastore: {source}. They are kept on this machine as uncommitted; \
         `peat datastore sync` sends them"
    )]
    NotPushed {
        /// The pending commit that holds the results.
        commit: CommitId,
        /// What the datastore said.
        #[source]
        source: DatastoreError,
    },
    /// A lease could not be kept; nothing was done.
    #[error(transparent)]
    Hold(Box<HoldError>),
    /// The operator asked to stop before the method started.
    #[error("interrupted before the method started; nothing was written")]
    Interrupted,
}

impl From<HoldError> for RunError {
    fn from(error: HoldError) -> Self {
        match error {
            HoldError::Local(error) => Self::Locked(error),
            HoldError::Datastore(error) => Self::Datastore(error),
            HoldError::Store(error) => Self::Store(error),
            error @ (HoldError::Lane(_) | HoldError::Inherited(_)) => Self::Hold(Box::new(error)),
            HoldError::Interrupted => Self::Interrupted,
        }
    }
}

/// Runs a method from validated arguments to durable results.
///
/// `Ok` means that the run's record and results are durable where the datastore promises it, also when the method itself
/// failed ([`RunReport::failure`]). Interruption ends the method and commits what there is. Dropping the future abandons
/// the lease, which another holder takes over when this process is dead or the lease has expired.
#[tracing::instrument(skip_all, fields(model = %request.model.name, method = %request.method))]
pub async fn run_method(
    ports: &RunPorts<'_>,
    request: RunRequest,
    interrupt: &Interrupt,
) -> Result<RunReport, RunError> {
    let opened = open::open(ports, request)?;
    let hold = ports.hold();
    let held = hold::take(&hold, &opened.wanted(), interrupt).await?;
    let result = while_held(ports, &opened, &held, interrupt).await;
    hold::give_up(&hold, held).await;
    result
}

async fn while_held(
    ports: &RunPorts<'_>,
    opened: &open::Opened,
    held: &Held,
    interrupt: &Interrupt,
) -> Result<RunReport, RunError> {
    // While it waited, the repository may have chosen another datastore.
    ports.store.writable()?;
    if let Some(datastore) = ports.datastore {
        let ports = hydrate::HydratePorts { store: ports.store, datastore, hold: ports.hold() };
        hydrate::before_run(&ports, held, &opened.scope(), opened.request.hydration, interrupt).await?;
    }
    let executed = execute::execute(ports, opened, held, interrupt).await?;
    let staged = commit::stage(ports, opened, held, executed)?;
    commit::commit(ports, opened, held, staged).await
}
