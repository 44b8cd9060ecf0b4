//! The environment variables of `peat`, read once, in one place.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use peat_core::identifiers::NamespaceName;
use peat_core::repository::{DatastoreConfig, RepositoryConfig, parse_size};

use crate::arguments::duration;
use crate::failure::Failure;

/// The variable that tells a process what the one that started it holds.
pub(crate) const HELD: &str = "PEAT_HELD";

/// What the environment says. An empty variable counts as unset.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// PEAT_REPO.
    pub(crate) repository: Option<PathBuf>,
    /// PEAT_DATASTORE.
    pub(crate) datastore: Option<DatastoreConfig>,
    /// PEAT_NAMESPACE.
    pub(crate) namespace: Option<NamespaceName>,
    /// PEAT_LOCK_TIMEOUT.
    pub(crate) lock_timeout: Option<Duration>,
    /// PEAT_BACKGROUND: whether a command leaves a process behind for what nobody waits for: bringing the rest of a lazy
    /// repository, optimising a large extension.
    pub(crate) works_in_background: bool,
    /// PEAT_HELD: what the process that started this one holds.
    pub(crate) held: Option<String>,
    /// PEAT_USER: who is named in the audit.
    pub(crate) user: Option<String>,
    /// PEAT_CACHE_SIZE: most bytes of compiled extensions.
    pub(crate) cache_bytes_max: Option<u64>,
    /// PEAT_RUNNER: the executable that runs guests outside of this process.
    pub(crate) runner: Option<PathBuf>,
    home: Option<PathBuf>,
    cache: Option<PathBuf>,
}

/// Whether NO_COLOR is set.
pub(crate) fn no_colour() -> bool {
    variable("NO_COLOR").is_some()
}

/// PEAT_LOG.
pub(crate) fn log_filter() -> Option<String> {
    variable("PEAT_LOG").and_then(|value| value.into_string().ok())
}

impl Environment {
    /// Reads it. A value that cannot be used is an error that names its variable.
    pub(crate) fn read() -> Result<Self, Failure> {
        let path = |name| variable(name).map(PathBuf::from);
        let base = |name, below: &str| {
            path(name).filter(|path| path.is_absolute()).or_else(|| Some(path("HOME")?.join(below)))
        };
        Ok(Self {
            repository: path("PEAT_REPO"),
            datastore: text("PEAT_DATASTORE")?.as_deref().map(parse_datastore).transpose()?,
            namespace: text("PEAT_NAMESPACE")?
                .map(|value| NamespaceName::parse(&value))
                .transpose()
                .map_err(|error| wrong("PEAT_NAMESPACE", &error.to_string()))?,
            lock_timeout: text("PEAT_LOCK_TIMEOUT")?
                .map(|value| duration(&value))
                .transpose()
                .map_err(|error| wrong("PEAT_LOCK_TIMEOUT", &error))?,
            works_in_background: switch("PEAT_BACKGROUND")?,
            held: text(HELD)?,
            user: text("PEAT_USER")?,
            cache_bytes_max: text("PEAT_CACHE_SIZE")?
                .map(|value| parse_size(&value))
                .transpose()
                .map_err(|error| wrong("PEAT_CACHE_SIZE", &error))?,
            runner: path("PEAT_RUNNER"),
            home: path("PEAT_HOME").or_else(|| Some(base("XDG_DATA_HOME", ".local/share")?.join("peat"))),
            cache: path("PEAT_CACHE_DIR").or_else(|| Some(base("XDG_CACHE_HOME", ".cache")?.join("peat"))),
        })
    }

    /// Where local stores and installed extensions lie.
    pub(crate) fn home(&self) -> Result<PathBuf, Failure> {
        absolute("PEAT_HOME", self.home.clone())
    }

    /// Where compiled extensions lie.
    pub(crate) fn cache(&self) -> Result<PathBuf, Failure> {
        absolute("PEAT_CACHE_DIR", self.cache.clone())
    }
}

/// `on` or `off`; on when it is not set.
fn switch(name: &'static str) -> Result<bool, Failure> {
    match text(name)?.as_deref() {
        None | Some("on") => Ok(true),
        Some("off") => Ok(false),
        Some(_) => Err(wrong(name, "write on or off")),
    }
}

fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

fn text(name: &'static str) -> Result<Option<String>, Failure> {
    variable(name).map(|value| value.into_string().map_err(|_| wrong(name, "it is not valid UTF-8"))).transpose()
}

fn wrong(name: &str, reason: &str) -> Failure {
    Failure::InvalidInput(format!("environment variable {name}: {reason}"))
}

fn absolute(name: &str, path: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let path = path.ok_or_else(|| {
        Failure::InvalidInput(format!("neither HOME nor {name} is set; set {name} to a directory of your own"))
    })?;
    std::path::absolute(&path).map_err(|source| Failure::file("find", &path, source))
}

/// Reads PEAT_DATASTORE by the rules of `peat.yaml`.
fn parse_datastore(value: &str) -> Result<DatastoreConfig, Failure> {
    let block = match value {
        "local" => "local".to_owned(),
        // A JSON value on one line is YAML too.
        json => serde_json::from_str::<serde_json::Value>(json)
            .map_err(|error| wrong("PEAT_DATASTORE", &format!("write `local` or a JSON object ({error})")))?
            .to_string(),
    };
    let document = format!("format: 1\nid: environment\ndatastore: {block}\n");
    RepositoryConfig::parse("PEAT_DATASTORE", &document)
        .map(|config| config.datastore)
        .map_err(|error| wrong("PEAT_DATASTORE", &error.reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_datastore_of_the_environment_follows_the_rules_of_the_file() {
        assert_eq!(parse_datastore("local").unwrap().shared(), None);
        let shared = r#"{"extension":"@peat/directory","settings":{"path":"/srv/peat"},"leaseTtl":"30s"}"#;
        let config = parse_datastore(shared).unwrap();
        assert_eq!(config.shared().unwrap().settings["path"], "/srv/peat");
        assert_eq!(config.shared().unwrap().lease_ttl, Duration::from_secs(30));
        for bad in ["s3", "{", r#"{"extension":"nope"}"#, r#"{"extension":"@a/b","leaseTtl":"1ms"}"#, "[1]"] {
            let error = parse_datastore(bad).unwrap_err().to_string();
            assert!(error.contains("PEAT_DATASTORE"), "{bad}: {error}");
        }
    }
}
