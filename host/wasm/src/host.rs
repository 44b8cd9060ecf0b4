//! The entry of this crate: one `Host` per process, made before it is known whether any guest will run.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use peat_core::digest::Digest;
use peat_core::identifiers::ExtensionName;
use peat_core::metadata::Metadata;
use peat_core::ports::{Clock, ExtensionError, Random};
use tokio::sync::OnceCell;
use wasmtime::component::{Component, InstancePre};

use crate::artifacts::{ArtifactKey, Artifacts, Origin};
use crate::datastore::ComponentDatastore;
use crate::engine::SharedEngine;
use crate::grants::{DatastoreBinding, GrantedCapabilities, ModelBinding};
use crate::imports::CONTRACT;
use crate::inspect::{Inspected, InspectedKind};
use crate::limits::{COMPONENT_BYTES_MAX, Limits};
use crate::model::ModelExecutor;
use crate::state::GuestState;

/// What a `Host` is made of.
#[derive(Clone)]
pub struct HostOptions {
    /// Where compiled components are kept. Created with access for its owner alone when it is needed.
    pub cache_dir: PathBuf,
    /// Most bytes that lie in `cache_dir`; what was not used for longest goes first.
    pub cache_bytes_max: u64,
    /// The key that authenticates what lies in `cache_dir`; never inside it. Created when it is needed.
    pub key_file: PathBuf,
    /// What each call may use.
    pub limits: Limits,
    /// Time, for guests and for deadlines.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for guests.
    pub random: Arc<dyn Random>,
}

impl fmt::Debug for HostOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HostOptions")
            .field("cache_dir", &self.cache_dir)
            .field("cache_bytes_max", &self.cache_bytes_max)
            .field("key_file", &self.key_file)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// An installed extension, as the extension index knows it.
#[derive(Debug, Clone)]
pub struct ExtensionSource {
    /// Its name.
    pub name: ExtensionName,
    /// Its component; read only when no compiled form is kept.
    pub path: PathBuf,
    /// SHA-256 of the component.
    pub digest: Digest,
    /// What it says of itself.
    pub metadata: Arc<Metadata>,
}

/// Runs extensions. Cloning is cheap and shares everything.
#[derive(Clone)]
pub struct Host {
    shared: Arc<Shared>,
}

struct Shared {
    options: HostOptions,
    engine: OnceLock<SharedEngine>,
    loaded: Mutex<HashMap<LoadKey, Arc<OnceCell<Loaded>>>>,
}

type LoadKey = (Digest, InspectedKind, GrantedCapabilities);

/// A component that is compiled, linked and ready to be instantiated.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) extension: Arc<str>,
    pub(crate) pre: InstancePre<GuestState>,
}

impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Host").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

impl Host {
    /// Makes a host. Touches no file and makes no engine: a command that runs no guest pays nothing.
    pub fn new(options: HostOptions) -> Self {
        Self { shared: Arc::new(Shared { options, engine: OnceLock::new(), loaded: Mutex::default() }) }
    }

    /// Reads what a component is, without compiling it: well-formedness, metadata, imports against `granted`, required
    /// exports by name. `file` is where the bytes were found, for errors. Takes up to a second for the largest.
    pub fn inspect(
        &self,
        file: &str,
        bytes: &[u8],
        granted: &GrantedCapabilities,
    ) -> Result<Inspected, ExtensionError> {
        crate::inspect::inspect(file, bytes, granted)
    }

    /// Compiles a component (or takes its compiled form), links it and loads it once, which compares the types of all its
    /// imports and exports with the contract. Runs nothing but its start functions, within the limits. `file` is where the
    /// bytes were found, for errors.
    pub async fn typecheck(
        &self,
        file: &str,
        bytes: Vec<u8>,
        inspected: &Inspected,
        granted: &GrantedCapabilities,
    ) -> Result<(), ExtensionError> {
        let name = crate::inspect::named(file, &inspected.metadata);
        let source = Origin::Bytes(bytes);
        let loaded = self.load(&name, inspected.digest, source, inspected.kind(), granted.clone()).await?;
        crate::call::load_once(&loaded, inspected, self.options()).await
    }

