//! `peat datastore sync` and `peat datastore hydrate`: sends what is uncommitted, takes over the news of the namespace or of
//! some partitions, and brings the content that the strategy asks for.
//!
//! Everything that is complete is kept, however it ends, so the next one goes on from there. What cannot be sent or brought
//! fails in the end, by name; everything else goes on.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};

use crate::fetch::{Pause, fetch_missing};
use crate::hold::{self, HoldError, HoldPorts};
use crate::hydrate::{self, HydratePorts};
use crate::identifiers::PartitionName;
use crate::interrupt::Interrupt;
use crate::ports::{Clock, Datastore, LocalLocks, LocalStore, Missing, Observer, PullDepth, PullRequest};
use crate::renewal::RenewalLane;
use crate::repository::HydrationStrategy;
use crate::transfer::{Failures, Hydrated, Lost};

/// Partitions whose index is asked for in one pull: sixteen requests at a time keep a store busy, and a failure costs little.
const PULL_PARTITIONS_MAX: usize = 64;

/// The world of a sync.
#[derive(Clone, Copy)]
pub struct SyncPorts<'a> {
    /// This machine's store.
    pub store: &'a dyn LocalStore,
    /// The shared datastore.
    pub datastore: &'a dyn Datastore,
    /// Where its leases are renewed; none where it has none.
    pub lane: Option<&'a dyn RenewalLane>,
    /// The queue of this host.
    pub locks: &'a dyn LocalLocks,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Who watches.
    pub observer: &'a dyn Observer,
}

impl std::fmt::Debug for SyncPorts<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SyncPorts").finish_non_exhaustive()
    }
}

/// What to sync.
#[derive(Debug, Clone)]
pub struct SyncRequest {
    /// Whether content comes too.
    pub hydration: HydrationStrategy,
    /// Only these partitions; none: the whole namespace.
    pub partitions: Option<Vec<PartitionName>>,
    /// How long to wait for each partition that has something to send.
    pub lock_timeout: Duration,
    /// How long a lease lasts after each renewal.
    pub lease_ttl: Duration,
    /// How long it may take altogether.
    pub timeout: Option<Duration>,
}

/// What a sync did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyncReport {
    /// Commits sent.
    pub commits_pushed: u64,
    /// What came.
    pub brought: Hydrated,
    /// Partitions of the namespace whose news are not here: a lazy sync leaves them to their first use.
    pub unread: u64,
    /// Content that is not here.
    pub missing: Missing,
}

/// A sync that is not complete. What came is kept.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// Nothing could go on.
    #[error(transparent)]
    Stopped(#[from] HoldError),
    /// Some things were not sent or did not come; all others did.
    #[error("{failures}. Everything else is done; run it again to go on from there")]
    Incomplete {
        /// What was done.
        report: SyncReport,
        /// What was not.
        failures: Box<Failures>,
    },
    /// It took too long.
    #[error("not done within {} s. What came is kept; run it again to go on from there", timeout.as_secs_f64())]
    TimedOut {
        /// What was done.
        report: SyncReport,
        /// How long it was allowed to take.
        timeout: Duration,
    },
    /// The operator asked to stop.
    #[error("interrupted. What came is kept; run it again to go on from there")]
    Interrupted {
        /// What was done.
        report: SyncReport,
    },
}

/// What a sync has done so far.
#[derive(Debug, Default)]
struct Syncing {
    commits_pushed: u64,
    brought: Hydrated,
    failures: Failures,
}

/// Syncs both ways.
pub async fn sync(
    ports: &SyncPorts<'_>,
    request: &SyncRequest,
    interrupt: &Interrupt,
) -> Result<SyncReport, SyncError> {
    transfer(ports, request, true, interrupt).await
}

/// Sends what is uncommitted, and brings nothing.
pub async fn push(
    ports: &SyncPorts<'_>,
    request: &SyncRequest,
    interrupt: &Interrupt,
) -> Result<SyncReport, SyncError> {
    transfer(ports, request, false, interrupt).await
}

