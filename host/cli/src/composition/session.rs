//! A command that touches data: the local store, the queue of this host, and on demand the datastore.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use peat_core::content::SharedContent;
use peat_core::hold::{HoldPorts, unless_interrupted};
use peat_core::hydrate::{self, HydratePorts, Hydrated};
use peat_core::identifiers::PartitionName;
use peat_core::interrupt::Interrupt;
use peat_core::ports::{
    Datastore, LocalLockError, LocalStore as _, MethodExecutor, PullRequest, Random as _, Replica as _, StoredEntry,
};
use peat_core::run::RunPorts;
use peat_core::sync::SyncPorts;
use peat_store::{FileLocks, ProcessIdentity, SqliteStore, StoreSettings, SystemClock, SystemRandom};

use super::components::{Components, DatastoreParts};
use super::datastore::{DatastoreChoice, open_directory, resolve_settings};
use super::{Catalogue, Context, Extensions, Home, Installed, Provider, Repository, lacking, signals};
use crate::failure::Failure;
use crate::rendering::ProgressDisplay;
use crate::shell::ShellExecutor;

/// Threads of the runtime: one runs guests, the other keeps leases alive meanwhile.
const WORKER_THREADS: usize = 2;

/// How long threads that still wait on a disk may hold up the end of the process.
const SHUTDOWN_TIMEOUT: std::time::Duration = std::time::Duration::from_millis(200);

/// Alphabet of new ids: what a person can read out and a file system can hold.
const ID_ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Characters of a new id: 80 bits, so that nobody ever makes the same.
const ID_CHARACTERS: usize = 16;

/// Everything a command that touches data needs.
pub(crate) struct Session {
    /// The repository.
    pub(crate) repository: Repository,
    /// The places of this machine.
    pub(crate) home: Home,
    /// Which datastore.
    pub(crate) choice: DatastoreChoice,
    /// This machine's store.
    pub(crate) store: Arc<SqliteStore>,
    /// Who watches.
    pub(crate) observer: Arc<ProgressDisplay>,
    components: Components,
    locks: FileLocks,
    identity: Arc<ProcessIdentity>,
    clock: Arc<SystemClock>,
    random: SystemRandom,
    datastore: OnceLock<Arc<dyn Datastore>>,
}

impl Session {
    /// Opens the local store of the repository. Asks no datastore.
    pub(crate) fn open(context: &Context, repository: Repository) -> Result<Self, Failure> {
        let choice = DatastoreChoice::of(&repository);
        Self::with_choice(context, repository, choice)
    }

    /// The same for a datastore that is about to be chosen.
    pub(crate) fn with_choice(
        context: &Context,
        repository: Repository,
        choice: DatastoreChoice,
    ) -> Result<Self, Failure> {
        let home = context.home()?;
        let path = home.store(&repository.config.id, choice.key());
        let store = Arc::new(SqliteStore::open(&path, StoreSettings::default())?);
        let locks = FileLocks::open(&path.join("locks"), &context.command).map_err(of_lock)?;
        let identity = ProcessIdentity::new(&context.command)
            .map_err(|error| Failure::Internal(format!("cannot tell who this process is: {error}")))?;
        Ok(Self {
            components: Components::new(&home),
            home,
            repository,
            choice,
            store,
            observer: Arc::new(ProgressDisplay::start(context.screen)),
            locks,
            identity: Arc::new(identity),
            clock: Arc::new(SystemClock),
            random: SystemRandom,
            datastore: OnceLock::new(),
        })
    }

    /// Where the local store lies.
    pub(crate) fn store_path(&self) -> std::path::PathBuf {
        self.home.store(&self.repository.config.id, self.choice.key())
    }

    /// Model types of this repository.
    pub(crate) fn catalogue(&self) -> Catalogue {
        Catalogue::new(Some(Extensions::open(&self.repository, &self.home)))
    }

    /// The shared datastore, opened on first use; none for `local`.
    pub(crate) async fn datastore(&self) -> Result<Option<&dyn Datastore>, Failure> {
        let DatastoreChoice::Shared { configured, settings, directory, .. } = &self.choice else { return Ok(None) };
        if self.datastore.get().is_none() {
            let installed = Extensions::open(&self.repository, &self.home).get(&configured.extension)?;
            resolve_settings(&installed.metadata, settings)?;
            let parts = DatastoreParts {
                settings: settings.clone(),
                directory: open_directory(&installed.metadata, directory.as_ref())?,
                store: Arc::clone(&self.store),
                identity: Arc::clone(&self.identity),
                observer: self.observer.clone(),
            };
            let datastore = self.components.datastore(&installed, &self.repository, parts).await?;
            // Another task may have been faster; either is as good.
            let _ = self.datastore.set(datastore);
        }
        Ok(self.datastore.get().map(|datastore| &**datastore))
    }

