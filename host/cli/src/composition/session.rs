//! A command that touches data: the local store, the queue of this host, and on demand the datastore.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use futures::future::{FutureExt as _, ready};
use peat_core::audit::{Actor, AuditPorts};
use peat_core::collection::CollectPorts;
use peat_core::content::SharedContent;
use peat_core::copying::Side;
use peat_core::hold::{HoldPorts, unless_interrupted};
use peat_core::hydrate::{self, HydratePorts};
use peat_core::identifiers::{NamespaceName, PartitionName};
use peat_core::interrupt::Interrupt;
use peat_core::ports::{
    Clock, Datastore, LocalLockError, LocalQueue, LocalStore as _, MethodExecutor, Observer as _, Random as _,
    Replica as _, StoreProfile, StoredEntry, StoredState,
};
use peat_core::prune::PrunePorts;
use peat_core::renewal::RenewalLane;
use peat_core::repository::{Driver, ResolvedDriver};
use peat_core::run::RunPorts;
use peat_core::sync::{self, SyncPorts};
use peat_core::transfer::{Failures, Hydrated};
use peat_store::{
    BucketObjects, FileLocks, ProcessIdentity, RenewalThread, SqliteStore, StoreSettings, SystemClock, SystemRandom,
};

use super::audit::Audit;
use super::bucket::{self, open_beside, open_bucket};
use super::components::{Components, DatastoreParts};
use super::datastore::{DatastoreChoice, open_directory, resolve_settings};
use super::departure;
use super::hydration::{Busy, begin_in_background};
use super::optimising::optimise_later;
use super::traffic::counted;
use super::{Catalogue, Context, Extensions, Home, Installed, Provider, Recorder, Repository, lacking, signals};
use crate::environment::HELD;
use crate::failure::Failure;
use crate::isolation::Isolation;
use crate::rendering::ProgressDisplay;
use crate::shell::ShellExecutor;

/// Threads of the runtime, for what guests wait for: connections, hashing. Guests run on the thread of the command, and leases
/// are renewed in a lane of their own.
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
    isolation: Isolation,
    locks: FileLocks,
    identity: Arc<ProcessIdentity>,
    clock: Arc<SystemClock>,
    random: SystemRandom,
    shared: OnceLock<Shared>,
    busy: Option<Busy>,
    recorder: Recorder,
    audit: Audit,
}

/// The shared datastore, once it is open.
struct Shared {
    datastore: Arc<dyn Datastore>,
    lane: RenewalThread,
    /// Where it lies in a bucket.
    bucket: Option<BucketObjects>,
}

impl Session {
    /// Opens the local store of the repository. Asks no datastore.
    pub(crate) fn open(context: &Context, repository: Repository) -> Result<Self, Failure> {
        let choice = DatastoreChoice::of(&repository);
        let session = Self::with_choice(context, repository, choice)?;
        departure::settle(&context.command, &session.repository, &session.choice, &session.store)?;
        Ok(session)
    }

    /// The same for a datastore that is about to be chosen, or left.
    pub(crate) fn with_choice(
        context: &Context,
        repository: Repository,
        choice: DatastoreChoice,
    ) -> Result<Self, Failure> {
        let home = context.home()?;
        let path = home.store(&repository.config.id, choice.key());
        let store = Arc::new(SqliteStore::open(&path, StoreSettings::default())?);
        let identity = ProcessIdentity::new(&context.command)
            .map_err(|error| Failure::Internal(format!("cannot tell who this process is: {error}")))?;
        let identity = Arc::new(identity);
        let scope = format!("{}.{}", repository.config.id, choice.key());
        let locks = FileLocks::open(&path.join("locks"), &context.command).map_err(of_lock)?;
        let locks = locks.inheriting(context.environment.held.as_deref(), &scope, Arc::clone(&identity));
        let locks = locks.ok_or_else(|| {
            Failure::InvalidInput(format!("environment variable {HELD}: only peat itself sets it; unset it"))
        })?;
        let components = Components::new(&home);
        context.recorder.opened(&store, &context.command, choice.name(), components.cache_use());
        let audit = Audit::new(context, &identity);
        Ok(Self {
            components,
            audit,
            recorder: context.recorder.clone(),
            isolation: context.isolation()?,
            home,
            repository,
            choice,
            store,
            observer: Arc::new(ProgressDisplay::start(context.screen, context.recorder.holds())),
            locks,
            identity,
            clock: Arc::new(SystemClock),
            random: SystemRandom,
            shared: OnceLock::new(),
            busy: Some(Busy::begin(&path)),
        })
    }

