//! `peat.yaml`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    ConfigError, Driver, DriverChoice, DriverDefaults, RepositoryRetention, duration, parse_yaml, write_duration,
};
use crate::identifiers::{ExtensionName, GrantName, NamespaceName, RepositoryId};
use crate::lease::LEASE_TTL_DEFAULT;

/// Default of `lockTimeout`: longer than a usual method run, short enough for a person to wait.
pub const LOCK_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);

/// Default of `methodTimeout`.
pub const METHOD_TIMEOUT_DEFAULT: Duration = Duration::from_secs(600);

/// Shortest lease: below it, renewals would be most of the traffic and a garbage collection pause would lose the lease.
const LEASE_TTL_MIN: Duration = Duration::from_secs(2);

/// Longest lease: a dead holder on another machine blocks a partition for twice as long.
const LEASE_TTL_MAX: Duration = Duration::from_secs(3600);

/// The configuration of a repository.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RepositoryConfig {
    /// Format of this file: 1.
    pub format: u32,
    /// The same in every checkout of the repository.
    pub id: RepositoryId,
    /// The repository's namespace in a shared datastore.
    #[serde(default = "NamespaceName::default_namespace")]
    pub namespace: NamespaceName,
    /// Where runtime data lives.
    #[serde(default)]
    pub datastore: DatastoreConfig,
    /// What a sync brings.
    #[serde(default)]
    pub hydration_strategy: HydrationStrategy,
    /// How long a command waits for a lease.
    #[serde(default = "lock_timeout_default", deserialize_with = "duration")]
    pub lock_timeout: Duration,
    /// How long a method run may take.
    #[serde(default = "method_timeout_default", deserialize_with = "duration")]
    pub method_timeout: Duration,
    /// Where methods run, unless their model or its type says so.
    #[serde(default)]
    pub driver: Option<DriverChoice>,
    /// Options of the drivers, whoever chooses them.
    #[serde(default)]
    pub drivers: DriverDefaults,
    /// How long data is kept of which nobody else says anything.
    #[serde(default)]
    pub retention: RepositoryRetention,
    /// What the operator allows each extension.
    #[serde(default)]
    pub grants: BTreeMap<ExtensionName, ExtensionGrants>,
}

/// Which datastore a repository uses: the word `local`, or an extension with its settings.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(
    untagged,
    expecting = "write `datastore: local`, or `datastore:` with the keys extension, settings, leaseTtl and isolation \
                 (in-process, process or container)"
)]
pub enum DatastoreConfig {
    /// The embedded one of this machine.
    Local(LocalWord),
    /// A datastore extension.
    Shared(SharedDatastore),
}

impl Default for DatastoreConfig {
    fn default() -> Self {
        Self::Local(LocalWord::Local)
    }
}

/// The word `local`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LocalWord {
    /// The embedded datastore.
    Local,
}

impl DatastoreConfig {
    /// The shared datastore; none for the embedded one.
    pub fn shared(&self) -> Option<&SharedDatastore> {
        match self {
            Self::Local(_) => None,
            Self::Shared(shared) => Some(shared),
        }
    }
}

/// A datastore extension and its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SharedDatastore {
    /// The extension.
    pub extension: ExtensionName,
    /// Validated against the extension's schema when it is opened.
    #[serde(default)]
    pub settings: Value,
    /// How long a lease lasts after each renewal.
    #[serde(default = "lease_ttl_default", deserialize_with = "duration", serialize_with = "write_duration")]
    pub lease_ttl: Duration,
    /// Where the extension runs; in the process of the host, unless it says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Driver>,
}

/// What a sync brings to this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HydrationStrategy {
    /// Index and content.
    #[default]
    Full,
    /// The index; content on first access.
    Lazy,
}

/// What the operator allows one extension.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExtensionGrants {
    /// Directories to read, by name. Relative paths are relative to the repository.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<GrantName, String>,
    /// Secrets by name: the environment variable of the host that holds each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<GrantName, String>,
}

