//! A process's way to the local store of its host: the real one, which may be full, and at whose calls a process may die.

use std::sync::Arc;

use peat_core::content::SharedContent;
use peat_core::digest::Digest;
use peat_core::entry::ChangeSet;
use peat_core::identifiers::{CommitId, PartitionName};
use peat_core::ports::{
    EntryFilter, LocalStore, Missing, MissingFilter, PartitionDelta, PendingCommit, PushReceipt, Replica, Spool,
    SpoolWriter, StoreError, StoredEntry,
};

use super::Simulation;
use super::host::Host;
use super::scheduler::Process;

/// The local store as one process has it open.
#[derive(Debug, Clone)]
pub(super) struct ProcessStore {
    pub(super) simulation: Arc<Simulation>,
    pub(super) host: Arc<Host>,
    pub(super) process: Process,
    pub(super) namespace: Arc<str>,
}

impl ProcessStore {
    fn store(&self) -> &dyn LocalStore {
        self.host.store_of(&self.namespace)
    }

    /// A call that changes nothing.
    fn read<T>(&self, call: impl FnOnce(&dyn LocalStore) -> T) -> T {
        self.perhaps_die();
        call(self.store())
    }

    /// A call that writes: the disk may be full, and the process may die before or after it.
    fn write<T>(&self, call: impl FnOnce(&dyn LocalStore) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.perhaps_die();
        if self.host.is_full(self.simulation.scheduler.now_ms()) {
            let path = format!("host {}", self.host.number);
            return Err(StoreError::Full { path, reason: "no space left on device".to_owned() });
        }
        let answer = call(self.store());
        if self.simulation.scheduler.below(4) == 0 && self.simulation.scenario.machines.power_loss_every_ms > 0 {
            self.host.keep_image(&self.namespace);
        }
        self.perhaps_die();
        answer
    }

    fn perhaps_die(&self) {
        let simulation = &self.simulation;
        if !simulation.is_calm() && simulation.scheduler.happens(simulation.scenario.machines.dies_in_store) {
            simulation.note(|| format!("p{} dies at a call of its local store", self.process));
            self.host.kill(simulation, self.process);
            simulation.scheduler.stop_here(self.process);
        }
    }
}

impl Spool for ProcessStore {
    fn begin(&self) -> Result<Box<dyn SpoolWriter>, StoreError> {
        self.read(|store| store.begin())
    }
}

impl Replica for ProcessStore {
    fn known(&self, partitions: &[PartitionName]) -> Result<Vec<Option<String>>, StoreError> {
        self.read(|store| store.known(partitions))
    }

    fn cached(&self, key: &str) -> Result<Option<SharedContent>, StoreError> {
        self.read(|store| store.cached(key))
    }

    fn cache(&self, key: &str, content: &SharedContent) -> Result<(), StoreError> {
        // The real store writes it later: who is killed before that has cached nothing.
        if !self.simulation.is_calm()
            && self.simulation.scheduler.happens(self.simulation.scenario.machines.loses_cached)
        {
            return Ok(());
        }
        self.write(|store| store.cache(key, content))
    }
}

impl LocalStore for ProcessStore {
    fn commit(&self, changes: &ChangeSet) -> Result<PushReceipt, StoreError> {
        self.write(|store| store.commit(changes))
    }

    fn stage(&self, changes: &ChangeSet, now_ms: u64) -> Result<(), StoreError> {
        self.simulation.oracle().stage(changes);
        self.write(|store| store.stage(changes, now_ms))
    }

    fn pending(&self, partition: Option<&PartitionName>) -> Result<Vec<PendingCommit>, StoreError> {
        self.read(|store| store.pending(partition))
    }

    fn confirm(&self, commit: &CommitId, partition: &PartitionName, receipt: &PushReceipt) -> Result<(), StoreError> {
        self.simulation.oracle().acknowledge_commit(commit.as_str());
        self.write(|store| store.confirm(commit, partition, receipt))
    }

    fn discard(&self, commit: &CommitId) -> Result<(), StoreError> {
        self.write(|store| store.discard(commit))
    }

    fn apply(&self, delta: &PartitionDelta) -> Result<(), StoreError> {
        self.write(|store| store.apply(delta))
    }

    fn entries(&self, filter: &EntryFilter) -> Result<Vec<StoredEntry>, StoreError> {
        self.read(|store| store.entries(filter))
    }

    fn content(&self, digest: &Digest) -> Result<Option<SharedContent>, StoreError> {
        self.read(|store| store.content(digest))
    }

    fn keep_all(&self, contents: &[(Digest, SharedContent)]) -> Result<(), StoreError> {
        self.write(|store| store.keep_all(contents))
    }

    fn missing(&self, filter: &MissingFilter) -> Result<Vec<StoredEntry>, StoreError> {
        self.read(|store| store.missing(filter))
    }

    fn missing_total(&self, partition: Option<&PartitionName>) -> Result<Missing, StoreError> {
        self.read(|store| store.missing_total(partition))
    }

    fn unread(&self) -> Result<Vec<PartitionName>, StoreError> {
        self.read(|store| store.unread())
    }

    fn mark_read(&self, partitions: &[PartitionName]) -> Result<(), StoreError> {
        self.write(|store| store.mark_read(partitions))
    }

    fn distrust(&self, partition: &PartitionName) -> Result<(), StoreError> {
        self.write(|store| store.distrust(partition))
    }

    fn partitions(&self) -> Result<Vec<PartitionName>, StoreError> {
        self.read(|store| store.partitions())
    }

    fn note(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.read(|store| store.note(key))
    }

    fn writable(&self) -> Result<(), StoreError> {
        self.read(|store| store.writable())
    }

    fn set_note(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.write(|store| store.set_note(key, value))
    }

    fn collect(&self) -> Result<u64, StoreError> {
        self.write(|store| store.collect())
    }
}