    /// The same repository as processes in another of its namespaces see it.
    pub(crate) fn in_namespace(context: &Context, name: &NamespaceName) -> Result<Self, Failure> {
        let mut repository = context.repository()?;
        repository.config.namespace = name.clone();
        let choice = DatastoreChoice::of(&repository);
        Self::with_choice(context, repository, choice)
    }

    /// This is no command that others give way to.
    pub(crate) fn is_background(&mut self) {
        self.busy = None;
    }

    /// The wall clock.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Ends a command: progress goes from the terminal, and what is left to bring or to optimise is left to a process of
    /// its own.
    pub(crate) fn close(self, context: &Context) {
        begin_in_background(context, &self);
        optimise_later(&self.home, &self.repository.root, &self.components);
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
        if self.shared.get().is_none() {
            self.recorder.used();
            let traffic = self.recorder.traffic();
            let installed = Extensions::open(&self.repository, &self.home).get(&configured.extension)?;
            resolve_settings(&installed.metadata, settings)?;
            let bucket = open_bucket(&installed.metadata, settings, &self.store).await?;
            let driver = ResolvedDriver::of_datastore(configured, &self.repository.config);
            let parts = DatastoreParts {
                settings: settings.clone(),
                directory: open_directory(&installed.metadata, directory.as_ref(), &self.store)?
                    .map(|objects| counted(objects, traffic)),
                bucket: bucket.clone().map(|bucket| counted(Arc::new(bucket), traffic)),
                store: Arc::clone(&self.store),
                identity: Arc::clone(&self.identity),
                observer: self.observer.clone(),
                launcher: self.isolation.launcher(&driver, self.observer.clone()),
            };
            let opened = self.components.datastore(&installed, &self.repository, parts).await?;
            let datastore = opened.port();
            let beside = match bucket {
                None => ready(Arc::clone(&datastore)).left_future(),
                Some(_) => {
                    let (settings, store, traffic) = (settings.clone(), Arc::clone(&self.store), Arc::clone(traffic));
                    open_beside(opened, installed, settings, store, traffic).right_future()
                }
            };
            let lane = RenewalThread::opening(beside, self.clock.clone());
            // Another task may have been faster; either is as good.
            let _ = self.shared.set(Shared { datastore, lane, bucket });
        }
        Ok(self.shared.get().map(|shared| &*shared.datastore))
    }

    /// Where the leases of the shared datastore are renewed; none before it was opened.
    fn lane(&self) -> Option<&dyn RenewalLane> {
        self.shared.get().map(|shared| &shared.lane as &dyn RenewalLane)
    }

    /// The shared datastore, where a command is about nothing else.
    pub(crate) async fn shared(&self) -> Result<&dyn Datastore, Failure> {
        self.datastore()
            .await?
            .ok_or_else(|| Failure::Internal("a shared datastore is configured and none is there".to_owned()))
    }

    /// The same, until a signal asks to stop.
    pub(crate) async fn shared_unless_interrupted(&self, interrupt: &Interrupt) -> Result<&dyn Datastore, Failure> {
        Box::pin(unless_interrupted(interrupt, self.shared())).await.unwrap_or(Err(Failure::Interrupted))
    }

    /// The shared datastore where there is one, until a signal asks to stop.
    pub(crate) async fn shared_or_local(&self, interrupt: &Interrupt) -> Result<Option<&dyn Datastore>, Failure> {
        Box::pin(unless_interrupted(interrupt, self.datastore())).await.unwrap_or(Err(Failure::Interrupted))
    }

    /// What an examination of the datastore found, with what only the host saw of it.
    pub(crate) fn completed(&self, mut profile: StoreProfile) -> StoreProfile {
        profile.findings.extend(
            self.shared.get().and_then(|shared| shared.bucket.as_ref()).map(bucket::findings).unwrap_or_default(),
        );
        profile
    }

    /// What executes the methods of a model type.
    pub(crate) fn executor(
        &self,
        provider: &Provider,
        driver: &ResolvedDriver,
    ) -> Result<Arc<dyn MethodExecutor>, Failure> {
        match provider {
            Provider::BuiltIn => self.shell_executor(driver),
            Provider::Extension(installed) => self.extension_executor(installed, driver),
        }
    }

