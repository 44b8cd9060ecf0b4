//! Components: the one place of this crate that talks to `peat-wasm`, beside the drivers (`isolation`).
//!
//! Making [`Components`] costs nothing: the engine comes with the first guest that runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use peat_core::identifiers::GrantName;
use peat_core::metadata::Metadata;
use peat_core::ports::{Datastore, ExtensionError, MethodExecutor, Movement, ObjectStore, Observer, Spool};
use peat_core::repository::ExtensionGrants;
use peat_core::statistics::CacheUse;
use peat_store::{ProcessIdentity, SqliteStore, SystemClock, SystemRandom};
pub(crate) use peat_wasm::ArtifactCache;
use peat_wasm::{
    Capability, ComponentDatastore, DatastoreBinding, ExtensionSource, GrantedCapabilities, Host, HostOptions,
    Launcher, Limits, ModelBinding, QUICK_COMPONENT_BYTES,
};
use serde_json::Value;

use super::{Home, Installed, Repository};
use crate::failure::Failure;

/// Largest component that is read, in bytes.
pub(crate) const COMPONENT_BYTES_MAX: u64 = peat_wasm::COMPONENT_BYTES_MAX as u64;

/// What runs guests.
#[derive(Debug)]
pub(crate) struct Components {
    host: Host,
    cache: ArtifactCache,
}

/// A datastore that an extension provides.
pub(crate) struct OpenDatastore(ComponentDatastore);

impl OpenDatastore {
    /// As the core sees it.
    pub(crate) fn port(&self) -> Arc<dyn Datastore> {
        Arc::new(self.0.clone())
    }

    /// The same, with another client of its bucket.
    pub(crate) fn through(&self, bucket: Arc<dyn ObjectStore>) -> Arc<dyn Datastore> {
        Arc::new(self.0.through(bucket))
    }
}

/// What a datastore extension is given.
#[derive(Clone)]
pub(crate) struct DatastoreParts {
    /// Its settings, validated.
    pub(crate) settings: Value,
    /// The directory it keeps things in, when it wants one.
    pub(crate) directory: Option<Arc<dyn ObjectStore>>,
    /// The bucket it keeps things in, when it wants one.
    pub(crate) bucket: Option<Arc<dyn ObjectStore>>,
    /// What this machine remembers of it.
    pub(crate) store: Arc<SqliteStore>,
    /// Who this process is.
    pub(crate) identity: Arc<ProcessIdentity>,
    /// Who watches.
    pub(crate) observer: Arc<dyn Observer>,
    /// What starts it, where it does not run in this process.
    pub(crate) launcher: Option<Arc<dyn Launcher>>,
}

impl Components {
    /// No engine, no file.
    pub(crate) fn new(home: &Home) -> Self {
        let options = HostOptions {
            cache_dir: home.cache(),
            cache_bytes_max: home.cache_bytes_max(),
            quick_bytes_min: home.works_in_background().then_some(QUICK_COMPONENT_BYTES),
            key_file: home.key_file(),
            limits: Limits::default(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
        };
        Self { cache: ArtifactCache::new(&options), host: Host::new(options) }
    }

    /// Tells how often what was to be run was found compiled.
    pub(crate) fn cache_use(&self) -> impl Fn() -> CacheUse + Send + 'static {
        let host = self.host.clone();
        move || host.cache_use()
    }

    /// Extensions whose code was compiled quickly and is to be optimised.
    pub(crate) fn unoptimised(&self) -> Vec<String> {
        self.host.unoptimised()
    }

    /// Sees to it that there is optimised code of an extension; answers whether it had to be made.
    pub(crate) async fn optimise(&self, installed: &Installed) -> Result<bool, Failure> {
        Ok(self.host.optimise(&source(installed)).await?)
    }

    /// What is compiled already.
    pub(crate) fn cache(self) -> ArtifactCache {
        self.cache
    }

