//! Two indexes of one partition, name by name.

use std::collections::VecDeque;

use super::Amount;
use crate::identifiers::{DataName, PartitionName, Version};
use crate::ports::{EntryFilter, LocalStore, StoreError, StoredEntry};

/// Entries that are read at once.
const PAGE_ENTRIES: u32 = 1_000;

/// What differs of one name.
pub(super) struct NameDifference {
    pub(super) name: DataName,
    /// What the target does not have, oldest first.
    pub(super) missing: Vec<StoredEntry>,
    /// What the target has and does not have from the source.
    pub(super) foreign: Vec<Version>,
}

/// Walks both indexes at once, a page of each in memory.
pub(super) struct Comparison<'a> {
    source: Names<'a>,
    target: Names<'a>,
    now_ms: u64,
    /// What of the source was looked at so far, without what is over.
    pub(super) seen: Amount,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(
        (source, target): (&'a dyn LocalStore, &'a dyn LocalStore),
        partition: &PartitionName,
        now_ms: u64,
    ) -> Self {
        let names = |store| Names::new(store, partition);
        Self { source: names(source), target: names(target), now_ms, seen: Amount::default() }
    }

    /// The next name that either has.
    pub(super) fn next_name(&mut self) -> Result<Option<NameDifference>, StoreError> {
        let (source, target) = (self.source.peek()?, self.target.peek()?);
        let Some(name) = source.into_iter().chain(target).min() else { return Ok(None) };
        let (source, target) = (self.source.take(&name)?, self.target.take(&name)?);
        let now_ms = self.now_ms;
        let is_over = |stored: &StoredEntry| {
            stored.entry.description.expires_at_ms().is_some_and(|expires_at_ms| expires_at_ms <= now_ms)
        };
        for stored in source.iter().filter(|stored| !is_over(stored)) {
            self.seen.partitions = 1;
            self.seen.versions += 1;
            self.seen.bytes = self.seen.bytes.saturating_add(stored.entry.description.size);
        }
        let newest = |entries: &[StoredEntry]| entries.iter().map(|stored| stored.entry.version).max();
        let (newest_source, newest_target) = (newest(&source), newest(&target));
        let is_foreign = |stored: &&StoredEntry| {
            let version = stored.entry.version;
            match source.iter().find(|other| other.entry.version == version) {
                Some(other) => !is_same(other, stored),
                // It left the source since it was copied, where there are newer ones, or where it is over.
                None => Some(version) > newest_source && !is_over(stored),
            }
        };
        let foreign = target.iter().filter(is_foreign).map(|stored| stored.entry.version).collect();
        // What is older than something that was copied was copied too, and has left the target since.
        let is_missing = |stored: &StoredEntry| Some(stored.entry.version) > newest_target && !is_over(stored);
        let missing = source.into_iter().rev().filter(is_missing).collect();
        Ok(Some(NameDifference { name, missing, foreign }))
    }
}

/// A version is never another one: content and run tell.
fn is_same(one: &StoredEntry, other: &StoredEntry) -> bool {
    let identity = |stored: &StoredEntry| (stored.entry.description.digest, stored.entry.description.run_id.clone());
    identity(one) == identity(other)
}

/// The committed entries of a partition, name by name.
struct Names<'a> {
    store: &'a dyn LocalStore,
    filter: EntryFilter,
    page: VecDeque<StoredEntry>,
    is_last: bool,
}

impl<'a> Names<'a> {
    fn new(store: &'a dyn LocalStore, partition: &PartitionName) -> Self {
        let filter = EntryFilter {
            partition: Some(partition.clone()),
            committed_only: true,
            limit: Some(PAGE_ENTRIES),
            ..EntryFilter::default()
        };
        Self { store, filter, page: VecDeque::new(), is_last: false }
    }

    fn peek(&mut self) -> Result<Option<DataName>, StoreError> {
        if self.page.is_empty() && !self.is_last {
            self.page = self.store.entries(&self.filter)?.into();
            match self.page.back() {
                None => self.is_last = true,
                Some(last) => self.filter.after = Some((last.partition.clone(), last.entry.description.name.clone())),
            }
        }
        Ok(self.page.front().map(|stored| stored.entry.description.name.clone()))
    }

    /// All versions of this name, if it is the next one, newest first: a page never splits a name.
    fn take(&mut self, name: &DataName) -> Result<Vec<StoredEntry>, StoreError> {
        if self.peek()?.as_ref() != Some(name) {
            return Ok(Vec::new());
        }
        let others = self.page.iter().position(|stored| stored.entry.description.name != *name);
        Ok(self.page.drain(..others.unwrap_or(self.page.len())).collect())
    }
}
