//! `peat data prune`: everything of a partition leaves the index, in commits under its lease.
//!
//! The head of a partition stays, for it is what keeps late writers out; content goes with the collections that follow.

use std::time::Duration;

use crate::entry::{ChangeSet, VersionReference};
use crate::hold::{self, Held, HoldError, HoldPorts, Wanted};
use crate::hydrate::{self, HydratePorts};
use crate::identifiers::{CommitId, PartitionName};
use crate::interrupt::Interrupt;
use crate::ports::{Datastore, EntryFilter, LocalStore, PullRequest, PushRequest, Random, StoredState};
use crate::transfer::Hydrated;

/// Versions that leave in one commit: half of what a datastore takes in one.
const COMMIT_VERSIONS_MAX: usize = 10_000;

/// The world of pruning.
#[derive(Clone, Copy)]
pub struct PrunePorts<'a> {
    /// This machine's store.
    pub store: &'a dyn LocalStore,
    /// The shared datastore; none for `local`.
    pub datastore: Option<&'a dyn Datastore>,
    /// Holding the partition meanwhile.
    pub hold: HoldPorts<'a>,
    /// Names of commits.
    pub random: &'a dyn Random,
}

impl std::fmt::Debug for PrunePorts<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PrunePorts").finish_non_exhaustive()
    }
}

/// What left a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Versions.
    pub versions: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Lets everything that is committed to a partition leave the index. What is uncommitted on a machine stays there.
pub async fn prune(
    ports: &PrunePorts<'_>,
    partition: &PartitionName,
    (ttl, wait): (Duration, Duration),
    interrupt: &Interrupt,
) -> Result<Pruned, HoldError> {
    let wanted = Wanted { partitions: std::slice::from_ref(partition), ttl, wait };
    let held = hold::take(&ports.hold, &wanted, interrupt).await?;
    let work = held.unless_lost(&ports.hold, remove_all(ports, &held, partition));
    let pruned = hold::unless_interrupted(interrupt, work).await;
    hold::give_up(&ports.hold, held).await;
    match pruned {
        Some(pruned) => pruned?,
        None => Err(HoldError::Interrupted),
    }
}

/// What of a partition is committed, as far as this machine knows.
pub fn committed(store: &dyn LocalStore, partition: &PartitionName) -> Result<Vec<(VersionReference, u64)>, HoldError> {
    let filter = EntryFilter { partition: Some(partition.clone()), ..EntryFilter::default() };
    let committed = store.entries(&filter)?.into_iter().filter(|stored| stored.state != StoredState::Uncommitted);
    Ok(committed
        .map(|stored| {
            let (name, version) = (stored.entry.description.name, stored.entry.version);
            (VersionReference { name, version }, stored.entry.description.size)
        })
        .collect())
}

async fn remove_all(ports: &PrunePorts<'_>, held: &Held, partition: &PartitionName) -> Result<Pruned, HoldError> {
    if let Some(datastore) = ports.datastore {
        let request = PullRequest {
            partitions: Some(vec![partition.clone()]),
            leases: held.leases(),
            depth: hydrate::index_depth(datastore),
            cursor: None,
        };
        let hydrate = HydratePorts { store: ports.store, datastore, hold: ports.hold };
        hydrate::pull(&hydrate, request, &mut Hydrated::default()).await?;
    }
    let mut pruned = Pruned::default();
    for versions in committed(ports.store, partition)?.chunks(COMMIT_VERSIONS_MAX) {
        let commit_id = new_commit_id(ports.random);
        let changes = ChangeSet {
            commit_id: commit_id.clone(),
            partition: partition.clone(),
            append: Vec::new(),
            remove: versions.iter().map(|(reference, _)| reference.clone()).collect(),
        };
        match ports.datastore {
            None => {
                ports.store.commit(&changes)?;
                held.note_commit(partition);
            }
            Some(datastore) => {
                ports.store.stage(&changes, ports.hold.clock.now_ms())?;
                let request = PushRequest { changes, lease: None, release: false, may_be_repeated: false };
                let pushed = held.push(&ports.hold, datastore, request).await;
                let receipt = match pushed {
                    Ok(receipt) => receipt,
                    Err(error) => {
                        // Nothing is lost: what is still there is removed by the next prune.
                        ports.store.discard(&commit_id)?;
                        return Err(error.into());
                    }
                };
                hydrate::confirm(ports.store, datastore, &commit_id, partition, &receipt)?;
            }
        }
        pruned.versions += versions.len() as u64;
        pruned.bytes += versions.iter().map(|(_, size)| size).sum::<u64>();
    }
    Ok(pruned)
}

fn new_commit_id(random: &dyn Random) -> CommitId {
    let mut bytes = [0; 12];
    random.fill(&mut bytes);
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    CommitId::parse(&format!("prune-{digits}")).expect("hexadecimal digits and a dash are a commit id")
}
