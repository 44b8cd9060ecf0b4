//! `peat datastore sync`: sends what is uncommitted, takes over all news of the namespace, and brings the content that the
//! strategy asks for.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::hold::{self, HoldError, HoldPorts};
use crate::hydrate::{self, HydratePorts, Hydrated};
use crate::interrupt::Interrupt;
use crate::ports::{Clock, Datastore, EntryFilter, LocalLocks, LocalStore, Observer, PullRequest};
use crate::repository::HydrationStrategy;

/// The world of a sync.
#[derive(Clone, Copy)]
pub struct SyncPorts<'a> {
    /// This machine's store.
    pub store: &'a dyn LocalStore,
    /// The shared datastore.
    pub datastore: &'a dyn Datastore,
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
    /// How long to wait for each partition that has something to send.
    pub lock_timeout: Duration,
    /// How long a lease lasts after each renewal.
    pub lease_ttl: Duration,
}

/// What a sync did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyncReport {
    /// Commits sent.
    pub commits_pushed: u64,
    /// What came.
    pub brought: Hydrated,
}

/// Syncs both ways. Interrupted or failed, it has kept whatever was complete; the next one goes on from there.
pub async fn sync(
    ports: &SyncPorts<'_>,
    request: &SyncRequest,
    interrupt: &Interrupt,
) -> Result<SyncReport, HoldError> {
    let hold = HoldPorts {
        datastore: Some(ports.datastore),
        locks: ports.locks,
        clock: ports.clock,
        observer: ports.observer,
    };
    let hydrate = HydratePorts { store: ports.store, datastore: ports.datastore, hold };
    let commits_pushed = push_all(&hydrate, request, interrupt).await?;
    let bringing = bring(&hydrate, request.hydration);
    let brought = hold::unless_interrupted(interrupt, bringing).await.unwrap_or(Err(HoldError::Interrupted))?;
    Ok(SyncReport { commits_pushed, brought })
}

async fn push_all(ports: &HydratePorts<'_>, request: &SyncRequest, interrupt: &Interrupt) -> Result<u64, HoldError> {
    let partitions: BTreeSet<_> =
        ports.store.pending(None)?.into_iter().map(|pending| pending.changes.partition).collect();
    let mut pushed = 0;
    for partition in &partitions {
        let wanted = hold::Wanted { partition, ttl: request.lease_ttl, wait: request.lock_timeout };
        let mut held = hold::take(&ports.hold, &wanted, interrupt).await?;
        let result = hydrate::push_pending(ports, &mut held, partition).await;
        hold::give_up(&ports.hold, held).await;
        pushed += result?;
    }
    Ok(pushed)
}

async fn bring(ports: &HydratePorts<'_>, strategy: HydrationStrategy) -> Result<Hydrated, HoldError> {
    let with_content = hydrate::with_content(ports.datastore, strategy);
    let mut brought = hydrate::pull(ports, PullRequest { with_content, ..PullRequest::default() }).await?;
    if strategy == HydrationStrategy::Full && ports.datastore.features().hydration {
        for partition in ports.store.partitions()? {
            let filter = EntryFilter { partition: Some(partition), ..EntryFilter::default() };
            hydrate::fetch_missing(ports, filter, &mut brought).await?;
        }
    }
    Ok(brought)
}