    /// An executor of the methods of a model extension. Nothing is read or compiled before its first execution.
    pub fn model_executor(&self, source: ExtensionSource, binding: ModelBinding) -> ModelExecutor {
        ModelExecutor::new(self.clone(), source, binding)
    }

    /// A datastore of an extension: loads it and asks it what it can do.
    pub async fn datastore(
        &self,
        source: ExtensionSource,
        binding: DatastoreBinding,
    ) -> Result<ComponentDatastore, ExtensionError> {
        ComponentDatastore::open(self.clone(), source, binding).await
    }

    pub(crate) fn options(&self) -> &HostOptions {
        &self.shared.options
    }

    pub(crate) async fn load_source(
        &self,
        source: &ExtensionSource,
        kind: InspectedKind,
        granted: &GrantedCapabilities,
    ) -> Result<Loaded, ExtensionError> {
        let origin = Origin::File(source.path.clone());
        self.load(source.name.as_str(), source.digest, origin, kind, granted.clone()).await
    }

    /// One load at a time per extension and process; a failed one may be tried again.
    async fn load(
        &self,
        extension: &str,
        digest: Digest,
        origin: Origin,
        kind: InspectedKind,
        granted: GrantedCapabilities,
    ) -> Result<Loaded, ExtensionError> {
        let cell = {
            let mut loaded = self.shared.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(loaded.entry((digest, kind, granted.clone())).or_default())
        };
        let loaded = cell
            .get_or_try_init(|| async {
                let host = self.clone();
                let extension: Arc<str> = extension.into();
                let named = Arc::clone(&extension);
                let loading =
                    tokio::task::spawn_blocking(move || host.load_blocking(extension, digest, origin, kind, &granted));
                loading.await.unwrap_or_else(|error| {
                    Err(ExtensionError::Host {
                        extension: named.to_string(),
                        call: "loading".to_owned(),
                        reason: error.to_string(),
                    })
                })
            })
            .await?;
        Ok(loaded.clone())
    }

    fn load_blocking(
        &self,
        extension: Arc<str>,
        digest: Digest,
        origin: Origin,
        kind: InspectedKind,
        granted: &GrantedCapabilities,
    ) -> Result<Loaded, ExtensionError> {
        let engine = self.engine(&extension)?;
        let HostOptions { cache_dir, key_file, cache_bytes_max, .. } = &self.shared.options;
        let artifacts = Artifacts { cache_dir, key_file, bytes_max: *cache_bytes_max };
        let key = ArtifactKey { engine: engine.key(), wasm: digest };
        let component = artifacts.component(&extension, engine.engine(), &key, origin)?;
        let pre = self.link(&extension, engine, &component, kind, granted)?;
        Ok(Loaded { extension, pre })
    }

    fn link(
        &self,
        extension: &str,
        engine: &SharedEngine,
        component: &Component,
        kind: InspectedKind,
        granted: &GrantedCapabilities,
    ) -> Result<InstancePre<GuestState>, ExtensionError> {
        let unusable = |error: wasmtime::Error| ExtensionError::Unusable {
            extension: extension.to_owned(),
            reason: format!(
                "its imports do not fit the contract of this peat: {}; build it again for {CONTRACT}",
                crate::failure::one_line(&error)
            ),
        };
        let linker = crate::linker::linker(engine.engine(), kind, granted).map_err(unusable)?;
        linker.instantiate_pre(component).map_err(unusable)
    }

    fn engine(&self, extension: &str) -> Result<&SharedEngine, ExtensionError> {
        if let Some(engine) = self.shared.engine.get() {
            return Ok(engine);
        }
        let engine = SharedEngine::new().map_err(|error| ExtensionError::Host {
            extension: extension.to_owned(),
            call: "starting the engine".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(self.shared.engine.get_or_init(|| engine))
    }
}

/// A component as it may be: bounded before anything looks at it.
pub(crate) fn too_large(extension: &str, found: u64) -> Option<ExtensionError> {
    (found > COMPONENT_BYTES_MAX as u64).then(|| ExtensionError::Unusable {
        extension: extension.to_owned(),
        reason: format!("it has {found} bytes, more than the {COMPONENT_BYTES_MAX} allowed"),
    })
}
