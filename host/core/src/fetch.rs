//! Bringing content: in the order in which it lies in the datastore, many at a time, so that a pack is read once.
//!
//! A call that fails as a whole is halved until what cannot be had is alone and has a name.

use std::collections::BTreeSet;

use crate::content::SharedContent;
use crate::digest::Digest;
use crate::hold::HoldError;
use crate::hydrate::{HydratePorts, pull};
use crate::identifiers::{DataName, PartitionName, Version};
use crate::ports::{
    ContentRequest, DatastoreError, EntryFilter, ErrorKind, ExtensionError, MissingFilter, MissingPosition, Objects,
    Progress, ProgressUnit, PullRequest, StoredEntry, StoredState,
};
use crate::transfer::{Failures, Hydrated, Lost};

/// Contents asked for in one call: several packs of them, so that a pack which is cut in two by the end of a call is rare.
const FETCH_ITEMS_MAX: usize = 4096;

/// Bytes asked for in one call, unless a single content is larger: enough to keep a store busy, little enough to lose when
/// a call fails, and to hold in memory where the contents are small.
const FETCH_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Bytes and contents stored in one transaction: other processes wait meanwhile.
const KEEP_BYTES_MAX: u64 = 8 * 1024 * 1024;
const KEEP_ITEMS_MAX: usize = 1024;

/// What a fetch has done so far.
pub(crate) struct Fetching<'a> {
    pub(crate) ports: &'a HydratePorts<'a>,
    pub(crate) brought: &'a mut Hydrated,
    pub(crate) failures: &'a mut Failures,
    /// For progress: what was missing when it began, and what of it has come.
    total: crate::ports::Missing,
    done: crate::ports::Missing,
    /// Asked before each call: somebody else goes first.
    pause: Option<&'a dyn Pause>,
}

/// Lets others go first.
#[async_trait::async_trait]
pub trait Pause: Send + Sync {
    /// Returns when it is our turn.
    async fn our_turn(&self);

    /// Most contents and bytes of one call.
    fn batch(&self) -> (usize, u64);
}

/// The content that is missing: of one partition or all, all versions or the newest of each name.
pub(crate) async fn fetch_missing(
    ports: &HydratePorts<'_>,
    partition: Option<&PartitionName>,
    newest_only: bool,
    pause: Option<&dyn Pause>,
    brought: &mut Hydrated,
    failures: &mut Failures,
) -> Result<(), HoldError> {
    let total = ports.store.missing_total(partition)?;
    let mut fetching = Fetching { ports, brought, failures, total, done: crate::ports::Missing::default(), pause };
    let mut filter = MissingFilter {
        partition: partition.cloned(),
        newest_only,
        limit: u32::try_from(FETCH_ITEMS_MAX).ok(),
        after: None,
    };
    loop {
        let page = ports.store.missing(&filter)?;
        let Some(last) = page.last() else { return Ok(()) };
        filter.after = Some(position(last));
        let is_last = page.len() < FETCH_ITEMS_MAX;
        let mut seen = BTreeSet::new();
        let wanted: Vec<StoredEntry> =
            page.into_iter().filter(|stored| seen.insert(stored.entry.description.digest)).collect();
        for batch in batches(&wanted, fetching.most()) {
            if let Some(pause) = pause {
                pause.our_turn().await;
            }
            fetching.batch(batch).await?;
            if fetching.failures.gave_up {
                return Ok(());
            }
        }
        if is_last {
            return Ok(());
        }
    }
}

