//! Execution of methods.

use std::time::Duration;

use async_trait::async_trait;

use super::{DatastoreError, ExtensionError, StoreError};
use crate::content::SharedContent;
use crate::entry::{Entry, Lifetime, Tag};
use crate::identifiers::{DataName, MethodName, ModelId, ModelName, ModelTypeName, RunId, Version};
use crate::repository::Driver;

/// One method run, ready to be executed: arguments are validated, leases held, data hydrated.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// This run.
    pub run_id: RunId,
    /// The model.
    pub model_id: ModelId,
    /// Its name.
    pub model_name: ModelName,
    /// Its type.
    pub model_type: ModelTypeName,
    /// What to run.
    pub method: MethodName,
    /// The model's own arguments, a JSON object.
    pub model_arguments: serde_json::Value,
    /// This run's arguments, a JSON object.
    pub arguments: serde_json::Value,
    /// How long it may take.
    pub deadline: Duration,
    /// What processes that it starts must be told, so that they may use what this run holds.
    pub held: Option<String>,
}

/// A method that came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodOutcome {
    /// One line: what came of it.
    pub summary: String,
}

/// A method that did not.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MethodError {
    /// The method says that it failed.
    #[error("{message}")]
    Failed {
        /// What failed and what to do about it.
        message: String,
        /// Worth running again unchanged.
        transient: bool,
    },
    /// The extension misbehaved, hit a limit or cannot be used.
    #[error(transparent)]
    Extension(#[from] ExtensionError),
    /// A built-in's process could not be started or was ended.
    #[error("{0}")]
    Process(String),
    /// The local store refused what the method wrote or read (full, read-only, damaged): not the method's fault.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operator asked to stop.
    #[error("the run was interrupted")]
    Interrupted,
}

/// The data a run writes and reads. Writes are staged; the commit after the run makes them durable.
#[async_trait]
pub trait RunData: Send + Sync {
    /// Stages a data item; a second write of a name replaces the first.
    fn write(
        &self,
        name: DataName,
        content: SharedContent,
        content_type: String,
        lifetime: Option<Lifetime>,
        tags: Vec<Tag>,
    ) -> Result<(), RunDataError>;

    /// The newest version, or the one asked for, which is brought from the datastore when it is not on this machine.
    /// Dropping the future gives that up.
    async fn read(
        &self,
        model: Option<&ModelName>,
        name: &DataName,
        version: Option<Version>,
    ) -> Result<(Entry, SharedContent), RunDataError>;

    /// The newest versions whose names begin with `prefix`, after `after`, at most `limit`.
    fn list(
        &self,
        model: Option<&ModelName>,
        prefix: &str,
        after: Option<&DataName>,
        limit: u32,
    ) -> Result<Vec<Entry>, RunDataError>;
}

/// Why data was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum RunDataError {
    /// No such data, or no such model.
    #[error("{0}")]
    NotFound(String),
    /// Not this method's to read.
    #[error("{0}")]
    Denied(String),
    /// A limit of the run.
    #[error("{0}")]
    Exhausted(String),
    /// The local store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is in the datastore only, and cannot be had from there.
    #[error(transparent)]
    NotBrought(DatastoreError),
}

/// Where the lines of a run go. Bounded by the implementation: what exceeds the bound is counted, not kept.
pub trait RunLog: Send + Sync {
    /// Adds one line (no line end in it) with its level ("info", …) or source ("stderr").
    fn line(&self, level: &str, text: &str);
}

/// A driver that can execute methods of some model types.
#[async_trait]
pub trait MethodExecutor: Send + Sync {
    /// Runs the method to its end, its deadline, or until the future is dropped (which ends it at once).
    async fn execute(
        &self,
        invocation: &Invocation,
        data: &dyn RunData,
        log: &dyn RunLog,
    ) -> Result<MethodOutcome, MethodError>;

    /// Where it runs them.
    fn driver(&self) -> Driver {
        Driver::InProcess
    }

    /// Whether methods start processes of the system, which may want to run methods themselves.
    fn starts_processes(&self) -> bool {
        false
    }

    /// Asks the method under way to end soon by itself, keeping what it has: `execute` then answers
    /// [`MethodError::Interrupted`]. False where that cannot be: its future is dropped instead.
    fn stop(&self) -> bool {
        false
    }
}