    fn shell_executor(&self, driver: &ResolvedDriver) -> Result<Arc<dyn MethodExecutor>, Failure> {
        let root = self.repository.root.clone();
        let executor = ShellExecutor::new(root.clone(), self.store.clone(), self.clock.clone());
        let remedy = "choose another with --driver, or with `driver` in the model";
        match driver.driver {
            Driver::InProcess => Ok(Arc::new(executor)),
            // A shell in a process is what in-process is already; to call that isolated would be a lie.
            Driver::Process => Err(Failure::InvalidInput(format!(
                "command/shell is built in: it has no component that the driver process ({}) could run; {remedy}: \
                 in-process, or container with an image",
                driver.source.as_str()
            ))),
            Driver::Container => match self.isolation.shell(driver, root, self.observer.clone()) {
                Some(container) => Ok(Arc::new(executor.in_container(container))),
                None => Err(Failure::InvalidInput(format!(
                    "command/shell in the driver container ({}) needs an image to run in; write `image` into the options of \
                     the driver container, in peat.yaml or in the model, or {remedy}",
                    driver.source.as_str()
                ))),
            },
        }
    }

    fn extension_executor(
        &self,
        installed: &Installed,
        driver: &ResolvedDriver,
    ) -> Result<Arc<dyn MethodExecutor>, Failure> {
        // Grants can be taken back by hand, in peat.yaml.
        let grants = self.repository.grants(&installed.metadata.name);
        let file = installed.locked.source.as_deref().unwrap_or("FILE");
        if let Some(failure) = lacking(&installed.metadata, &grants, file) {
            return Err(failure);
        }
        let (spool, observer) = (self.store.clone(), self.observer.clone());
        let launcher = self.isolation.launcher(driver, observer.clone());
        self.components.executor(installed, &self.repository, spool, observer, launcher)
    }

