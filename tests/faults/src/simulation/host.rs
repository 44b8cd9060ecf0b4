//! A machine: its local store, its locks, its clocks, the processes that live on it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use peat_core::ports::LocalStore;
use peat_store::{SqliteStore, StoreSettings};
use peat_test_support::local_store::{MemoryStore, StoreImage};

use super::locks::QueuedLocks;
use super::scheduler::{Process, Scheduler};
use super::{Simulation, lock};

/// Process ids are reused as on a machine with few of them: only the start time tells two processes apart.
const PROCESS_IDS: u64 = 5;

/// Images of a disk that a power loss may go back to.
const IMAGES_MAX: usize = 8;

/// A machine.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) number: u64,
    pub(super) locks: QueuedLocks,
    sqlite: bool,
    home: Home,
    /// Where the namespace was moved to, once the configuration says so.
    moved: OnceLock<Home>,
    state: Mutex<State>,
}

/// A namespace, and the local store of it.
#[derive(Debug)]
struct Home {
    namespace: Arc<str>,
    disk: Disk,
}

#[derive(Debug)]
enum Disk {
    Memory(Box<MemoryStore>),
    Sqlite(SqliteStore, #[allow(dead_code, reason = "goes with the host")] tempfile::TempDir),
}

#[derive(Debug, Default)]
struct State {
    boots: u64,
    skew_ms: i64,
    living: BTreeSet<Process>,
    denied_until_ms: u64,
    full_until_ms: u64,
    images: Vec<StoreImage>,
}

impl Host {
    pub(super) fn new(number: u64, namespace: &str, scheduler: &Scheduler, sqlite: bool) -> Self {
        // Up to ten minutes fast or slow.
        let skew_ms = scheduler.below(1_200_000).cast_signed() - 600_000;
        let state = State { skew_ms, ..State::default() };
        let (locks, home) = (QueuedLocks::new(scheduler), Home::new(namespace, sqlite));
        Self { number, locks, sqlite, home, moved: OnceLock::new(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn current(&self) -> &Home {
        self.moved.get().unwrap_or(&self.home)
    }

    /// The namespace that its configuration names.
    pub(super) fn namespace(&self) -> Arc<str> {
        Arc::clone(&self.current().namespace)
    }

    /// Its local store, as the disk has it.
    pub(super) fn store(&self) -> &dyn LocalStore {
        self.current().store()
    }

    /// The local store of a namespace that its configuration names or named.
    pub(super) fn store_of(&self, namespace: &str) -> &dyn LocalStore {
        if *self.home.namespace == *namespace { self.home.store() } else { self.store() }
    }

    /// `peat datastore namespace set`: from now on its configuration names the new name. What was not sent comes along.
    pub(super) fn follow(&self, namespace: &str) {
        let moved = self.moved.get_or_init(|| Home::new(namespace, self.sqlite));
        self.state().images.clear();
        let (old, new) = (self.home.store(), moved.store());
        for commit in old.pending(None).expect("a store that works") {
            new.stage(&commit.changes, commit.staged_at_ms).expect("a store that works");
            old.discard(&commit.changes.commit_id).expect("a store that works");
        }
    }

    /// A new process; its number is its start time.
    pub(super) fn begin(&self, simulation: &Simulation) -> Process {
        let process = {
            let mut next = lock(&simulation.next_process);
            *next += 1;
            *next
        };
        self.state().living.insert(process);
        simulation.oracle().born(process);
        process
    }

    /// The process came to its end.
    pub(super) fn end(&self, simulation: &Simulation, process: Process) {
        self.state().living.remove(&process);
        simulation.oracle().died(process);
    }

    /// Ends a process between two of its steps.
    pub(super) fn kill(&self, simulation: &Simulation, process: Process) {
        simulation.scheduler.stop(process);
        simulation.scheduler.resume(process);
        self.end(simulation, process);
        simulation.count(|counts| counts.kills += 1);
    }

    pub(super) fn living(&self) -> Vec<Process> {
        self.state().living.iter().copied().collect()
    }

    pub(super) fn is_alive(&self, process: Process) -> bool {
        self.state().living.contains(&process)
    }

    pub(super) fn boot_id(&self) -> String {
        format!("boot-{}-{}", self.number, self.state().boots)
    }

    pub(super) fn pid_of(process: Process) -> u32 {
        100 + u32::try_from(process % PROCESS_IDS).unwrap_or_default()
    }

    pub(super) fn wall_clock_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_add_signed(self.state().skew_ms)
    }

    pub(super) fn set_skew(&self, skew_ms: i64) {
        self.state().skew_ms = skew_ms;
    }

    pub(super) fn deny_until(&self, until_ms: u64) {
        self.state().denied_until_ms = until_ms;
    }

    pub(super) fn is_denied(&self, now_ms: u64) -> bool {
        self.state().denied_until_ms > now_ms
    }

    pub(super) fn fill_until(&self, until_ms: u64) {
        self.state().full_until_ms = until_ms;
    }

    pub(super) fn is_full(&self, now_ms: u64) -> bool {
        self.state().full_until_ms > now_ms
    }

    /// Notes what the disk holds, as something that a power loss may go back to.
    pub(super) fn keep_image(&self, namespace: &str) {
        let home = self.current();
        if let Disk::Memory(store) = &home.disk
            && *home.namespace == *namespace
        {
            let image = store.image();
            let mut state = self.state();
            if state.images.len() == IMAGES_MAX {
                state.images.remove(0);
            }
            state.images.push(image);
        }
    }

    /// The power fails: all processes are gone, another boot begins, and the disk may be what it was a while ago.
    pub(super) fn lose_power(self: &Arc<Self>, simulation: &Simulation) {
        for process in self.living() {
            self.kill(simulation, process);
        }
        let mut state = self.state();
        state.boots += 1;
        let scheduler = &simulation.scheduler;
        let back = scheduler.below(state.images.len() as u64 + 1) as usize;
        if let (Disk::Memory(store), Some(image)) = (&self.current().disk, state.images.get(back)) {
            store.restore(image);
        }
    }
}

impl Home {
    fn new(namespace: &str, sqlite: bool) -> Self {
        let disk = if sqlite {
            let directory = tempfile::tempdir().expect("a temporary directory can be made");
            let store = SqliteStore::open(directory.path(), StoreSettings::default());
            Disk::Sqlite(store.expect("a new store can be opened"), directory)
        } else {
            Disk::Memory(Box::default())
        };
        Self { namespace: namespace.into(), disk }
    }

    fn store(&self) -> &dyn LocalStore {
        match &self.disk {
            Disk::Memory(store) => &**store,
            Disk::Sqlite(store, _) => store,
        }
    }
}