async fn transfer(
    ports: &SyncPorts<'_>,
    request: &SyncRequest,
    brings: bool,
    interrupt: &Interrupt,
) -> Result<SyncReport, SyncError> {
    let hydrate = ports.hydrate();
    let mut syncing = Syncing::default();
    let work = async {
        syncing.push(&hydrate, request, interrupt).await?;
        if !brings {
            return Ok(());
        }
        let bringing = syncing.bring(&hydrate, request);
        hold::unless_interrupted(interrupt, bringing).await.unwrap_or(Err(HoldError::Interrupted))
    };
    let ended = match request.timeout {
        None => Ok(work.await),
        Some(timeout) => match select(pin!(work), ports.clock.sleep(timeout)).await {
            Either::Left((ended, _)) => Ok(ended),
            Either::Right(_) => Err(timeout),
        },
    };
    match ended {
        Ok(ended) => syncing.report(ports, ended),
        Err(timeout) => Err(SyncError::TimedOut { report: syncing.so_far(ports)?, timeout }),
    }
}

/// Brings everything that is not here, of some partitions or all that this machine has heard of: the second half of a lazy
/// sync. Makes no listing. `pause` is asked before each call.
pub async fn hydrate(
    ports: &SyncPorts<'_>,
    partitions: Option<&[PartitionName]>,
    pause: Option<&dyn Pause>,
    interrupt: &Interrupt,
) -> Result<SyncReport, SyncError> {
    let hydrate = ports.hydrate();
    let mut syncing = Syncing::default();
    let work = async {
        let unread = ports.store.unread()?;
        let wanted = |partition: &PartitionName| partitions.is_none_or(|wanted| wanted.contains(partition));
        let unread: Vec<PartitionName> = unread.into_iter().filter(wanted).collect();
        syncing.read(&hydrate, &unread, pause).await?;
        syncing.fetch(&hydrate, partitions, pause).await
    };
    let ended = hold::unless_interrupted(interrupt, work).await.unwrap_or(Err(HoldError::Interrupted));
    syncing.report(ports, ended)
}

/// Brings the index of these partitions, as far as there is news of them.
pub async fn read(ports: &SyncPorts<'_>, partitions: &[PartitionName]) -> Result<SyncReport, SyncError> {
    let mut syncing = Syncing::default();
    let ended = syncing.read(&ports.hydrate(), partitions, None).await;
    syncing.report(ports, ended)
}

impl<'a> SyncPorts<'a> {
    fn hydrate(&self) -> HydratePorts<'a> {
        let hold = HoldPorts {
            datastore: Some(self.datastore),
            lane: self.lane,
            locks: self.locks,
            clock: self.clock,
            observer: self.observer,
        };
        HydratePorts { store: self.store, datastore: self.datastore, hold }
    }
}