    /// The world of a run.
    pub(crate) fn run_ports<'a>(
        &'a self,
        datastore: Option<&'a dyn Datastore>,
        executor: &'a dyn MethodExecutor,
    ) -> RunPorts<'a> {
        self.recorder.used();
        RunPorts {
            store: &*self.store,
            datastore,
            lane: self.lane(),
            locks: &self.locks,
            executor,
            clock: &*self.clock,
            random: &self.random,
            observer: &*self.observer,
        }
    }

    /// Who runs this command.
    pub(crate) fn actor(&self) -> &Actor {
        self.audit.actor()
    }

    /// Keeps that this command changed something: what it did, where, and what it held meanwhile. What cannot be sent now is
    /// sent by the next sync; nothing fails because of it.
    pub(crate) async fn audit(&self, summary: &str, partitions: &[PartitionName]) {
        self.recorder.used();
        // Whoever could open the datastore before has it open.
        let datastore = self.shared.get().map(|shared| &*shared.datastore);
        if datastore.is_none() && self.repository.shared_datastore().is_some() {
            return;
        }
        let ports = AuditPorts { store: &*self.store, datastore, clock: &*self.clock, random: &self.random };
        let lifetime = self.repository.config.retention.of_audit();
        self.audit.append(&ports, &self.recorder.holds(), (summary, partitions), lifetime).await;
    }

    /// The world of a sync.
    pub(crate) fn sync_ports<'a>(&'a self, datastore: &'a dyn Datastore) -> SyncPorts<'a> {
        SyncPorts {
            store: &*self.store,
            datastore,
            lane: self.lane(),
            locks: &self.locks,
            clock: &*self.clock,
            observer: &*self.observer,
        }
    }

    /// The world of a collection.
    pub(crate) fn collect_ports<'a>(&'a self, datastore: &'a dyn Datastore) -> CollectPorts<'a> {
        CollectPorts { store: &*self.store, datastore, clock: &*self.clock, observer: &*self.observer }
    }

    /// The world of pruning.
    pub(crate) fn prune_ports<'a>(&'a self, datastore: Option<&'a dyn Datastore>) -> PrunePorts<'a> {
        let hold = HoldPorts {
            datastore,
            lane: self.lane(),
            locks: &self.locks,
            clock: &*self.clock,
            observer: &*self.observer,
        };
        PrunePorts { store: &*self.store, datastore, hold, random: &self.random }
    }

    /// One side of a copy.
    pub(crate) fn side<'a>(&'a self, datastore: Option<&'a dyn Datastore>) -> Side<'a> {
        let hold = HoldPorts {
            datastore,
            lane: self.lane(),
            locks: &self.locks,
            clock: &*self.clock,
            observer: &*self.observer,
        };
        Side { store: &*self.store, datastore, hold }
    }

    /// The store under the datastore was seen to keep what is deleted or replaced as old versions.
    pub(crate) fn keeps_versions(&self) -> bool {
        self.shared.get().and_then(|shared| shared.bucket.as_ref()).is_some_and(BucketObjects::keeps_versions)
    }

    /// Brings the index of a partition that this machine has never read, or knows to have news. Where there is an older
    /// index, it is used when the news cannot be had.
    pub(crate) async fn know(&self, partition: &PartitionName) -> Result<(), Failure> {
        let partitions = std::slice::from_ref(partition);
        let is_known = self.store.known(partitions)?.first().is_some_and(Option::is_some);
        if is_known && !self.store.unread()?.contains(partition) {
            return Ok(());
        }
        match self.read(partitions).await {
            Err(failure) if is_known => {
                self.observer.warn(&format!("{partition} has news that cannot be brought now: {failure}"));
                Ok(())
            }
            other => other,
        }
    }

    /// What a listing shows, of one partition or all, is known as far as it can be. Answers those partitions that have news
    /// which could not be brought.
    pub(crate) async fn know_shown(&self, partition: Option<&PartitionName>) -> Result<Vec<PartitionName>, Failure> {
        match partition {
            _ if self.repository.shared_datastore().is_none() => Ok(Vec::new()),
            None => self.know_all().await,
            Some(partition) => self.know(partition).await.map(|()| Vec::new()),
        }
    }

    /// Brings the index of every partition that is known to have news. Answers those that are still not read; why is a
    /// warning.
    async fn know_all(&self) -> Result<Vec<PartitionName>, Failure> {
        let unread = self.store.unread()?;
        if unread.is_empty() {
            return Ok(unread);
        }
        if let Err(failure) = self.read(&unread).await {
            self.observer.warn(&format!("not everything is shown: {failure}"));
        }
        Ok(self.store.unread()?)
    }

    async fn read(&self, partitions: &[PartitionName]) -> Result<(), Failure> {
        if let Some(datastore) = self.datastore().await? {
            sync::read(&self.sync_ports(datastore), partitions).await?;
        }
        Ok(())
    }

    /// Brings the content of these entries, where it is not here, in as few requests as it takes. What cannot be had fails
    /// when it is used.
    pub(crate) async fn bring(&self, entries: &[StoredEntry]) -> Result<(), Failure> {
        let remote: Vec<StoredEntry> =
            entries.iter().filter(|stored| stored.state == StoredState::Remote).cloned().collect();
        // The datastore is opened only for what it is asked: opening it loads its component.
        if remote.is_empty() {
            return Ok(());
        }
        if let Some(datastore) = self.datastore().await? {
            let (mut brought, mut failures) = (Hydrated::default(), Failures::default());
            hydrate::fetch_these(&self.hydrate_ports(datastore), &remote, &mut brought, &mut failures).await?;
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
            hydrate::fetch_one(&ports, stored).await?;
        }
        self.store.content(&description.digest)?.ok_or_else(|| {
            Failure::Corrupt(format!(
                "the content of {} version {} (sha256 {}) is neither on this machine nor in the datastore",
                description.name, stored.entry.version, description.digest
            ))
        })
    }

    fn hydrate_ports<'a>(&'a self, datastore: &'a dyn Datastore) -> HydratePorts<'a> {
        HydratePorts { store: &*self.store, datastore, hold: self.hold_ports(datastore) }
    }

    /// Who of this machine holds and waits for what.
    pub(crate) fn local_queues(&self) -> Result<Vec<(PartitionName, LocalQueue)>, Failure> {
        self.locks.queues().map_err(of_lock)
    }

    /// The clocks of this machine.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// What holding a partition or the namespace needs.
    pub(crate) fn hold_ports<'a>(&'a self, datastore: &'a dyn Datastore) -> HoldPorts<'a> {
        HoldPorts {
            datastore: Some(datastore),
            lane: self.lane(),
            locks: &self.locks,
            clock: &*self.clock,
            observer: &*self.observer,
        }
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
