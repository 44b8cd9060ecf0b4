//! What an operator writes: `peat.yaml`, `models/*.yaml` and `peat.lock`, as types.
//!
//! Parsing is strict: an unknown key, a wrong type or a duplicate is an error with file, line and remedy. Reading files is
//! somebody else's work; here text becomes values.

mod config;
mod driver;
mod lock_file;
mod model;
mod retention;
mod size;

use std::time::Duration;

pub use config::{
    DatastoreConfig, ExtensionGrants, HydrationStrategy, LOCK_TIMEOUT_DEFAULT, METHOD_TIMEOUT_DEFAULT,
    RepositoryConfig, SharedDatastore, is_lease_ttl,
};
pub use driver::{
    ContainerNetwork, ContainerRuntime, DRIVER_MEMORY_DEFAULT, DRIVER_PIDS_DEFAULT, Driver, DriverChoice,
    DriverDefaults, DriverOptions, DriverSource, ResolvedDriver,
};
pub use lock_file::{LockFile, LockedExtension};
pub use model::Model;
pub use retention::{
    AUDIT_KEPT_DEFAULT, Kept, ModelRetention, RUNS_KEPT_DEFAULT, RepositoryRetention, Retention, RetentionRules,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
pub use size::parse_size;

/// Largest file an operator writes, in bytes. More is a mistake, and parsing it would only take time and memory.
pub const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;

/// A file of the repository that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct ConfigError {
    /// The file, as the operator would type it.
    pub path: String,
    /// Line and column where known, what is wrong, and what is right.
    pub reason: String,
}

fn parse_yaml<T: DeserializeOwned>(path: &str, text: &str) -> Result<T, ConfigError> {
    let error = |reason: String| ConfigError { path: path.to_owned(), reason };
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(error(format!("{} bytes, more than the {DOCUMENT_BYTES_MAX} allowed", text.len())));
    }
    serde_saphyr::from_str(text).map_err(|cause| error(cause.to_string()))
}

/// A duration as people write it: `90s`, `10m`, `1h 30m`, `500ms`.
fn duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|error| {
        serde::de::Error::custom(format!("{text:?} is not a duration ({error}); write 90s, 10m or 1h"))
    })
}

fn write_duration<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*duration))
}
