//! Bringing index and content from the shared datastore to this machine.
//!
//! Scope decides cost: what is pulled and fetched here is what the caller names, never what exists.

use std::collections::BTreeSet;
use std::pin::pin;

use futures::future::{Either, select};

use crate::fetch::{fetch_missing, of_content, position};
use crate::hold::{Held, HoldError, HoldPorts};
use crate::identifiers::{CommitId, PartitionName};
use crate::interrupt::Interrupt;
use crate::ports::{
    Datastore, DatastoreError, DeltaMode, ExtensionError, LocalStore, MissingFilter, Objects, Progress, ProgressUnit,
    PullDepth, PullRequest, PushReceipt, PushRequest, StoreError,
};
use crate::repository::HydrationStrategy;
use crate::transfer::{Failures, Hydrated, Lost};

pub use crate::fetch::{Pause, fetch_one, fetch_these};

/// Pages in a row without news after which an extension is believed to answer for ever: a page of a listing tells of a
/// thousand partitions, so ten million of them may be unchanged.
const IDLE_PAGES_MAX: u32 = 10_000;

/// Entries looked at in one step where content was withheld.
const WITHHELD_PAGE: u32 = 1_000;

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
        for partition in scope {
            let mut failures = Failures::default();
            if ports.datastore.features().hydration {
                fetch_missing(ports, Some(partition), newest_only, None, &mut brought, &mut failures).await?;
            } else {
                note_withheld(ports, partition, &mut failures)?;
            }
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
        (HoldError::Datastore(error), Lost::Content { name, version }) => {
            Err(of_content(partition, &name, version, error).into())
        }
        (reason, _) => Err(reason),
    }
}

/// Content that is missing where the extension cannot bring it by itself (any more): comes with all of its partition.
pub(crate) async fn bring_withheld(
    ports: &HydratePorts<'_>,
    partitions: &[PartitionName],
    brought: &mut Hydrated,
    failures: &mut Failures,
) -> Result<(), HoldError> {
    for partition in partitions {
        if ports.store.missing_total(Some(partition))?.entries == 0 {
            continue;
        }
        ports.store.distrust(partition)?;
        let request = PullRequest {
            partitions: Some(vec![partition.clone()]),
            depth: PullDepth::Content,
            ..PullRequest::default()
        };
        match pull(ports, request, brought).await {
            Ok(()) => note_withheld(ports, partition, failures)?,
            Err(error) => failures.note(partition, Lost::Index, error)?,
        }
    }
    Ok(())
}

/// Notes what an extension without `hydration` did not bring with the index, and has that told whole next time, so that
/// another try is one.
fn note_withheld(
    ports: &HydratePorts<'_>,
    partition: &PartitionName,
    failures: &mut Failures,
) -> Result<(), HoldError> {
    let mut filter =
        MissingFilter { partition: Some(partition.clone()), limit: Some(WITHHELD_PAGE), ..MissingFilter::default() };
    loop {
        let page = ports.store.missing(&filter)?;
        let Some(last) = page.last() else { return Ok(()) };
        filter.after = Some(position(last));
        for stored in page {
            let (name, version) = (stored.entry.description.name, stored.entry.version);
            let reason =
                format!("{} comes without {name} version {version}, and it has no hydration", stored.partition);
            let error = misbehaved(ports.datastore, "pull", reason);
            ports.store.distrust(&stored.partition)?;
            failures.note(&stored.partition, Lost::Content { name, version }, error.into())?;
        }
    }
}

/// Commits what is pending of a held partition, oldest first. The lease stays.
pub async fn push_pending(ports: &HydratePorts<'_>, held: &Held, partition: &PartitionName) -> Result<u64, HoldError> {
    let mut pushed = 0;
    for pending in ports.store.pending(Some(partition))? {
        let commit_id = pending.changes.commit_id.clone();
        let request = PushRequest { changes: pending.changes, lease: None, release: false, may_be_repeated: true };
        let receipt = held.push(&ports.hold, ports.datastore, request).await?;
        confirm(ports.store, ports.datastore, &commit_id, partition, &receipt)?;
        pushed += 1;
    }
    Ok(pushed)
}

/// Takes over that a commit is in the datastore. A receipt that contradicts what is known leaves it pending.
pub(crate) fn confirm(
    store: &dyn LocalStore,
    datastore: &dyn Datastore,
    commit: &CommitId,
    partition: &PartitionName,
    receipt: &PushReceipt,
) -> Result<(), HoldError> {
    match store.confirm(commit, partition, receipt) {
        Err(StoreError::Contradicted { reason, .. }) => {
            // One of the two is wrong: the next pull tells the partition whole.
            store.distrust(partition)?;
            Err(misbehaved(datastore, "push", reason).into())
        }
        other => Ok(other?),
    }
}

/// Takes over all pages of `request`. Partitions that it names are read afterwards, as far as they have news.
pub async fn pull(ports: &HydratePorts<'_>, mut request: PullRequest, brought: &mut Hydrated) -> Result<(), HoldError> {
    let (before, mut heard) = (brought.partitions_changed, 0);
    let (mut told, mut idle_pages) = (BTreeSet::new(), 0);
    loop {
        let page = ports.datastore.pull(&request).await?;
        for delta in &page.deltas {
            if delta.mode == DeltaMode::Changed && request.depth != PullDepth::Partitions {
                let reason = format!("{} is said to have changed instead of what has changed", delta.partition);
                return Err(misbehaved(ports.datastore, "pull", reason).into());
            }
            if told.contains(&delta.partition) {
                let reason = format!("{} comes again after its last page", delta.partition);
                return Err(misbehaved(ports.datastore, "pull", reason).into());
            }
            if !delta.continues {
                told.insert(delta.partition.clone());
            }
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
        let has_news =
            page.deltas.iter().any(|delta| !(delta.continues && delta.entries.is_empty() && delta.removed.is_empty()));
        idle_pages = if has_news { 0 } else { idle_pages + 1 };
        let reason = match &page.cursor {
            None => break,
            Some(cursor) if Some(cursor) == request.cursor.as_ref() => "the same cursor twice".to_owned(),
            Some(_) if idle_pages >= IDLE_PAGES_MAX => format!("{idle_pages} pages in a row without any news"),
            Some(_) => {
                request.cursor = page.cursor;
                continue;
            }
        };
        return Err(misbehaved(ports.datastore, "pull", reason).into());
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

/// The extension broke the contract in a way that only several answers together show.
fn misbehaved(datastore: &dyn Datastore, call: &str, reason: String) -> DatastoreError {
    ExtensionError::Malformed { extension: datastore.name(), call: call.to_owned(), reason }.into()
}
