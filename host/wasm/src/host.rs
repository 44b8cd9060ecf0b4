//! The entry of this crate: one `Host` per process, made before it is known whether any guest will run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use peat_core::digest::Digest;
use peat_core::identifiers::{ExtensionName, GrantName};
use peat_core::metadata::Metadata;
use peat_core::ports::{Clock, ExtensionError, Random};
use peat_core::statistics::CacheUse;
use tokio::sync::OnceCell;
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre};

use crate::artifacts::{Artifacts, Bundle, Compilers, Origin, Prepared};
use crate::datastore::ComponentDatastore;
use crate::engine::SharedEngine;
use crate::epoch::EpochThread;
use crate::grants::{Capability, DatastoreBinding, GrantedCapabilities, ModelBinding};
use crate::imports::unlinkable;
use crate::inspect::{Inspected, InspectedKind};
use crate::limits::{COMPONENT_BYTES_MAX, Limits};
use crate::model::ModelExecutor;
use crate::runner::{Launcher, Runner, RunnerStart};
use crate::state::GuestState;

/// What a `Host` is made of.
#[derive(Clone)]
pub struct HostOptions {
    /// Where compiled components are kept. Created with access for its owner alone when it is needed.
    pub cache_dir: PathBuf,
    /// Most bytes that lie in `cache_dir`; what was not used for longest goes first.
    pub cache_bytes_max: u64,
    /// A component of at least so many bytes is compiled quickly for its first execution, and [`Host::unoptimised`] names it:
    /// somebody calls [`Host::optimise`] later. None: everything is optimised at once.
    pub quick_bytes_min: Option<u64>,
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
            .field("quick_bytes_min", &self.quick_bytes_min)
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
    epoch: OnceLock<EpochThread>,
    quick_compiler: OnceLock<SharedEngine>,
    loaded: Mutex<HashMap<LoadKey, Arc<OnceCell<InstancePre<GuestState>>>>>,
    bundles: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<Option<Bundle>>>>>,
    found: AtomicU64,
    made: AtomicU64,
    unoptimised: Mutex<BTreeSet<String>>,
}

type LoadKey = (Digest, InspectedKind, GrantedCapabilities);

/// A component that is ready to be called.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) extension: Arc<str>,
    /// The engine of this process. What a guest elsewhere imports is served in a store of it.
    pub(crate) engine: Engine,
    pub(crate) place: Place,
}

/// Where its guests run.
#[derive(Clone)]
pub(crate) enum Place {
    /// In this process: compiled and linked.
    Here(InstancePre<GuestState>, EpochThread),
    /// In a process that a driver starts.
    Runner(Arc<Runner>),
}

impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Host").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