/// The content of one entry. Fails, and names it, when it does not come.
pub async fn fetch_one(ports: &HydratePorts<'_>, stored: &StoredEntry) -> Result<(), HoldError> {
    let (mut brought, mut failures) = (Hydrated::default(), Failures::default());
    fetch_these(ports, std::slice::from_ref(stored), &mut brought, &mut failures).await?;
    match failures.told.pop().map(|failure| failure.error) {
        Some(HoldError::Datastore(error)) => {
            Err(of_content(&stored.partition, &stored.entry.description.name, stored.entry.version, error).into())
        }
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// The content of these entries.
pub async fn fetch_these(
    ports: &HydratePorts<'_>,
    wanted: &[StoredEntry],
    brought: &mut Hydrated,
    failures: &mut Failures,
) -> Result<(), HoldError> {
    let total = crate::ports::Missing {
        entries: wanted.len() as u64,
        bytes: wanted.iter().fold(0, |sum: u64, stored| sum.saturating_add(stored.entry.description.size)),
    };
    let mut fetching =
        Fetching { ports, brought, failures, total, done: crate::ports::Missing::default(), pause: None };
    for batch in batches(wanted, fetching.most()) {
        fetching.batch(batch).await?;
    }
    Ok(())
}

impl Fetching<'_> {
    fn most(&self) -> (usize, u64) {
        self.pause.map_or((FETCH_ITEMS_MAX, FETCH_BYTES_MAX), Pause::batch)
    }

    async fn batch(&mut self, batch: &[StoredEntry]) -> Result<(), HoldError> {
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let wanted: Vec<ContentRequest> = part.iter().map(content_request).collect();
            let answers = match self.ports.datastore.fetch(&wanted).await {
                Ok(answers) => answers,
                Err(error) => {
                    let goes_on = self.failures.strike(&error);
                    if part.len() > 1 && goes_on {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second, first]);
                        continue;
                    }
                    self.note(&part[0], error)?;
                    if goes_on {
                        continue;
                    }
                    return Ok(());
                }
            };
            self.take(part, answers).await?;
            if self.failures.gave_up {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Keeps what came; asks again for what a collector removed meanwhile.
    async fn take(
        &mut self,
        part: &[StoredEntry],
        answers: Vec<Result<SharedContent, DatastoreError>>,
    ) -> Result<(), HoldError> {
        let lost = self.keep(part, answers)?;
        if lost.is_empty() {
            return Ok(());
        }
        let still = self.still_there(lost).await?;
        if still.is_empty() {
            return Ok(());
        }
        let wanted: Vec<ContentRequest> = still.iter().map(content_request).collect();
        let answers = match self.ports.datastore.fetch(&wanted).await {
            Ok(answers) => answers,
            Err(error) => return self.note(&still[0], error),
        };
        for stored in self.keep(&still, answers)? {
            self.note(&stored, gone(&stored))?;
        }
        Ok(())
    }

    /// Keeps what came, notes what failed, answers what was not found.
    fn keep(
        &mut self,
        part: &[StoredEntry],
        answers: Vec<Result<SharedContent, DatastoreError>>,
    ) -> Result<Vec<StoredEntry>, HoldError> {
        let (mut came, mut lost, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for (stored, answer) in part.iter().zip(answers) {
            match answer {
                Ok(content) => came.push((stored.entry.description.digest, content)),
                Err(DatastoreError::Refused { kind: ErrorKind::NotFound, .. }) => lost.push(stored.clone()),
                Err(error) => failed.push((stored, error)),
            }
        }
        for chunk in keep_chunks(&came) {
            self.ports.store.keep_all(chunk)?;
            self.progress(chunk);
        }
        if came.is_empty() && lost.is_empty() {
            if let Some((_, error)) = failed.first() {
                self.failures.strike(error);
            }
        } else {
            self.failures.came();
        }
        for (stored, error) in failed {
            self.note(stored, error)?;
        }
        Ok(lost)
    }

    fn progress(&mut self, came: &[(Digest, SharedContent)]) {
        let bytes: u64 = came.iter().map(|(_, content)| content.size()).sum();
        self.brought.contents += came.len() as u64;
        self.brought.bytes += bytes;
        self.done.entries += came.len() as u64;
        self.done.bytes += bytes;
        self.ports.hold.observer.progress(Progress {
            message: "bringing content".to_owned(),
            done: self.done.bytes,
            total: Some(self.total.bytes),
            unit: ProgressUnit::Bytes,
            objects: Some(Objects { done: self.done.entries, total: self.total.entries }),
        });
    }

    /// What is still in the index after a fresh look at it.
    async fn still_there(&mut self, lost: Vec<StoredEntry>) -> Result<Vec<StoredEntry>, HoldError> {
        let partitions: BTreeSet<PartitionName> = lost.iter().map(|stored| stored.partition.clone()).collect();
        for partition in &partitions {
            let request = PullRequest { partitions: Some(vec![partition.clone()]), ..PullRequest::default() };
            if let Err(error) = pull(self.ports, request, self.brought).await {
                self.failures.note(partition, Lost::Index, error)?;
            }
        }
        let mut still = Vec::new();
        for stored in lost {
            let filter = EntryFilter {
                partition: Some(stored.partition.clone()),
                name: Some(stored.entry.description.name.clone()),
                ..EntryFilter::default()
            };
            let versions = self.ports.store.entries(&filter)?;
            still.extend(
                versions
                    .into_iter()
                    .find(|found| found.state == StoredState::Remote && found.entry.version == stored.entry.version),
            );
        }
        Ok(still)
    }

    fn note(&mut self, stored: &StoredEntry, error: DatastoreError) -> Result<(), HoldError> {
        if matches!(error, DatastoreError::Refused { kind: ErrorKind::Corrupt, .. }) {
            // It may be the index that is wrong: it is told whole next time.
            self.ports.store.distrust(&stored.partition)?;
        }
        let lost = Lost::Content { name: stored.entry.description.name.clone(), version: stored.entry.version };
        self.failures.note(&stored.partition, lost, error.into())
    }
}

/// Where a listing of what is missing goes on after this one.
pub(crate) fn position(stored: &StoredEntry) -> MissingPosition {
    MissingPosition {
        partition: stored.partition.clone(),
        location: stored.entry.location.clone(),
        name: stored.entry.description.name.clone(),
        version: stored.entry.version,
    }
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

fn batches(wanted: &[StoredEntry], most: (usize, u64)) -> impl Iterator<Item = &[StoredEntry]> {
    chunks(wanted, most, |stored| stored.entry.description.size)
}

fn keep_chunks(came: &[(Digest, SharedContent)]) -> impl Iterator<Item = &[(Digest, SharedContent)]> {
    chunks(came, (KEEP_ITEMS_MAX, KEEP_BYTES_MAX), |(_, content)| content.size())
}

/// Slices of at most so many items and bytes, unless a single item is larger.
fn chunks<T>(items: &[T], most: (usize, u64), size: impl Fn(&T) -> u64) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let mut bytes: u64 = 0;
        let fits = |(index, item): &(usize, &T)| {
            bytes = bytes.saturating_add(size(item));
            *index == 0 || bytes <= most.1
        };
        let length = rest.iter().take(most.0.max(1)).enumerate().take_while(fits).count();
        let (chunk, others) = rest.split_at(length);
        rest = others;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// Why one content did not come, with its name.
pub(crate) fn of_content(
    partition: &PartitionName,
    name: &DataName,
    version: Version,
    error: DatastoreError,
) -> DatastoreError {
    let (kind, subject) = match &error {
        DatastoreError::Refused { kind, subject, .. } => (*kind, subject.clone()),
        DatastoreError::Extension(ExtensionError::Cancelled { .. }) => (ErrorKind::Cancelled, name.to_string()),
        DatastoreError::Extension(_) => (ErrorKind::Unavailable { retry_after: None }, name.to_string()),
    };
    let message = format!("{name} version {version} of {partition} cannot be brought: {error}");
    DatastoreError::Refused { kind, subject, message }
}

fn gone(stored: &StoredEntry) -> DatastoreError {
    let description = &stored.entry.description;
    DatastoreError::Refused {
        kind: ErrorKind::Corrupt,
        subject: description.name.to_string(),
        message: format!(
            "{} version {} of {} is in the index, but its content (sha256 {}) is not in the datastore",
            description.name, stored.entry.version, stored.partition, description.digest
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_hold_everything_once_in_order_and_within_their_bounds() {
        let sizes = [5_u64, 5, 11, 1, 1, 1, 9, 2];
        let cut: Vec<Vec<u64>> = chunks(&sizes, (3, 10), |size| *size).map(<[u64]>::to_vec).collect();
        assert_eq!(cut, [vec![5, 5], vec![11], vec![1, 1, 1], vec![9], vec![2]]);
        assert_eq!(chunks(&sizes, (0, 0), |size| *size).count(), sizes.len());
        assert_eq!(chunks(&[] as &[u64], (3, 10), |size| *size).count(), 0);
    }
}