    /// What executes the methods of a model type.
    pub(crate) fn executor(&self, provider: &Provider) -> Result<Arc<dyn MethodExecutor>, Failure> {
        match provider {
            Provider::BuiltIn => {
                let root = self.repository.root.clone();
                Ok(Arc::new(ShellExecutor::new(root, self.store.clone(), self.clock.clone())))
            }
            Provider::Extension(installed) => self.extension_executor(installed),
        }
    }

    fn extension_executor(&self, installed: &Installed) -> Result<Arc<dyn MethodExecutor>, Failure> {
        // Grants can be taken back by hand, in peat.yaml.
        let grants = self.repository.grants(&installed.metadata.name);
        let file = installed.locked.source.as_deref().unwrap_or("FILE");
        if let Some(failure) = lacking(&installed.metadata, &grants, file) {
            return Err(failure);
        }
        let (spool, observer) = (self.store.clone(), self.observer.clone());
        self.components.executor(installed, &self.repository, spool, observer)
    }

    /// The world of a run.
    pub(crate) fn run_ports<'a>(
        &'a self,
        datastore: Option<&'a dyn Datastore>,
        executor: &'a dyn MethodExecutor,
    ) -> RunPorts<'a> {
        RunPorts {
            store: &*self.store,
            datastore,
            locks: &self.locks,
            executor,
            clock: &*self.clock,
            random: &self.random,
            observer: &*self.observer,
        }
    }

    /// The world of a sync.
    pub(crate) fn sync_ports<'a>(&'a self, datastore: &'a dyn Datastore) -> SyncPorts<'a> {
        SyncPorts { store: &*self.store, datastore, locks: &self.locks, clock: &*self.clock, observer: &*self.observer }
    }

    /// Brings the index of a partition that this machine has never seen.
    pub(crate) async fn know(&self, partition: &PartitionName) -> Result<(), Failure> {
        let known = self.store.known(std::slice::from_ref(partition))?;
        if known.first().is_some_and(Option::is_some) {
            return Ok(());
        }
        if let Some(datastore) = self.datastore().await? {
            let with_content = hydrate::with_content(datastore, self.repository.config.hydration_strategy);
            let partitions = Some(vec![partition.clone()]);
            let request = PullRequest { partitions, with_content, ..PullRequest::default() };
            hydrate::pull(&self.hydrate_ports(datastore), request).await?;
        }
        Ok(())
    }

    /// The content of an entry, brought from the datastore when it is not here.
    pub(crate) async fn content(&self, stored: &StoredEntry) -> Result<SharedContent, Failure> {
        let description = &stored.entry.description;
        if let Some(content) = self.store.content(&description.digest)? {
            return Ok(content);
        }
        if let Some(datastore) = self.datastore().await? {
            let ports = self.hydrate_ports(datastore);
            hydrate::fetch(&ports, std::slice::from_ref(stored), &mut Hydrated::default()).await?;
        }
        self.store.content(&description.digest)?.ok_or_else(|| {
            Failure::Corrupt(format!(
                "the content of {} version {} (sha256 {}) is neither on this machine nor in the datastore",
                description.name, stored.entry.version, description.digest
            ))
        })
    }

    fn hydrate_ports<'a>(&'a self, datastore: &'a dyn Datastore) -> HydratePorts<'a> {
        let hold = HoldPorts {
            datastore: Some(datastore),
            locks: &self.locks,
            clock: &*self.clock,
            observer: &*self.observer,
        };
        HydratePorts { store: &*self.store, datastore, hold }
    }
}

/// Runs asynchronous work to its end, or until a signal asked it to stop.
pub(crate) fn run_async<T, F>(work: impl FnOnce(Interrupt) -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()
        .map_err(|error| Failure::Internal(format!("cannot start the runtime: {error}")))?;
    let interrupt = signals::interrupt_on_signals()?;
    let result = runtime.block_on(work(interrupt));
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    result
}

/// The same for work that can be dropped at any point: a signal ends it at once.
pub(crate) fn run_interruptible<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    run_async(async |interrupt| unless_interrupted(&interrupt, work).await.unwrap_or(Err(Failure::Interrupted)))
}

/// A new id for a repository or a model.
pub(crate) fn new_id() -> String {
    let mut bytes = [0; ID_CHARACTERS];
    SystemRandom.fill(&mut bytes);
    bytes.iter().map(|byte| char::from(ID_ALPHABET[usize::from(byte % 32)])).collect()
}

fn of_lock(error: LocalLockError) -> Failure {
    Failure::Hold(error.into())
}

#[cfg(test)]
mod tests {
    use peat_core::identifiers::{ModelId, RepositoryId};

    use super::*;

    #[test]
    fn new_ids_follow_their_rule_and_differ() {
        let (one, other) = (new_id(), new_id());
        assert_ne!(one, other);
        assert!(RepositoryId::parse(&one).is_ok() && ModelId::parse(&other).is_ok());
    }
}
