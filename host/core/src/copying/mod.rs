//! Copying everything that one datastore holds into another: when a repository chooses another datastore, and when an archive
//! is read.
//!
//! Nothing is remembered between two tries. What the target has already is found by comparing the two indexes, so whoever does
//! it again after an interruption goes on where it ended. Versions keep their numbers ([`crate::entry::NewEntry::version`]).

mod compare;
mod send;

use std::time::Duration;

use crate::hold::{HoldError, HoldPorts};
use crate::hydrate::{self, HydratePorts};
use crate::identifiers::{DataName, PartitionName, Version};
use crate::interrupt::Interrupt;
use crate::ports::{Datastore, DatastoreError, LocalStore, PullDepth, PullRequest, StoreError};
use crate::transfer::{Failures, Hydrated};

use compare::Comparison;

/// Partitions whose index is asked for in one pull.
const PULL_PARTITIONS_MAX: usize = 64;

/// One of the two datastores.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// This machine's store of it: all of it, where it is `local`.
    pub store: &'a dyn LocalStore,
    /// The shared datastore; none for `local`.
    pub datastore: Option<&'a dyn Datastore>,
    /// Holding its partitions.
    pub hold: HoldPorts<'a>,
}

impl std::fmt::Debug for Side<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Side").finish_non_exhaustive()
    }
}

/// From where to where, and how.
#[derive(Debug, Clone, Copy)]
pub struct CopyRequest<'a> {
    /// What is copied. The caller sees to it that nobody writes to it.
    pub source: Side<'a>,
    /// Where it goes.
    pub target: Side<'a>,
    /// The target may have nothing else, in other partitions either.
    pub alone: bool,
    /// Content stays on this machine too, where the target is a shared datastore.
    pub keeps_content: bool,
    /// Time to live of leases in the target.
    pub ttl: Duration,
    /// How long to wait for each of its partitions.
    pub wait: Duration,
}

/// A number of things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Partitions that have some.
    pub partitions: u64,
    /// Versions.
    pub versions: u64,
    /// Bytes of their content.
    pub bytes: u64,
}

impl std::ops::AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.partitions += other.partitions;
        self.versions += other.versions;
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// What there is to copy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CopyPlan {
    /// In the source, without what is over.
    pub all: Amount,
    /// Of that, what the target does not have.
    pub missing: Amount,
    /// Partitions that have some of it.
    partitions: Vec<PartitionName>,
}

/// Why a copy is not complete. What was copied is in the target, and is not copied again.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Holding, reading or writing failed.
    #[error(transparent)]
    Hold(#[from] HoldError),
    /// The target has something that does not come from the source.
    #[error(
        "it holds {count} versions that are not in what is to be copied, {name} version {version} of {partition} among them"
    )]
    Foreign {
        /// Where the first of them is.
        partition: PartitionName,
        /// Its name.
        name: DataName,
        /// Its number.
        version: Version,
        /// How many there are.
        count: u64,
    },
    /// Some content could not be brought.
    #[error("the source does not give everything: {0}")]
    Incomplete(Box<Failures>),
    /// The content of a version is nowhere.
    #[error("the content of {name} version {version} of {partition} is not in the source")]
    Lost {
        /// Where.
        partition: PartitionName,
        /// Its name.
        name: DataName,
        /// Its number.
        version: Version,
    },
    /// The target does not show what it was given.
    #[error("{0} versions that were sent are not in the target's index")]
    Unverified(u64),
}

impl From<StoreError> for CopyError {
    fn from(error: StoreError) -> Self {
        Self::Hold(error.into())
    }
}

impl From<DatastoreError> for CopyError {
    fn from(error: DatastoreError) -> Self {
        Self::Hold(error.into())
    }
}

impl<'a> Side<'a> {
    fn hydrate(&self) -> Option<HydratePorts<'a>> {
        self.datastore.map(|datastore| HydratePorts { store: self.store, datastore, hold: self.hold })
    }

    /// Brings the whole index to this machine.
    pub async fn refresh(&self) -> Result<(), HoldError> {
        let Some(ports) = self.hydrate() else { return Ok(()) };
        let mut brought = Hydrated::default();
        // An extension that cannot bring content later brings it now.
        let can_wait = ports.datastore.features().hydration;
        let depth = if can_wait { PullDepth::Partitions } else { PullDepth::Content };
        hydrate::pull(&ports, PullRequest { depth, ..PullRequest::default() }, &mut brought).await?;
        self.read(&ports, &self.store.unread()?, &mut brought).await
    }

    /// Brings the index of these partitions anew, whatever is known of them.
    async fn reread(&self, partitions: &[PartitionName]) -> Result<(), HoldError> {
        let Some(ports) = self.hydrate() else { return Ok(()) };
        for partition in partitions {
            self.store.distrust(partition)?;
        }
        self.read(&ports, partitions, &mut Hydrated::default()).await
    }

    async fn read(
        &self,
        ports: &HydratePorts<'_>,
        partitions: &[PartitionName],
        brought: &mut Hydrated,
    ) -> Result<(), HoldError> {
        for group in partitions.chunks(PULL_PARTITIONS_MAX) {
            let depth = hydrate::index_depth(ports.datastore);
            let request = PullRequest { partitions: Some(group.to_vec()), depth, ..PullRequest::default() };
            hydrate::pull(ports, request, brought).await?;
        }
        Ok(())
    }
}

/// What there is to copy; there, the target must have nothing but what comes from the source. Both indexes must be here.
pub fn plan(request: &CopyRequest<'_>) -> Result<CopyPlan, CopyError> {
    let now_ms = request.target.hold.clock.now_ms();
    let stores = (request.source.store, request.target.store);
    let (mut plan, mut foreign) = (CopyPlan::default(), None);
    let mut partitions = stores.0.partitions()?;
    if request.alone {
        partitions.extend(stores.1.partitions()?);
        partitions.sort();
        partitions.dedup();
    }
    for partition in partitions {
        let mut comparison = Comparison::new(stores, &partition, now_ms);
        let mut missing = Amount::default();
        while let Some(name) = comparison.next_name()? {
            for stored in &name.missing {
                missing.versions += 1;
                missing.bytes = missing.bytes.saturating_add(stored.entry.description.size);
            }
            if let Some(version) = name.foreign.first() {
                let first = foreign.get_or_insert((partition.clone(), name.name.clone(), *version, 0));
                first.3 += name.foreign.len() as u64;
            }
        }
        plan.all += comparison.seen;
        if missing.versions > 0 {
            missing.partitions = 1;
            plan.missing += missing;
            plan.partitions.push(partition);
        }
    }
    match foreign {
        Some((partition, name, version, count)) => Err(CopyError::Foreign { partition, name, version, count }),
        None => Ok(plan),
    }
}

/// Copies what is missing, then brings the target's index anew and compares it. Answers what was copied. Interrupted, it is
/// gone on with by doing it again.
pub async fn copy(request: &CopyRequest<'_>, plan: &CopyPlan, interrupt: &Interrupt) -> Result<Amount, CopyError> {
    let mut sending = send::Sending::new(request, plan, interrupt);
    for partition in &plan.partitions {
        sending.partition(partition).await?;
    }
    let sent = sending.sent;
    let reading = request.target.reread(&plan.partitions);
    crate::hold::unless_interrupted(interrupt, reading).await.unwrap_or(Err(HoldError::Interrupted))?;
    match self::plan(request)?.missing.versions {
        0 => Ok(sent),
        missing => Err(CopyError::Unverified(missing)),
    }
}
