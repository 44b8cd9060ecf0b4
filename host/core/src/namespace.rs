//! Namespaces of a shared datastore, and the long operations on them: a move, a fold, a deletion. Each is a loop of steps
//! that may be repeated; what matters is in the datastore, so whoever ends in the middle is succeeded by anybody.

use std::time::Duration;

use crate::hold::unless_interrupted;
use crate::identifiers::{DataName, NamespaceName, PartitionName, Version};
use crate::interrupt::Interrupt;
use crate::ports::{Clock, DatastoreError, ErrorKind, Objects, Observer, Progress, ProgressUnit};

/// Pause before a step that could not be done is tried again: others need about that long to end.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Steps in a row without any answer from the store, after which the operator is told.
const FAILURES_MAX: u32 = 5;

/// Whether a namespace may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamespaceState {
    /// It may.
    Active,
    /// A move from there fills it; nobody can use it before that is done.
    Filling(NamespaceName),
    /// It is on its way there: it is read and takes no commits.
    Moving(NamespaceName),
    /// It is there now.
    Moved(NamespaceName),
    /// A run scope is being committed into its parent.
    Folding,
    /// Everything in it is being deleted.
    Deleting,
}

/// A namespace of a shared datastore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Its name.
    pub name: NamespaceName,
    /// Whether it may be used.
    pub state: NamespaceState,
    /// By the clock of whoever made it, milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// Of a run scope.
    pub parent: Option<NamespaceName>,
    /// A run scope that nobody folded by then is to be deleted.
    pub expires_at_ms: Option<u64>,
    /// That time is over, by the store's clock.
    pub expired: bool,
}

/// One page of namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamespacePage {
    /// By name.
    pub namespaces: Vec<Namespace>,
    /// To go on, when there is more.
    pub cursor: Option<String>,
}

/// How much of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NamespaceAmount {
    /// Partitions.
    pub partitions: u64,
    /// Committed versions; of a deletion, objects of the store.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A version that has another number in the parent than it had in the run scope, because others committed the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldConflict {
    /// Of both.
    pub partition: PartitionName,
    /// Data item.
    pub name: DataName,
    /// In the scope.
    pub version: Version,
    /// In the parent.
    pub folded_as: Version,
}

/// Where a long operation stands after one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceStep {
    /// For the next step; a hint.
    pub state: String,
    /// There is nothing more to do.
    pub done: bool,
    /// What is being done, for a person.
    pub message: String,
    /// Somebody must give a lease up before it goes on.
    pub waiting: bool,
    /// What is done.
    pub completed: NamespaceAmount,
    /// What there is to do, where it is known.
    pub total: Option<NamespaceAmount>,
    /// Found in this step.
    pub conflicts: Vec<FoldConflict>,
}

/// What a long operation did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamespaceReport {
    /// In the end.
    pub completed: NamespaceAmount,
    /// All that were found.
    pub conflicts: Vec<FoldConflict>,
}

/// Why a long operation did not come to its end. It can be gone on with in every case.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// The datastore refused.
    #[error(transparent)]
    Datastore(#[from] DatastoreError),
    /// Somebody kept a lease for the whole wait.
    #[error("{message}; waited {} s", waited.as_secs())]
    Held {
        /// Who.
        message: String,
        /// How long.
        waited: Duration,
    },
    /// The operator asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// Takes steps until the last one. `step` gets what the step before answered, none the first time and after a failure.
///
/// Waits for leases of others at most `wait` in a row, tries again while the store does not answer, and tells `observer`
/// how far it is. Cancel safe: the operation is gone on with by doing it again.
pub async fn carry_out(
    (clock, observer, interrupt): (&dyn Clock, &dyn Observer, &Interrupt),
    wait: Duration,
    mut step: impl AsyncFnMut(Option<String>) -> Result<NamespaceStep, DatastoreError>,
) -> Result<NamespaceReport, NamespaceError> {
    let mut report = NamespaceReport::default();
    let mut state = None;
    let mut failures = 0;
    let mut waiting_since_ms: Option<u64> = None;
    loop {
        let taken = unless_interrupted(interrupt, step(state.take())).await.ok_or(NamespaceError::Interrupted)?;
        let holder = match taken {
            Ok(taken) => {
                failures = 0;
                report.completed = taken.completed;
                report.conflicts.extend(taken.conflicts);
                if taken.done {
                    return Ok(report);
                }
                observer.progress(progress(&taken.message, taken.completed, taken.total));
                state = Some(taken.state);
                taken.waiting.then_some(taken.message)
            }
            Err(DatastoreError::Refused { kind: ErrorKind::Held, message, .. }) => Some(message),
            Err(error) if is_passing(&error) && failures < FAILURES_MAX => {
                failures += 1;
                None
            }
            Err(error) => return Err(error.into()),
        };
        match holder {
            None if failures == 0 => waiting_since_ms = None,
            None => pause(clock, interrupt, RETRY_PAUSE * failures).await?,
            Some(message) => {
                let now_ms = clock.elapsed_ms();
                let waited = Duration::from_millis(now_ms - *waiting_since_ms.get_or_insert(now_ms));
                if waited >= wait {
                    return Err(NamespaceError::Held { message, waited });
                }
                observer.progress(progress(&message, report.completed, None));
                pause(clock, interrupt, RETRY_PAUSE).await?;
            }
        }
    }
}

/// Whether trying again may help.
fn is_passing(error: &DatastoreError) -> bool {
    matches!(error, DatastoreError::Refused { kind: ErrorKind::Unavailable { .. } | ErrorKind::LeaseLost, .. })
}

async fn pause(clock: &dyn Clock, interrupt: &Interrupt, duration: Duration) -> Result<(), NamespaceError> {
    unless_interrupted(interrupt, clock.sleep(duration)).await.ok_or(NamespaceError::Interrupted)
}

fn progress(message: &str, completed: NamespaceAmount, total: Option<NamespaceAmount>) -> Progress {
    Progress {
        message: message.to_owned(),
        done: completed.bytes,
        total: total.map(|total| total.bytes),
        unit: ProgressUnit::Bytes,
        objects: total.map(|total| Objects { done: completed.items, total: total.items }),
    }
}