impl Syncing {
    /// Sends what is uncommitted, partition by partition.
    async fn push(
        &mut self,
        ports: &HydratePorts<'_>,
        request: &SyncRequest,
        interrupt: &Interrupt,
    ) -> Result<(), HoldError> {
        let pending = ports.store.pending(None)?.into_iter().map(|pending| pending.changes.partition);
        let wanted = |partition: &PartitionName| {
            request.partitions.as_ref().is_none_or(|partitions| partitions.contains(partition))
        };
        let partitions: BTreeSet<PartitionName> = pending.filter(wanted).collect();
        for partition in &partitions {
            match push_one(ports, partition, request, interrupt).await {
                Ok(pushed) => {
                    self.failures.came();
                    self.commits_pushed += pushed;
                }
                Err(error) => {
                    let goes_on = self.strike(&error);
                    self.failures.note(partition, Lost::Commits, error)?;
                    if !goes_on {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes over the news, then the content.
    async fn bring(&mut self, ports: &HydratePorts<'_>, request: &SyncRequest) -> Result<(), HoldError> {
        if self.failures.gave_up {
            return Ok(());
        }
        let is_lazy = request.hydration == HydrationStrategy::Lazy && ports.datastore.features().hydration;
        match &request.partitions {
            // Who names partitions wants to use them: their index comes whatever the strategy is.
            Some(partitions) => self.read(ports, partitions, None).await?,
            None => {
                // An extension that cannot bring content later brings it now, with everything else.
                let can_wait = ports.datastore.features().hydration;
                let depth = if can_wait { PullDepth::Partitions } else { PullDepth::Content };
                hydrate::pull(ports, PullRequest { depth, ..PullRequest::default() }, &mut self.brought).await?;
                let unread = ports.store.unread()?;
                let unread = if is_lazy { used(ports, unread)? } else { unread };
                self.read(ports, &unread, None).await?;
            }
        }
        if is_lazy { Ok(()) } else { self.fetch(ports, request.partitions.as_deref(), None).await }
    }

    /// Brings the index of these partitions. A pull that fails is done again partition by partition.
    async fn read(
        &mut self,
        ports: &HydratePorts<'_>,
        partitions: &[PartitionName],
        pause: Option<&dyn Pause>,
    ) -> Result<(), HoldError> {
        for group in partitions.chunks(PULL_PARTITIONS_MAX) {
            if let Some(pause) = pause {
                pause.our_turn().await;
            }
            let mut parts: Vec<&[PartitionName]> = vec![group];
            while let Some(part) = parts.pop() {
                let request = PullRequest {
                    partitions: Some(part.to_vec()),
                    depth: hydrate::index_depth(ports.datastore),
                    ..PullRequest::default()
                };
                match hydrate::pull(ports, request, &mut self.brought).await {
                    Ok(()) => self.failures.came(),
                    Err(error) => {
                        let goes_on = self.strike(&error);
                        if part.len() > 1 && goes_on && matches!(error, HoldError::Datastore(_)) {
                            parts.extend(part.chunks(1).rev());
                            continue;
                        }
                        self.failures.note(&part[0], Lost::Index, error)?;
                        if !goes_on {
                            return Ok(());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Brings the content that is missing.
    async fn fetch(
        &mut self,
        ports: &HydratePorts<'_>,
        partitions: Option<&[PartitionName]>,
        pause: Option<&dyn Pause>,
    ) -> Result<(), HoldError> {
        if self.failures.gave_up {
            return Ok(());
        }
        if !ports.datastore.features().hydration {
            let partitions = partitions.map_or_else(|| ports.store.partitions(), |named| Ok(named.to_vec()))?;
            return hydrate::bring_withheld(ports, &partitions, &mut self.brought, &mut self.failures).await;
        }
        let scopes: Vec<Option<&PartitionName>> =
            partitions.map_or_else(|| vec![None], |partitions| partitions.iter().map(Some).collect());
        for scope in scopes {
            fetch_missing(ports, scope, false, pause, &mut self.brought, &mut self.failures).await?;
        }
        Ok(())
    }

    fn strike(&mut self, error: &HoldError) -> bool {
        match error {
            HoldError::Datastore(error) => self.failures.strike(error),
            _ => true,
        }
    }

    fn so_far(&self, ports: &SyncPorts<'_>) -> Result<SyncReport, HoldError> {
        let unread = ports.store.unread()?.len() as u64;
        let missing = ports.store.missing_total(None)?;
        Ok(SyncReport { commits_pushed: self.commits_pushed, brought: self.brought, unread, missing })
    }

    fn report(self, ports: &SyncPorts<'_>, ended: Result<(), HoldError>) -> Result<SyncReport, SyncError> {
        match ended {
            Ok(()) => {}
            Err(HoldError::Interrupted) => return Err(SyncError::Interrupted { report: self.so_far(ports)? }),
            Err(error) => return Err(error.into()),
        }
        let report = self.so_far(ports)?;
        if self.failures.is_empty() {
            return Ok(report);
        }
        Err(SyncError::Incomplete { report, failures: Box::new(self.failures) })
    }
}

async fn push_one(
    ports: &HydratePorts<'_>,
    partition: &PartitionName,
    request: &SyncRequest,
    interrupt: &Interrupt,
) -> Result<u64, HoldError> {
    let wanted = hold::Wanted {
        partitions: std::slice::from_ref(partition),
        ttl: request.lease_ttl,
        wait: request.lock_timeout,
    };
    let held = hold::take(&ports.hold, &wanted, interrupt).await?;
    let result = hydrate::push_pending(ports, &held, partition).await;
    hold::give_up(&ports.hold, held).await;
    result
}

/// Those whose index this machine has used before: it stays up to date.
fn used(ports: &HydratePorts<'_>, unread: Vec<PartitionName>) -> Result<Vec<PartitionName>, HoldError> {
    let known = ports.store.known(&unread)?;
    Ok(unread.into_iter().zip(known).filter(|(_, known)| known.is_some()).map(|(partition, _)| partition).collect())
}