impl Host {
    /// Makes a host. Touches no file and makes no engine: a command that runs no guest pays nothing.
    pub fn new(options: HostOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                options,
                engine: OnceLock::new(),
                epoch: OnceLock::new(),
                quick_compiler: OnceLock::new(),
                loaded: Mutex::default(),
                bundles: Mutex::default(),
                found: AtomicU64::new(0),
                made: AtomicU64::new(0),
                unoptimised: Mutex::default(),
            }),
        }
    }

    /// How often what was to be run was found compiled, and how often it had to be made.
    pub fn cache_use(&self) -> CacheUse {
        let Shared { found, made, .. } = &*self.shared;
        CacheUse { hits: found.load(Ordering::Relaxed), misses: made.load(Ordering::Relaxed) }
    }

    /// Extensions that were prepared here and whose code is not optimised yet.
    pub fn unoptimised(&self) -> Vec<String> {
        self.shared.unoptimised.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn note<T>(&self, extension: &str, prepared: Prepared<T>) -> T {
        let count = if prepared.was_made { &self.shared.made } else { &self.shared.found };
        count.fetch_add(1, Ordering::Relaxed);
        if prepared.is_quick {
            let mut unoptimised = self.shared.unoptimised.lock().unwrap_or_else(PoisonError::into_inner);
            unoptimised.insert(extension.to_owned());
        }
        prepared.value
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
        let component = self.load(&name, inspected.digest, source, inspected.kind(), granted.clone()).await?;
        crate::call::load_once(&name, &component, self.epoch(&name)?, inspected, self.options()).await
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

    /// What an execution outside of this process needs; made, and compiled where it is not yet, on first use. The
    /// component is not loaded here. One at a time per extension and process; a failed one may be tried again. The bundle
    /// stays in the cache for as long as this host lives. Dropping the future gives up waiting: what was begun is finished
    /// and found by the next caller.
    pub async fn bundle(&self, source: &ExtensionSource) -> Result<Bundle, ExtensionError> {
        let cell = {
            let mut bundles = self.shared.bundles.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(bundles.entry(source.digest).or_default())
        };
        let mut bundle = cell.lock().await;
        if let Some(bundle) = bundle.as_ref().filter(|bundle| bundle.is_in_place()) {
            return Ok(bundle.clone());
        }
        let (host, wanted) = (self.clone(), source.clone());
        let making = tokio::task::spawn_blocking(move || host.bundle_blocking(&wanted));
        let made = making.await.unwrap_or_else(|error| {
            Err(ExtensionError::Host {
                extension: source.name.to_string(),
                call: "making its bundle".to_owned(),
                reason: error.to_string(),
            })
        })?;
        Ok(bundle.insert(made).clone())
    }

    fn bundle_blocking(&self, source: &ExtensionSource) -> Result<Bundle, ExtensionError> {
        let extension = source.name.as_str();
        let origin = Origin::File(source.path.clone());
        let compilers = self.compilers(extension, &origin)?;
        let prepared = self.artifacts().bundle(compilers, source.digest, origin, &source.metadata)?;
        Ok(self.note(extension, prepared))
    }

    /// Sees to it that there is optimised code of an extension; answers whether it had to be made. Nothing is loaded. Dropping
    /// the future gives up waiting, not the making.
    pub async fn optimise(&self, source: &ExtensionSource) -> Result<bool, ExtensionError> {
        let (host, wanted) = (self.clone(), source.clone());
        let optimising = tokio::task::spawn_blocking(move || {
            let extension = wanted.name.as_str();
            let (engine, quick) = (host.engine(extension)?, host.quick_compiler(extension)?);
            host.artifacts().optimise(extension, engine, quick, wanted.digest, Origin::File(wanted.path.clone()))
        });
        optimising.await.unwrap_or_else(|error| {
            Err(ExtensionError::Host {
                extension: source.name.to_string(),
                call: "compiling it".to_owned(),
                reason: error.to_string(),
            })
        })
    }

    /// What compiles a component that comes from there.
    fn compilers(&self, extension: &str, origin: &Origin) -> Result<Compilers<'_>, ExtensionError> {
        let is_large = self.options().quick_bytes_min.is_some_and(|least| origin.length() >= least);
        let quick = if is_large { Some(self.quick_compiler(extension)?) } else { None };
        Ok(Compilers { engine: self.engine(extension)?, quick })
    }

    fn artifacts(&self) -> Artifacts<'_> {
        let HostOptions { cache_dir, key_file, cache_bytes_max, .. } = &self.shared.options;
        Artifacts { cache_dir, key_file, bytes_max: *cache_bytes_max }
    }

    pub(crate) fn options(&self) -> &HostOptions {
        &self.shared.options
    }

    /// Loads an extension into this process.
    pub(crate) async fn load_here(
        &self,
        source: &ExtensionSource,
        kind: InspectedKind,
        granted: &GrantedCapabilities,
    ) -> Result<Loaded, ExtensionError> {
        let origin = Origin::File(source.path.clone());
        let component = self.load(source.name.as_str(), source.digest, origin, kind, granted.clone()).await?;
        let engine = component.engine().clone();
        let place = Place::Here(component, self.epoch(source.name.as_str())?.clone());
        Ok(Loaded { extension: source.name.as_str().into(), engine, place })
    }

    /// Prepares an extension for a process that `launcher` starts when the first call comes. `directories` are those that
    /// its guests may see as preopened ones.
    pub(crate) async fn load_elsewhere(
        &self,
        source: &ExtensionSource,
        kind: InspectedKind,
        granted: &GrantedCapabilities,
        launcher: &Arc<dyn Launcher>,
        directories: &BTreeMap<GrantName, PathBuf>,
    ) -> Result<Loaded, ExtensionError> {
        let extension = source.name.as_str();
        let bundle = self.bundle(source).await?;
        let preopened = if granted.contains(Capability::Files) { directories.clone() } else { BTreeMap::new() };
        let limits = self.options().limits.clone();
        let allowed = (kind, granted.clone());
        let start = RunnerStart::new(extension, Arc::clone(launcher), bundle, preopened, limits, allowed);
        let engine = self.engine(extension)?.engine().clone();
        Ok(Loaded { extension: extension.into(), engine, place: Place::Runner(Arc::new(Runner::new(start))) })
    }

    /// One load at a time per extension and process; a failed one may be tried again.
    async fn load(
        &self,
        extension: &str,
        digest: Digest,
        origin: Origin,
        kind: InspectedKind,
        granted: GrantedCapabilities,
    ) -> Result<InstancePre<GuestState>, ExtensionError> {
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
    ) -> Result<InstancePre<GuestState>, ExtensionError> {
        let compilers = self.compilers(&extension, &origin)?;
        let prepared = self.artifacts().component(&extension, compilers, digest, origin)?;
        let component = self.note(&extension, prepared);
        self.link(&extension, compilers.engine, &component, kind, granted)
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
            reason: unlinkable(&error),
        };
        let linker = crate::linker::linker(engine.engine(), kind, granted).map_err(unusable)?;
        linker.instantiate_pre(component).map_err(unusable)
    }

    fn engine(&self, extension: &str) -> Result<&SharedEngine, ExtensionError> {
        started(&self.shared.engine, extension, SharedEngine::new)
    }

    /// No guest can run in this process without.
    fn epoch(&self, extension: &str) -> Result<&EpochThread, ExtensionError> {
        let engine = self.engine(extension)?.engine();
        started(&self.shared.epoch, extension, || EpochThread::start(engine))
    }

    fn quick_compiler(&self, extension: &str) -> Result<&SharedEngine, ExtensionError> {
        started(&self.shared.quick_compiler, extension, SharedEngine::quick_compiler)
    }
}

/// What is there, or a new one.
fn started<'a, T>(
    place: &'a OnceLock<T>,
    extension: &str,
    start: impl FnOnce() -> wasmtime::Result<T>,
) -> Result<&'a T, ExtensionError> {
    if let Some(there) = place.get() {
        return Ok(there);
    }
    let new = start().map_err(|error| ExtensionError::Host {
        extension: extension.to_owned(),
        call: "starting the engine".to_owned(),
        reason: error.to_string(),
    })?;
    Ok(place.get_or_init(|| new))
}

/// A component as it may be: bounded before anything looks at it.
pub(crate) fn too_large(extension: &str, found: u64) -> Option<ExtensionError> {
    (found > COMPONENT_BYTES_MAX as u64).then(|| ExtensionError::Unusable {
        extension: extension.to_owned(),
        reason: format!("it has {found} bytes, more than the {COMPONENT_BYTES_MAX} allowed"),
    })
}