    /// Reads what a component says of itself, whatever is granted. Makes no engine.
    pub(crate) fn metadata(&self, name: &str, bytes: &[u8]) -> Result<Metadata, ExtensionError> {
        let all = Capability::ALL.into_iter().collect();
        Ok(self.host.inspect(name, bytes, &all)?.metadata)
    }

    /// Checks a component as an extension with these grants: metadata, imports, and the types of all it exports, for
    /// which it is compiled and loaded once.
    pub(crate) async fn check(&self, file: &str, bytes: Vec<u8>, grants: &ExtensionGrants) -> Result<(), Failure> {
        let capabilities = capabilities(&self.metadata(file, &bytes)?, grants);
        let inspected = self.host.inspect(file, &bytes, &capabilities)?;
        Ok(self.host.typecheck(file, bytes, &inspected, &capabilities).await?)
    }

    /// The executor of a model extension's methods.
    pub(crate) fn executor(
        &self,
        installed: &Installed,
        repository: &Repository,
        spool: Arc<dyn Spool>,
        observer: Arc<dyn Observer>,
        launcher: Option<Arc<dyn Launcher>>,
    ) -> Result<Arc<dyn MethodExecutor>, Failure> {
        let grants = repository.grants(&installed.locked.name);
        let binding = ModelBinding {
            capabilities: capabilities(&installed.metadata, &grants),
            settings: Value::Object(serde_json::Map::new()),
            files: granted_directories(repository, &grants),
            secrets: granted_secrets(&grants)?,
            spool,
            observer,
            launcher,
        };
        Ok(Arc::new(self.host.model_executor(source(installed), binding)))
    }

    /// A datastore extension, bound to the repository's namespace.
    pub(crate) async fn datastore(
        &self,
        installed: &Installed,
        repository: &Repository,
        parts: DatastoreParts,
    ) -> Result<OpenDatastore, Failure> {
        let grants = repository.grants(&installed.locked.name);
        let binding = DatastoreBinding {
            namespace: repository.namespace().clone(),
            capabilities: capabilities(&installed.metadata, &grants),
            settings: parts.settings,
            directory: parts.directory,
            bucket: parts.bucket,
            secrets: granted_secrets(&grants)?,
            replica: parts.store.clone(),
            spool: parts.store,
            identity: parts.identity,
            observer: parts.observer,
            movement: Movement::default(),
            launcher: parts.launcher,
        };
        Ok(OpenDatastore(self.host.datastore(source(installed), binding).await?))
    }
}

fn source(installed: &Installed) -> ExtensionSource {
    ExtensionSource {
        name: installed.locked.name.clone(),
        path: installed.path.clone(),
        digest: installed.locked.digest,
        metadata: Arc::clone(&installed.metadata),
    }
}

/// What an extension may import: what it wants, where the operator gave it something. A datastore's directory or bucket
/// comes with its settings.
fn capabilities(metadata: &Metadata, grants: &ExtensionGrants) -> GrantedCapabilities {
    let granted = |capability: &Capability| match capability {
        Capability::Files => !grants.files.is_empty(),
        Capability::Secrets => !grants.secrets.is_empty(),
        Capability::Directory | Capability::Bucket => true,
    };
    metadata.wants.iter().filter_map(|want| want.capability.parse().ok()).filter(granted).collect()
}

fn granted_directories(repository: &Repository, grants: &ExtensionGrants) -> BTreeMap<GrantName, PathBuf> {
    grants.files.iter().map(|(name, directory)| (name.clone(), repository.resolve(directory))).collect()
}

fn granted_secrets(grants: &ExtensionGrants) -> Result<BTreeMap<GrantName, String>, Failure> {
    let value = |(name, variable): (&GrantName, &String)| match std::env::var(variable) {
        Ok(value) => Ok((name.clone(), value)),
        Err(_) => Err(Failure::InvalidInput(format!(
            "the secret {name} is granted from the environment variable {variable}, which is not set to text; set it, \
             or change grants in peat.yaml"
        ))),
    };
    grants.secrets.iter().map(value).collect()
}
