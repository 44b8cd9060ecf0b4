//! Why a command did not do what it was asked, and with which exit code it therefore ends.
//!
//! Errors of the libraries keep their own types until here; [`Failure::exit_code`] is the only place that maps them.

use std::io;
use std::path::{Path, PathBuf};

use peat_core::collection::CollectionError;
use peat_core::health::HealthError;
use peat_core::hold::HoldError;
use peat_core::identifiers::InvalidName;
use peat_core::ports::{
    DatastoreError, ErrorKind, ExtensionError, LocalLockError, MethodError, ObjectError, StoreError,
};
use peat_core::repository::ConfigError;
use peat_core::run::RunError;
use peat_core::sync::SyncError;
use serde_json::{Value, json};

use crate::exit_code::ExitCode;

/// A failed command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The user gave something wrong. The message names it and what is right.
    #[error("{0}")]
    InvalidInput(String),
    /// What the user named does not exist.
    #[error("{0}")]
    NotFound(String),
    /// Not granted.
    #[error("{0}")]
    Denied(String),
    /// Another process kept a lock for the whole wait.
    #[error("{0}")]
    Locked(String),
    /// A datastore that did not pass its examination.
    #[error("{0}")]
    Unusable(String),
    /// Stored bytes are not what was written.
    #[error("{0}")]
    Corrupt(String),
    /// A signal came.
    #[error("interrupted")]
    Interrupted,
    /// A defect.
    #[error("{0}")]
    Internal(String),
    /// A file or directory could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// A verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file of the repository is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A name breaks its rule.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The local store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The datastore refused.
    #[error(transparent)]
    Datastore(#[from] DatastoreError),
    /// An extension cannot be used.
    #[error(transparent)]
    Extension(#[from] ExtensionError),
    /// A directory store refused.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// A partition could not be held, read or brought.
    #[error(transparent)]
    Hold(#[from] HoldError),
    /// A run could not begin, or its results are not where they belong.
    #[error(transparent)]
    Run(#[from] Box<RunError>),
    /// A sync is not complete.
    #[error(transparent)]
    Sync(#[from] Box<SyncError>),
}

impl From<SyncError> for Failure {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Stopped(error) => Self::Hold(error),
            other => Self::Sync(Box::new(other)),
        }
    }
}

impl From<HealthError> for Failure {
    fn from(error: HealthError) -> Self {
        match error {
            HealthError::Datastore(error) => Self::Datastore(error),
            HealthError::Store(error) => Self::Store(error),
            HealthError::Interrupted => Self::Interrupted,
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::Run(Box::new(error))
    }
}

impl Failure {
    /// A failed access to a file.
    pub(crate) fn file(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { action, path: path.to_owned(), source }
    }

    /// The exit code of this failure.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::InvalidInput(_) | Self::Config(_) | Self::Name(_) => ExitCode::InvalidInput,
            Self::NotFound(_) => ExitCode::NotFound,
            Self::Denied(_) => ExitCode::Denied,
            Self::Locked(_) => ExitCode::LockTimeout,
            Self::Unusable(_) => ExitCode::DatastoreUnavailable,
            Self::Corrupt(_) => ExitCode::Corrupt,
            Self::Interrupted => ExitCode::Interrupted,
            Self::Internal(_) => ExitCode::Internal,
            Self::File { source, .. } => of_file(source),
            Self::Store(error) => of_store(error),
            Self::Datastore(error) => of_datastore(error),
            Self::Extension(error) => of_extension(error, ExitCode::DatastoreUnavailable),
            Self::Object(error) => of_object(error),
            Self::Hold(error) => of_hold(error),
            Self::Run(error) => of_run(error),
            Self::Sync(error) => of_sync(error),
        }
    }
}

/// The JSON document of an error.
pub(crate) fn error_json(code: ExitCode, message: &str) -> Value {
    json!({ "error": { "kind": code.kind(), "message": message, "exitCode": code.number() } })
}

/// The exit code of a method that did not come to its end.
pub(crate) fn of_method(error: &MethodError) -> ExitCode {
    match error {
        MethodError::Failed { .. } | MethodError::Process(_) => ExitCode::MethodFailed,
        MethodError::Extension(error) => of_extension(error, ExitCode::MethodFailed),
        MethodError::Store(error) => of_store(error),
        MethodError::Interrupted => ExitCode::Interrupted,
    }
}

fn of_run(error: &RunError) -> ExitCode {
    match error {
        RunError::UnknownMethod { .. } => ExitCode::NotFound,
        RunError::Arguments { .. } => ExitCode::InvalidInput,
        RunError::Locked(error) => of_lock(error),
        RunError::Store(error) => of_store(error),
        RunError::Datastore(error) => of_datastore(error),
        RunError::LeaseLost { .. } => ExitCode::LeaseLost,
        RunError::NotPushed { source, .. } => of_datastore(source),
        RunError::Hold(error) => of_hold(error),
        RunError::Interrupted => ExitCode::Interrupted,
    }
}

/// The exit code of a sync that is not complete: of the first thing that did not arrive.
pub(crate) fn of_sync(error: &SyncError) -> ExitCode {
    match error {
        SyncError::Stopped(error) => of_hold(error),
        SyncError::Incomplete { failures, .. } => {
            failures.told.first().map_or(ExitCode::DatastoreUnavailable, |failure| of_hold(&failure.error))
        }
        SyncError::TimedOut { .. } => ExitCode::DatastoreUnavailable,
        SyncError::Interrupted { .. } => ExitCode::Interrupted,
    }
}

/// The exit code of a collection that did not come to its end.
pub(crate) fn of_collection(error: &CollectionError) -> ExitCode {
    match error {
        CollectionError::Datastore { source, .. } => of_datastore(source),
        CollectionError::Store(error) => of_store(error),
        CollectionError::Interrupted { .. } => ExitCode::Interrupted,
    }
}

fn of_hold(error: &HoldError) -> ExitCode {
    match error {
        HoldError::Local(error) => of_lock(error),
        HoldError::Datastore(error) => of_datastore(error),
        HoldError::Store(error) => of_store(error),
        HoldError::Lane(_) | HoldError::Inherited(_) => ExitCode::Internal,
        HoldError::Interrupted => ExitCode::Interrupted,
    }
}

/// The exit code of a refusal of the local store.
fn of_store(error: &StoreError) -> ExitCode {
    match error {
        StoreError::NewerFormat { .. }
        | StoreError::ReadOnly { .. }
        | StoreError::Full { .. }
        | StoreError::Busy { .. }
        | StoreError::Contradicted { .. }
        | StoreError::Io { .. } => ExitCode::DatastoreUnavailable,
        StoreError::Corrupt { .. } => ExitCode::Corrupt,
        StoreError::Left { .. } => ExitCode::Denied,
        StoreError::Inconsistent { .. } => ExitCode::Internal,
    }
}

/// The exit code of a refusal of the datastore.
fn of_datastore(error: &DatastoreError) -> ExitCode {
    match error {
        DatastoreError::Extension(error) => of_extension(error, ExitCode::DatastoreUnavailable),
        DatastoreError::Refused { kind, .. } => match kind {
            // Unsupported: of a newer format, which a newer extension can use.
            ErrorKind::Conflict | ErrorKind::Unavailable { .. } | ErrorKind::Exhausted | ErrorKind::Unsupported => {
                ExitCode::DatastoreUnavailable
            }
            ErrorKind::NotFound => ExitCode::NotFound,
            ErrorKind::Denied => ExitCode::Denied,
            ErrorKind::LeaseLost => ExitCode::LeaseLost,
            ErrorKind::Held => ExitCode::LockTimeout,
            ErrorKind::Corrupt => ExitCode::Corrupt,
            ErrorKind::InvalidConfig | ErrorKind::InvalidInput => ExitCode::InvalidInput,
            ErrorKind::Cancelled => ExitCode::Interrupted,
        },
    }
}

/// The exit code of a local lock that was not given.
fn of_lock(error: &LocalLockError) -> ExitCode {
    match error {
        LocalLockError::Held { .. } | LocalLockError::HeldByAncestor { .. } => ExitCode::LockTimeout,
        LocalLockError::Io { .. } => ExitCode::DatastoreUnavailable,
    }
}

/// The exit code of an extension error; `misbehaved` when the guest ran and did wrong.
fn of_extension(error: &ExtensionError, misbehaved: ExitCode) -> ExitCode {
    match error {
        ExtensionError::Missing { .. } => ExitCode::NotFound,
        ExtensionError::Unusable { .. } | ExtensionError::Compile { .. } => ExitCode::InvalidInput,
        ExtensionError::NotGranted { .. } => ExitCode::Denied,
        ExtensionError::Trapped { .. }
        | ExtensionError::Limit { .. }
        | ExtensionError::Deadline { .. }
        | ExtensionError::Malformed { .. } => misbehaved,
        ExtensionError::Cancelled { .. } => ExitCode::Interrupted,
        ExtensionError::Runner { .. } | ExtensionError::Host { .. } => ExitCode::Internal,
    }
}

fn of_object(error: &ObjectError) -> ExitCode {
    match error {
        ObjectError::InvalidKey { .. } | ObjectError::Misconfigured { .. } => ExitCode::InvalidInput,
        ObjectError::NotFound { .. } => ExitCode::NotFound,
        ObjectError::Denied { .. } => ExitCode::Denied,
        ObjectError::Corrupt { .. } => ExitCode::Corrupt,
        ObjectError::Conflict { .. } | ObjectError::Exhausted { .. } | ObjectError::Unavailable { .. } => {
            ExitCode::DatastoreUnavailable
        }
    }
}

fn of_file(error: &io::Error) -> ExitCode {
    match error.kind() {
        io::ErrorKind::NotFound => ExitCode::NotFound,
        io::ErrorKind::PermissionDenied => ExitCode::Denied,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem => {
            ExitCode::DatastoreUnavailable
        }
        io::ErrorKind::InvalidInput
        | io::ErrorKind::InvalidFilename
        | io::ErrorKind::InvalidData
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::AlreadyExists => ExitCode::InvalidInput,
        _ => ExitCode::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_decides_by_is_told_apart() {
        let refused = |kind| {
            Failure::Datastore(DatastoreError::Refused { kind, subject: String::new(), message: String::new() })
                .exit_code()
        };
        assert_eq!(refused(ErrorKind::Held), ExitCode::LockTimeout);
        assert_eq!(refused(ErrorKind::LeaseLost), ExitCode::LeaseLost);
        assert_eq!(refused(ErrorKind::Unavailable { retry_after: None }), ExitCode::DatastoreUnavailable);
        assert_eq!(refused(ErrorKind::Denied), ExitCode::Denied);
    }

    #[test]
    fn a_trap_fails_the_method_but_makes_a_datastore_unavailable() {
        let trap =
            ExtensionError::Trapped { extension: "@a/b".into(), call: "run".into(), reason: "unreachable".into() };
        assert_eq!(of_method(&MethodError::Extension(trap.clone())), ExitCode::MethodFailed);
        assert_eq!(Failure::Extension(trap).exit_code(), ExitCode::DatastoreUnavailable);
    }

    #[test]
    fn a_full_store_is_not_the_failure_of_a_method() {
        let full = StoreError::Full { path: "store".to_owned(), reason: "no space".to_owned() };
        assert_eq!(of_method(&MethodError::Store(full)), ExitCode::DatastoreUnavailable);
    }

    #[test]
    fn the_json_of_an_error_has_kind_message_and_code() {
        let failure = Failure::NotFound("there is no model web".to_owned());
        let json = error_json(failure.exit_code(), &failure.to_string());
        assert_eq!(
            json,
            serde_json::json!({
                "error": { "kind": "not-found", "message": "there is no model web", "exitCode": 3 }
            })
        );
    }
}
