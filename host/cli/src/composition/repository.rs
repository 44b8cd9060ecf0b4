//! The repository: found upwards from where the user stands, its files read strictly.

use std::path::{Path, PathBuf};

use peat_core::identifiers::{ExtensionName, NamespaceName};
use peat_core::repository::{
    DOCUMENT_BYTES_MAX, DatastoreConfig, ExtensionGrants, HydrationStrategy, LockFile, RepositoryConfig,
    SharedDatastore,
};

use super::change_lock::ChangeLock;
use super::file_access::{read_text_if_there, write_atomically};
use super::model_index::ModelFinder;
use super::models::Models;
use crate::environment::Environment;
use crate::failure::Failure;

/// The file that makes a directory a repository.
pub(crate) const CONFIG_FILE: &str = "peat.yaml";

/// The extensions of the repository.
const LOCK_FILE: &str = "peat.lock";

/// What can be made again; ignored by git.
pub(crate) const STATE_DIRECTORY: &str = ".peat";

/// A repository as its files say.
#[derive(Debug)]
pub(crate) struct Repository {
    /// The directory of `peat.yaml`, absolute.
    pub(crate) root: PathBuf,
    /// `peat.yaml`, with what the environment overrides.
    pub(crate) config: RepositoryConfig,
    /// `peat.lock`.
    pub(crate) lock: LockFile,
    config_text: String,
    changing: Option<ChangeLock>,
}

impl Repository {
    /// Finds and reads the repository at or above `chosen`, PEAT_REPO or the current directory.
    pub(crate) fn open(chosen: Option<&Path>, environment: &Environment) -> Result<Self, Failure> {
        Self::read(&Self::find(chosen, environment)?, environment, None)
    }

    /// The same, to change `peat.yaml` and `peat.lock`: waits until no other process does, as long as for a lease. Others
    /// wait until the answered value is dropped; `command` is what they read of this process.
    pub(crate) fn open_for_change(
        chosen: Option<&Path>,
        environment: &Environment,
        command: &str,
    ) -> Result<Self, Failure> {
        let before = Self::open(chosen, environment)?;
        let changing = ChangeLock::take(&before.root, command, before.config.lock_timeout)?;
        Self::read(&before.root, environment, Some(changing))
    }

    fn find(chosen: Option<&Path>, environment: &Environment) -> Result<PathBuf, Failure> {
        let start = chosen.or(environment.repository.as_deref()).unwrap_or(Path::new("."));
        let start = std::path::absolute(start).and_then(|start| start.canonicalize());
        let start = start.map_err(|error| {
            let shown = chosen.or(environment.repository.as_deref()).unwrap_or(Path::new(".")).display().to_string();
            Failure::NotFound(format!("there is no directory {shown}: {error}"))
        })?;
        let root = start.ancestors().find(|directory| directory.join(CONFIG_FILE).is_file()).ok_or_else(|| {
            Failure::NotFound(format!(
                "there is no {CONFIG_FILE} in {} or above it; make a repository with `peat repo init`, or choose one \
                 with --repo or PEAT_REPO",
                start.display()
            ))
        })?;
        Ok(root.to_owned())
    }

    fn read(root: &Path, environment: &Environment, changing: Option<ChangeLock>) -> Result<Self, Failure> {
        let limit = DOCUMENT_BYTES_MAX as u64;
        let config_path = root.join(CONFIG_FILE);
        let config_text = read_text_if_there(&config_path, limit)?.unwrap_or_default();
        let mut config = RepositoryConfig::parse(CONFIG_FILE, &config_text)?;
        if let Some(datastore) = &environment.datastore {
            config.datastore = datastore.clone();
        }
        if let Some(namespace) = &environment.namespace {
            config.namespace = namespace.clone();
        }
        if let Some(lock_timeout) = environment.lock_timeout {
            config.lock_timeout = lock_timeout;
        }
        let lock = match read_text_if_there(&root.join(LOCK_FILE), limit)? {
            Some(text) => LockFile::parse(LOCK_FILE, &text)?,
            None => LockFile::default(),
        };
        Ok(Self { root: root.to_owned(), config, lock, config_text, changing })
    }

    /// Whether this value holds the right to change the files of the repository.
    pub(crate) fn is_being_changed_here(&self) -> bool {
        self.changing.is_some()
    }

    /// Finds models by name, for commands about a few of them.
    pub(crate) fn model_finder(&self) -> Result<ModelFinder, Failure> {
        ModelFinder::open(&self.root)
    }

    /// Reads `models/*.yaml`, all of them.
    pub(crate) fn models(&self) -> Result<Models, Failure> {
        Models::read(&self.root)
    }

    /// What the operator granted an extension.
    pub(crate) fn grants(&self, extension: &ExtensionName) -> ExtensionGrants {
        self.config.grants.get(extension).cloned().unwrap_or_default()
    }

