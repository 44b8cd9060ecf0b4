//! Bringing index and content from the shared datastore to this machine.
//!
//! Scope decides cost: what is pulled and fetched here is what the caller names, never what exists.

use std::pin::pin;

use futures::future::{Either, select};

use crate::digest::Digest;
use crate::hold::{self, Held, HoldError, HoldPorts};
use crate::identifiers::PartitionName;
use crate::interrupt::Interrupt;
use crate::ports::{
    ContentRequest, Datastore, DatastoreError, EntryFilter, ErrorKind, LocalStore, Progress, ProgressUnit, PullRequest,
    PushRequest, StoredEntry, StoredState,
};
use crate::repository::HydrationStrategy;

/// Content asked for in one call: enough to keep a store busy, little enough to show progress and to lose on a fault.
const FETCH_ITEMS_MAX: usize = 256;

/// Bytes asked for in one call, unless a single content is larger.
const FETCH_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Entries looked at in one query of the local store.
const PAGE_ENTRIES: u32 = 1000;

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

/// What was brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hydrated {
    /// Partitions that had news.
    pub partitions_changed: u64,
    /// Entries taken over.
    pub entries: u64,
    /// Contents brought.
    pub contents: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Before a run: sends what earlier runs of this partition left uncommitted, takes over the news of the run's scope, and
/// brings the newest content of it.
pub async fn before_run(
    ports: &HydratePorts<'_>,
    held: &mut Held,
    scope: &[PartitionName],
    strategy: HydrationStrategy,
    interrupt: &Interrupt,
) -> Result<Hydrated, HoldError> {
    if let Some(own) = scope.first() {
        push_pending(ports, held, own).await?;
    }
    let leases = held.lease.iter().cloned().collect();
    let request = PullRequest {
        partitions: Some(scope.to_vec()),
        leases,
        with_content: with_content(ports.datastore, strategy),
        cursor: None,
    };
    let work = async {
        let mut hydrated = pull(ports, request).await?;
        for partition in scope {
            let filter = EntryFilter {
                partition: Some(partition.clone()),
                latest_only: true,
                public_only: true,
                ..EntryFilter::default()
            };
            fetch_missing(ports, filter, &mut hydrated).await?;
        }
        Ok(hydrated)
    };
    let work = hold::keep_alive(&ports.hold, held, work);
    match select(pin!(work), pin!(interrupt.wait())).await {
        Either::Left((result, _)) => result?,
        Either::Right(_) => Err(HoldError::Interrupted),
    }
}

/// Commits what is pending of a held partition, oldest first. The lease stays.
pub async fn push_pending(
    ports: &HydratePorts<'_>,
    held: &mut Held,
    partition: &PartitionName,
) -> Result<u64, HoldError> {
    let mut pushed = 0;
    for pending in ports.store.pending(Some(partition))? {
        let commit_id = pending.changes.commit_id.clone();
        let request =
            PushRequest { changes: pending.changes, lease: held.lease.clone(), release: false, may_be_repeated: true };
        let receipt = ports.datastore.push(&request).await?;
        ports.store.confirm(&commit_id, partition, &receipt)?;
        held.lease = receipt.lease;
        pushed += 1;
    }
    Ok(pushed)
}

/// Takes over all pages of `request`.
pub async fn pull(ports: &HydratePorts<'_>, mut request: PullRequest) -> Result<Hydrated, HoldError> {
    let mut hydrated = Hydrated::default();
    loop {
        let page = ports.datastore.pull(&request).await?;
        for delta in &page.deltas {
            ports.store.apply(delta)?;
            hydrated.partitions_changed += u64::from(!delta.continues);
            hydrated.entries += delta.entries.len() as u64;
            for content in delta.entries.iter().filter_map(|pulled| pulled.content.as_ref()) {
                hydrated.contents += 1;
                hydrated.bytes += content.size();
            }
        }
        ports.hold.observer.progress(Progress {
            message: "reading the index".to_owned(),
            done: hydrated.partitions_changed,
            total: page.partitions_total,
            unit: ProgressUnit::Items,
        });
        match page.cursor {
            Some(cursor) if Some(&cursor) == request.cursor.as_ref() => return Err(stuck(&cursor).into()),
            Some(cursor) => request.cursor = Some(cursor),
            None => return Ok(hydrated),
        }
    }
}

