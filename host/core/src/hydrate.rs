//! Bringing index and content from the shared datastore to this machine.
//!
//! Scope decides cost: what is pulled and fetched here is what the caller names, never what exists.

use std::pin::pin;

use futures::future::{Either, select};

use crate::fetch::fetch_missing;
use crate::hold::{Held, HoldError, HoldPorts};
use crate::identifiers::PartitionName;
use crate::interrupt::Interrupt;
use crate::ports::{
    Datastore, DatastoreError, DeltaMode, ErrorKind, LocalStore, MissingFilter, Objects, PartitionDelta, Progress,
    ProgressUnit, PullDepth, PullRequest, PushRequest,
};
use crate::repository::HydrationStrategy;
use crate::transfer::{Failures, Hydrated, Lost};

pub use crate::fetch::{Pause, fetch_one, fetch_these};

/// What hydration needs.
#[derive(Clone, Copy)]
pub struct HydratePorts<'a> {
    /// Where it goes.
    pub store: &'a dyn LocalStore,
    /// Where it comes from.
    pub datastore: &'a dyn Datastore,
    /// Keeping the lease meanwhile.
    pub hold: HoldPorts<'a>,
}

impl std::fmt::Debug for HydratePorts<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("HydratePorts").finish_non_exhaustive()
    }
}

/// Before a run: sends what earlier runs of this partition left uncommitted, takes over the news of the run's scope, and
/// brings the content of it: of a lazy repository the newest versions, otherwise all.
pub async fn before_run(
    ports: &HydratePorts<'_>,
    held: &Held,
    scope: &[PartitionName],
    strategy: HydrationStrategy,
    interrupt: &Interrupt,
) -> Result<Hydrated, HoldError> {
    if let Some(own) = scope.first() {
        push_pending(ports, held, own).await?;
    }
    let leases = held.leases();
    let request = PullRequest {
        partitions: Some(scope.to_vec()),
        leases: leases.clone(),
        depth: index_depth(ports.datastore),
        cursor: None,
    };
    let newest_only = strategy == HydrationStrategy::Lazy;
    let work = async {
        let mut brought = Hydrated::default();
        pull(ports, request, &mut brought).await?;
        if !ports.datastore.features().hydration {
            return Ok(brought);
        }
        for partition in scope {
            let mut failures = Failures::default();
            fetch_missing(ports, Some(partition), newest_only, None, &mut brought, &mut failures).await?;
            if let Some(failure) = failures.told.into_iter().next() {
                whole(ports, partition, &leases, newest_only, &mut brought, failure.lost, failure.error).await?;
            }
        }
        Ok(brought)
    };
    let work = held.unless_lost(&ports.hold, work);
    match select(pin!(work), pin!(interrupt.wait())).await {
        Either::Left((result, _)) => result?,
        Either::Right(_) => Err(HoldError::Interrupted),
    }
}

/// Second way for a partition whose content did not come: everything of it with one pull. Fails with what failed first when
/// that does not help.
async fn whole(
    ports: &HydratePorts<'_>,
    partition: &PartitionName,
    leases: &[crate::lease::Lease],
    newest_only: bool,
    brought: &mut Hydrated,
    lost: Lost,
    reason: HoldError,
) -> Result<(), HoldError> {
    ports.store.distrust(partition)?;
    let request = PullRequest {
        partitions: Some(vec![partition.clone()]),
        leases: leases.to_vec(),
        depth: PullDepth::Content,
        cursor: None,
    };
    let pulled = pull(ports, request, brought).await;
    let filter = MissingFilter { partition: Some(partition.clone()), newest_only, limit: Some(1), after: None };
    if pulled.is_ok() && ports.store.missing(&filter)?.is_empty() {
        ports.hold.observer.warn(&format!("the content of {partition} came with all of its index: {reason}"));
        return Ok(());
    }
    match (reason, lost) {
        (HoldError::Datastore(DatastoreError::Refused { kind, subject, message }), Lost::Content { name, version }) => {
            let message = format!("{name} version {version} of {partition} cannot be brought: {message}");
            Err(DatastoreError::Refused { kind, subject, message }.into())
        }
        (reason, _) => Err(reason),
    }
}

/// Commits what is pending of a held partition, oldest first. The lease stays.
pub async fn push_pending(ports: &HydratePorts<'_>, held: &Held, partition: &PartitionName) -> Result<u64, HoldError> {
    let mut pushed = 0;
    for pending in ports.store.pending(Some(partition))? {
        let commit_id = pending.changes.commit_id.clone();
        let request = PushRequest { changes: pending.changes, lease: None, release: false, may_be_repeated: true };
        let receipt = held.push(&ports.hold, ports.datastore, request).await?;
        ports.store.confirm(&commit_id, partition, &receipt)?;
        pushed += 1;
    }
    Ok(pushed)
}

/// Takes over all pages of `request`. Partitions that it names are read afterwards, as far as they have news.
pub async fn pull(ports: &HydratePorts<'_>, mut request: PullRequest, brought: &mut Hydrated) -> Result<(), HoldError> {
    let (before, mut heard) = (brought.partitions_changed, 0);
    loop {
        let page = ports.datastore.pull(&request).await?;
        let is_only_told = |delta: &&PartitionDelta| delta.mode == DeltaMode::Changed;
        if request.depth != PullDepth::Partitions
            && let Some(delta) = page.deltas.iter().find(is_only_told)
        {
            return Err(only_told(&delta.partition).into());
        }
        ports.store.apply_all(&page.deltas)?;
        for delta in &page.deltas {
            if delta.mode == DeltaMode::Changed {
                heard += 1;
                continue;
            }
            brought.partitions_changed += u64::from(!delta.continues);
            brought.entries += delta.entries.len() as u64;
            for content in delta.entries.iter().filter_map(|pulled| pulled.content.as_ref()) {
                brought.contents += 1;
                brought.bytes += content.size();
            }
        }
        let done = brought.partitions_changed - before + heard;
        ports.hold.observer.progress(Progress {
            message: "reading the index, partitions".to_owned(),
            done,
            total: page.partitions_total,
            unit: ProgressUnit::Items,
            objects: None::<Objects>,
        });
        match page.cursor {
            Some(cursor) if Some(&cursor) == request.cursor.as_ref() => return Err(stuck(&cursor).into()),
            Some(cursor) => request.cursor = Some(cursor),
            None => break,
        }
    }
    if request.depth != PullDepth::Partitions
        && let Some(partitions) = &request.partitions
    {
        let unread = ports.store.unread()?;
        let read: Vec<PartitionName> =
            partitions.iter().filter(|partition| unread.binary_search(partition).is_ok()).cloned().collect();
        if !read.is_empty() {
            ports.store.mark_read(&read)?;
        }
    }
    Ok(())
}

/// How deep a pull goes to bring the index: with content where the extension cannot bring that later.
pub fn index_depth(datastore: &dyn Datastore) -> PullDepth {
    if datastore.features().hydration { PullDepth::Index } else { PullDepth::Content }
}

fn only_told(partition: &PartitionName) -> DatastoreError {
    DatastoreError::Refused {
        kind: ErrorKind::InvalidInput,
        subject: partition.to_string(),
        message: format!("the datastore extension said that {partition} has changed instead of what has changed"),
    }
}

fn stuck(cursor: &str) -> DatastoreError {
    DatastoreError::Refused {
        kind: ErrorKind::InvalidInput,
        subject: "cursor".to_owned(),
        message: format!("the datastore extension answered the same page again (cursor {cursor:?})"),
    }
}