    /// The shared datastore; none for `local`.
    pub(crate) fn shared_datastore(&self) -> Option<&SharedDatastore> {
        self.config.datastore.shared()
    }

    /// The namespace in a shared datastore.
    pub(crate) fn namespace(&self) -> &NamespaceName {
        &self.config.namespace
    }

    /// A path of the configuration: relative ones are relative to the repository. Whether it exists makes no difference.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        let mut resolved = self.root.clone();
        let mut rest = Path::new(path);
        // The root is free of links, so that going up from it is the same as taking its last name away.
        loop {
            if let Ok(below) = rest.strip_prefix(".") {
                rest = below;
            } else if let Ok(below) = rest.strip_prefix("..") {
                resolved.pop();
                rest = below;
            } else {
                break;
            }
        }
        if !rest.as_os_str().is_empty() {
            resolved.push(rest);
        }
        resolved
    }

    /// Writes the grants into `peat.yaml`, unless they are there already.
    pub(crate) fn write_grants(
        &mut self,
        grants: &std::collections::BTreeMap<ExtensionName, ExtensionGrants>,
    ) -> Result<(), Failure> {
        if self.config.grants == *grants {
            return Ok(());
        }
        let text = super::config_text::with_grants(CONFIG_FILE, &self.config_text, grants)?;
        self.write_config(text)?;
        self.config.grants = grants.clone();
        Ok(())
    }

    /// Writes the datastore into `peat.yaml`; none chooses `local`.
    pub(crate) fn write_datastore(&mut self, shared: Option<&SharedDatastore>) -> Result<(), Failure> {
        let text = super::config_text::with_datastore(CONFIG_FILE, &self.config_text, shared)?;
        self.write_config(text)?;
        self.config.datastore =
            shared.map_or_else(DatastoreConfig::default, |shared| DatastoreConfig::Shared(shared.clone()));
        Ok(())
    }

    /// Writes the namespace into `peat.yaml`.
    pub(crate) fn write_namespace(&mut self, namespace: &NamespaceName) -> Result<(), Failure> {
        let text = super::config_text::with_namespace(CONFIG_FILE, &self.config_text, namespace)?;
        self.write_config(text)?;
        self.config.namespace = namespace.clone();
        Ok(())
    }

    /// Writes the hydration strategy into `peat.yaml`.
    pub(crate) fn write_hydration(&mut self, strategy: HydrationStrategy) -> Result<(), Failure> {
        if self.config.hydration_strategy == strategy {
            return Ok(());
        }
        let text = super::config_text::with_hydration(CONFIG_FILE, &self.config_text, strategy)?;
        self.write_config(text)?;
        self.config.hydration_strategy = strategy;
        Ok(())
    }

    /// Writes `peat.lock`.
    pub(crate) fn write_lock(&self) -> Result<(), Failure> {
        write_atomically(&self.root.join(LOCK_FILE), self.lock.to_text().as_bytes())
    }

    fn write_config(&mut self, text: String) -> Result<(), Failure> {
        write_atomically(&self.root.join(CONFIG_FILE), text.as_bytes())?;
        self.config_text = text;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        Environment::read().unwrap()
    }

    #[test]
    fn a_repository_is_found_from_inside_it() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let inside = root.join("models/deep");
        std::fs::create_dir_all(&inside).unwrap();
        assert!(matches!(Repository::open(Some(&inside), &environment()), Err(Failure::NotFound(_))));
        std::fs::write(root.join(CONFIG_FILE), "format: 1\nid: 0a1b2c3d4e5f\n").unwrap();
        assert_eq!(Repository::open(Some(&inside), &environment()).unwrap().root, root);
    }

    #[test]
    fn two_changes_of_one_repository_wait_for_each_other() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(CONFIG_FILE), "format: 1\nid: 0a1b2c3d4e5f\n").unwrap();
        let first = Repository::open_for_change(Some(directory.path()), &environment(), "test").unwrap();
        let other = std::fs::File::open(directory.path()).unwrap();
        assert!(other.try_lock().is_err());
        assert!(Repository::open(Some(directory.path()), &environment()).is_ok());
        drop(first);
        assert!(other.try_lock().is_ok());
    }

    #[test]
    fn paths_of_the_configuration_start_at_the_repository() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(CONFIG_FILE), "format: 1\nid: 0a1b2c3d4e5f\n").unwrap();
        let repository = Repository::open(Some(directory.path()), &environment()).unwrap();
        let parent = repository.root.parent().unwrap();
        assert_eq!(repository.resolve("."), repository.root);
        assert_eq!(repository.resolve("./data"), repository.root.join("data"));
        assert_eq!(repository.resolve("../elsewhere"), parent.join("elsewhere"));
        assert_eq!(repository.resolve("../../x/../y"), parent.parent().unwrap().join("x/../y"));
        assert_eq!(repository.resolve("/srv/peat"), Path::new("/srv/peat"));
    }
}
