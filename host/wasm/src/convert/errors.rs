//! Errors in both directions.

use std::time::Duration;

use peat_core::ports::{DatastoreError, ErrorKind as Kind, ObjectError, RunDataError, StoreError};

use super::text::{line, message};
use crate::bindings::imports::interfaces::errors::{Error, ErrorKind};

/// Longest time a guest may ask the caller to wait before a retry: longer is a refusal.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// What a datastore extension said.
pub(crate) fn refused(error: Error) -> DatastoreError {
    let kind = match error.kind {
        ErrorKind::Conflict => Kind::Conflict,
        ErrorKind::NotFound => Kind::NotFound,
        ErrorKind::Unavailable(after_ms) => Kind::Unavailable {
            retry_after: after_ms.map(|after_ms| Duration::from_millis(after_ms).min(RETRY_AFTER_MAX)),
        },
        ErrorKind::Denied => Kind::Denied,
        ErrorKind::LeaseLost => Kind::LeaseLost,
        ErrorKind::Held => Kind::Held,
        ErrorKind::Corrupt => Kind::Corrupt,
        ErrorKind::Unsupported => Kind::Unsupported,
        ErrorKind::InvalidConfig => Kind::InvalidConfig,
        ErrorKind::InvalidInput => Kind::InvalidInput,
        ErrorKind::Exhausted => Kind::Exhausted,
        ErrorKind::Cancelled => Kind::Cancelled,
    };
    DatastoreError::Refused { kind, subject: line(&error.subject), message: message(&error.message) }
}

/// What an object store said, for the guest.
pub(crate) fn of_object(error: &ObjectError) -> Error {
    let (kind, subject) = match error {
        ObjectError::InvalidKey { key, .. } => (ErrorKind::InvalidInput, key),
        ObjectError::NotFound { key } => (ErrorKind::NotFound, key),
        ObjectError::Conflict { key } => (ErrorKind::Conflict, key),
        ObjectError::Denied { key, .. } => (ErrorKind::Denied, key),
        ObjectError::Exhausted { key, .. } => (ErrorKind::Exhausted, key),
        ObjectError::Corrupt { key, .. } => (ErrorKind::Corrupt, key),
        ObjectError::Misconfigured { key, .. } => (ErrorKind::InvalidConfig, key),
        ObjectError::Unavailable { key, retry_after_ms, .. } => (ErrorKind::Unavailable(*retry_after_ms), key),
    };
    Error { kind, subject: subject.clone(), message: error.to_string() }
}

/// What the local store said, for the guest.
pub(crate) fn of_store(error: &StoreError) -> Error {
    let (kind, path) = match error {
        StoreError::NewerFormat { path, .. } => (ErrorKind::Unsupported, path),
        StoreError::ReadOnly { path, .. } => (ErrorKind::Denied, path),
        StoreError::Full { path, .. } => (ErrorKind::Exhausted, path),
        StoreError::Corrupt { path, .. } => (ErrorKind::Corrupt, path),
        StoreError::Busy { path, .. } => (ErrorKind::Unavailable(None), path),
        StoreError::Inconsistent { path, .. } | StoreError::Contradicted { path, .. } => (ErrorKind::Corrupt, path),
        StoreError::Left { path, .. } => (ErrorKind::Denied, path),
        StoreError::Io { path, .. } => (ErrorKind::Unavailable(None), path),
    };
    Error { kind, subject: path.clone(), message: error.to_string() }
}

/// What the run said, for the guest.
pub(crate) fn of_run_data(error: &RunDataError, subject: &str) -> Error {
    let kind = match error {
        RunDataError::NotFound(_) => ErrorKind::NotFound,
        RunDataError::Denied(_) => ErrorKind::Denied,
        RunDataError::Exhausted(_) => ErrorKind::Exhausted,
        RunDataError::Store(error) => return of_store(error),
        RunDataError::NotBrought(error) => of_datastore(error),
    };
    Error { kind, subject: super::text::shown(subject), message: error.to_string() }
}

/// What a datastore said that a method reads from without knowing it.
fn of_datastore(error: &DatastoreError) -> ErrorKind {
    match error {
        DatastoreError::Refused { kind: Kind::NotFound, .. } => ErrorKind::NotFound,
        DatastoreError::Refused { kind: Kind::Denied, .. } => ErrorKind::Denied,
        DatastoreError::Refused { kind: Kind::Corrupt, .. } => ErrorKind::Corrupt,
        DatastoreError::Refused { .. } | DatastoreError::Extension(_) => ErrorKind::Unavailable(None),
    }
}

/// What the system said about a file of a grant, for the guest. Paths of the host are not named.
pub(crate) fn of_io(error: &std::io::Error, subject: &str) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => ErrorKind::NotFound,
        std::io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::Exhausted,
        std::io::ErrorKind::NotADirectory | std::io::ErrorKind::IsADirectory | std::io::ErrorKind::InvalidInput => {
            ErrorKind::InvalidInput
        }
        _ => ErrorKind::Unavailable(None),
    };
    Error { kind, subject: super::text::shown(subject), message: error.to_string() }
}
