//! Which datastore a repository uses on this machine: its settings made absolute, its directory, its local store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use peat_core::digest::Digest;
use peat_core::identifiers::{ExtensionName, NamespaceName};
use peat_core::metadata::{Kind, Metadata};
use peat_core::ports::{LocalStore as _, ObjectError, ObjectStore};
use peat_core::repository::SharedDatastore;
use peat_core::schema;
use peat_store::{DirectoryObjects, SqliteStore};
use serde_json::Value;

use super::Repository;
use crate::failure::Failure;

/// Digits of the digest in the name of a local store: enough that two never meet, short enough to type.
const KEY_DIGITS: usize = 16;

/// The setting that becomes the directory grant.
const PATH_SETTING: &str = "path";

/// Where the local store keeps what the last examination of the datastore found.
pub(crate) const PROFILE_NOTE: &str = "datastore-profile";

/// A datastore as configured, resolved on this machine.
#[derive(Debug, Clone)]
pub(crate) enum DatastoreChoice {
    /// The embedded one.
    Local {
        /// Names the local store.
        key: String,
    },
    /// An extension's.
    Shared {
        /// Names the local store.
        key: String,
        /// As in `peat.yaml`.
        configured: SharedDatastore,
        /// With its path made absolute.
        settings: Value,
        /// The directory of the setting `path`, when there is one.
        directory: Option<PathBuf>,
    },
}

impl DatastoreChoice {
    /// The choice of a repository.
    pub(crate) fn of(repository: &Repository) -> Self {
        match repository.shared_datastore() {
            None => Self::Local { key: local_key(repository.namespace()) },
            Some(shared) => Self::shared(repository, shared.clone()),
        }
    }

    /// A shared datastore of a repository, chosen or about to be.
    pub(crate) fn shared(repository: &Repository, configured: SharedDatastore) -> Self {
        let mut settings = match &configured.settings {
            Value::Null => Value::Object(serde_json::Map::new()),
            given => given.clone(),
        };
        let directory = settings.get(PATH_SETTING).and_then(Value::as_str).map(|path| repository.resolve(path));
        if let Some(directory) = &directory
            && let Some(absolute) = directory.to_str()
        {
            settings[PATH_SETTING] = Value::String(absolute.to_owned());
        }
        let key = shared_key(&configured.extension, &settings, repository.namespace());
        Self::Shared { key, configured, settings, directory }
    }

    /// `local`, or the name of the extension.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Local { .. } => "local",
            Self::Shared { configured, .. } => configured.extension.as_str(),
        }
    }

    /// Names the local store: one for each datastore, so that nothing of one is ever taken for another's.
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::Local { key } | Self::Shared { key, .. } => key,
        }
    }
}

/// Checks the settings of a datastore, and that the extension is one.
pub(crate) fn resolve_settings(metadata: &Metadata, settings: &Value) -> Result<(), Failure> {
    let Kind::Datastore(datastore) = &metadata.kind else {
        return Err(Failure::InvalidInput(format!(
            "extension {} provides model types, not a datastore; choose another one, or `local`",
            metadata.name
        )));
    };
    schema::validate(&datastore.settings, settings).map_err(|violations| {
        let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
        Failure::InvalidInput(format!("the settings of {} do not fit: {}", metadata.name, lines.join("; ")))
    })
}

/// The directory of a datastore that wants one.
pub(super) fn open_directory(
    metadata: &Metadata,
    directory: Option<&PathBuf>,
    store: &SqliteStore,
) -> Result<Option<Arc<dyn ObjectStore>>, Failure> {
    if !metadata.wants.iter().any(|want| want.capability == "directory") {
        return Ok(None);
    }
    let directory = directory.ok_or_else(|| {
        Failure::InvalidInput(format!(
            "extension {name} wants a directory; run `peat datastore setup {name} --setting {PATH_SETTING}=DIR`",
            name = metadata.name
        ))
    })?;
    match DirectoryObjects::open(directory) {
        Ok(objects) => Ok(Some(Arc::new(objects))),
        Err(ObjectError::NotFound { .. }) => Err(no_directory(directory, store)?),
        Err(error) => Err(error.into()),
    }
}

/// A directory that this machine has used is out of reach; of one that it never saw the setting may be wrong.
fn no_directory(directory: &Path, store: &SqliteStore) -> Result<Failure, Failure> {
    let place = directory.display();
    if store.note(PROFILE_NOTE)?.is_some() || !store.partitions()?.is_empty() {
        let message = format!("the directory {place} of the datastore is gone; is its file system mounted?");
        return Ok(Failure::Unusable(message));
    }
    Ok(Failure::NotFound(format!(
        "there is no directory {place} on this machine, where peat.yaml has its datastore; mount its file system there, or \
         change datastore.settings.{PATH_SETTING}"
    )))
}

fn local_key(namespace: &NamespaceName) -> String {
    if *namespace == NamespaceName::default_namespace() { "local".to_owned() } else { format!("local-{namespace}") }
}

fn shared_key(extension: &ExtensionName, settings: &Value, namespace: &NamespaceName) -> String {
    let identity = serde_json::json!([extension, settings, namespace]).to_string();
    Digest::of(identity.as_bytes()).to_string()[..KEY_DIGITS].to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_datastore_and_namespace_has_its_own_local_store() {
        let extension = ExtensionName::parse("@peat/directory").unwrap();
        let namespace = |name| NamespaceName::parse(name).unwrap();
        let key = |path: &str, name| shared_key(&extension, &json!({ "path": path }), &namespace(name));
        assert_eq!(key("/srv/a", "default"), key("/srv/a", "default"));
        assert_ne!(key("/srv/a", "default"), key("/srv/b", "default"));
        assert_ne!(key("/srv/a", "default"), key("/srv/a", "other"));
        assert_ne!(local_key(&namespace("default")), local_key(&namespace("other")));
    }
}