/// Brings the content of every entry of `filter` that is not on this machine.
pub async fn fetch_missing(
    ports: &HydratePorts<'_>,
    mut filter: EntryFilter,
    hydrated: &mut Hydrated,
) -> Result<(), HoldError> {
    filter.limit = Some(PAGE_ENTRIES);
    loop {
        let page = ports.store.entries(&filter)?;
        let last = page.last().map(|stored| (stored.partition.clone(), stored.entry.description.name.clone()));
        let is_last_page = page.len() < PAGE_ENTRIES as usize;
        let mut missing: Vec<StoredEntry> =
            page.into_iter().filter(|stored| stored.state == StoredState::Remote).collect();
        let mut seen = std::collections::BTreeSet::new();
        missing.retain(|stored| seen.insert(stored.entry.description.digest));
        for batch in batches(&missing) {
            fetch(ports, batch, hydrated).await?;
        }
        if is_last_page {
            return Ok(());
        }
        filter.after = last;
    }
}

/// Brings these contents. What a collector removed meanwhile is asked for once more after a fresh look at the index; what
/// is still referenced and cannot be had fails, by name.
pub async fn fetch(ports: &HydratePorts<'_>, batch: &[StoredEntry], hydrated: &mut Hydrated) -> Result<(), HoldError> {
    let wanted: Vec<ContentRequest> = batch.iter().map(content_request).collect();
    let answers = ports.datastore.fetch(&wanted).await?;
    for (request, answer) in wanted.iter().zip(answers) {
        let content = match answer {
            Ok(content) => content,
            Err(DatastoreError::Refused { kind: ErrorKind::NotFound, .. }) => match again(ports, request).await? {
                Some(content) => content,
                None => continue,
            },
            Err(error) => return Err(error.into()),
        };
        ports.store.keep(&request.digest, &content)?;
        hydrated.contents += 1;
        hydrated.bytes += content.size();
        ports.hold.observer.progress(Progress {
            message: "bringing content".to_owned(),
            done: hydrated.bytes,
            total: None,
            unit: ProgressUnit::Bytes,
        });
    }
    Ok(())
}

/// Second try for content that was not found: pulls the partition, and asks again where the entry is still there.
async fn again(
    ports: &HydratePorts<'_>,
    request: &ContentRequest,
) -> Result<Option<crate::content::SharedContent>, HoldError> {
    let scoped = PullRequest { partitions: Some(vec![request.partition.clone()]), ..PullRequest::default() };
    pull(ports, scoped).await?;
    let filter = EntryFilter {
        partition: Some(request.partition.clone()),
        name: Some(request.name.clone()),
        ..EntryFilter::default()
    };
    let still = ports.store.entries(&filter)?.into_iter().find(|stored| stored.entry.version == request.version);
    let Some(still) = still else { return Ok(None) };
    let answer = ports.datastore.fetch(&[content_request(&still)]).await?.into_iter().next();
    match answer {
        Some(Ok(content)) => Ok(Some(content)),
        Some(Err(DatastoreError::Refused { kind: ErrorKind::NotFound, .. })) | None => {
            Err(missing(request, &still.entry.description.digest).into())
        }
        Some(Err(error)) => Err(error.into()),
    }
}

/// Whether a pull brings content too: always where the extension cannot bring it later.
pub fn with_content(datastore: &dyn Datastore, strategy: HydrationStrategy) -> bool {
    strategy == HydrationStrategy::Full || !datastore.features().hydration
}

fn content_request(stored: &StoredEntry) -> ContentRequest {
    let description = &stored.entry.description;
    ContentRequest {
        partition: stored.partition.clone(),
        name: description.name.clone(),
        version: stored.entry.version,
        size: description.size,
        digest: description.digest,
        location: stored.entry.location.clone(),
    }
}

fn batches(missing: &[StoredEntry]) -> impl Iterator<Item = &[StoredEntry]> {
    let mut rest = missing;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let length = rest
            .iter()
            .take(FETCH_ITEMS_MAX)
            .take_while(|stored| {
                let before = bytes;
                bytes += stored.entry.description.size;
                before == 0 || bytes <= FETCH_BYTES_MAX
            })
            .count();
        let (batch, others) = rest.split_at(length);
        rest = others;
        (!batch.is_empty()).then_some(batch)
    })
}

fn missing(request: &ContentRequest, digest: &Digest) -> DatastoreError {
    DatastoreError::Refused {
        kind: ErrorKind::Corrupt,
        subject: request.name.to_string(),
        message: format!(
            "{} version {} of {} is in the index, but its content (sha256 {digest}) is not in the datastore",
            request.name, request.version, request.partition
        ),
    }
}

fn stuck(cursor: &str) -> DatastoreError {
    DatastoreError::Refused {
        kind: ErrorKind::InvalidInput,
        subject: "cursor".to_owned(),
        message: format!("the datastore extension answered the same page again (cursor {cursor:?})"),
    }
}