impl RepositoryConfig {
    /// Reads the text of `peat.yaml`; `path` is for messages.
    pub fn parse(path: &str, text: &str) -> Result<Self, ConfigError> {
        let config: Self = parse_yaml(path, text)?;
        let rule = |reason: String| Err(ConfigError { path: path.to_owned(), reason });
        if config.format != 1 {
            return rule(format!("format: {} is not known; this peat reads format 1, use a newer peat", config.format));
        }
        if config.datastore.shared().is_some_and(|shared| !is_lease_ttl(shared.lease_ttl)) {
            return rule("datastore.leaseTtl: write a duration from 2s to 1h".to_owned());
        }
        if let Some(reason) = config.retention.fault() {
            return rule(reason);
        }
        if let Err(reason) = config.drivers.check() {
            return rule(reason);
        }
        Ok(config)
    }
}

/// Whether a lease may last so long after each renewal.
pub fn is_lease_ttl(ttl: Duration) -> bool {
    (LEASE_TTL_MIN..=LEASE_TTL_MAX).contains(&ttl)
}

fn lock_timeout_default() -> Duration {
    LOCK_TIMEOUT_DEFAULT
}

fn method_timeout_default() -> Duration {
    METHOD_TIMEOUT_DEFAULT
}

fn lease_ttl_default() -> Duration {
    LEASE_TTL_DEFAULT
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "format: 1\nid: 0a1b2c3d4e5f\n";

    #[test]
    fn the_least_configuration_has_the_documented_defaults() {
        let config = RepositoryConfig::parse("peat.yaml", MINIMAL).unwrap();
        assert_eq!(config.namespace.as_str(), "default");
        assert_eq!(config.datastore.shared(), None);
        assert_eq!(config.hydration_strategy, HydrationStrategy::Full);
        assert_eq!(config.lock_timeout, Duration::from_secs(60));
    }

    #[test]
    fn a_datastore_is_the_word_local_or_an_extension() {
        let parse = |rest: &str| RepositoryConfig::parse("peat.yaml", &format!("{MINIMAL}{rest}"));
        assert_eq!(parse("datastore: local\n").unwrap().datastore.shared(), None);
        let shared = "datastore:\n  extension: \"@peat/directory\"\n  settings: {path: /srv/peat}\n  leaseTtl: 30s\n";
        let config = parse(shared).unwrap();
        let shared = config.datastore.shared().unwrap();
        assert_eq!(shared.extension.as_str(), "@peat/directory");
        assert_eq!(shared.lease_ttl, Duration::from_secs(30));
        let error = parse("datastore: s3\n").unwrap_err().to_string();
        assert!(error.contains("datastore: local"), "{error}");
        assert!(parse("datastore:\n  extension: \"@peat/directory\"\n  leaseTtl: 1s\n").is_err());
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, word) in [
            ("format: 1\nid: 0a1b2c3d4e5f\nnamespce: x\n", "namespce"),
            ("format: 1\nid: 0a1b2c3d4e5f\nid: 0a1b2c3d4e5g\n", "id"),
            ("format: 1\nid: 0a1b2c3d4e5f\nlockTimeout: soon\n", "soon"),
            ("format: 2\nid: 0a1b2c3d4e5f\n", "newer peat"),
            ("format: 1\n", "id"),
            ("format: [\n", "line"),
            ("format: 1\nid: 0a1b2c3d4e5f\nretention: {lifetime: soon}\n", "write infinite"),
            ("format: 1\nid: 0a1b2c3d4e5f\nretention: {versions: 0}\n", "line"),
            ("format: 1\nid: 0a1b2c3d4e5f\nretention: {runs: run}\n", "retention.runs"),
        ] {
            let error = RepositoryConfig::parse("peat.yaml", text).unwrap_err().to_string();
            assert!(error.starts_with("peat.yaml: ") && error.contains(word), "{text:?}: {error}");
        }
    }
}
