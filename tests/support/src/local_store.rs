//! A local store in memory, simple enough to be what the real one is compared with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use peat_core::content::{self, SharedContent};
use peat_core::digest::Digest;
use peat_core::entry::{ChangeSet, Entry, VersionReference};
use peat_core::identifiers::{CommitId, DataName, PartitionName, Version};
use peat_core::ports::{
    DeltaMode, EntryFilter, LocalStore, Missing, MissingFilter, MissingPosition, PartitionDelta, PendingCommit,
    PushReceipt, Replica, Spool, SpoolWriter, StoreError, StoredEntry, StoredState,
};

/// Everything in memory, one step at a time.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<State>);

type Key = (DataName, Version);

#[derive(Debug, Clone, Default)]
struct State {
    entries: BTreeMap<PartitionName, BTreeMap<Key, Entry>>,
    newest: HashMap<(PartitionName, DataName), u64>,
    known: BTreeMap<PartitionName, String>,
    unread: BTreeMap<PartitionName, String>,
    receipts: HashMap<CommitId, (PartitionName, PushReceipt)>,
    pending: Vec<PendingCommit>,
    replacing: HashMap<(PartitionName, String), BTreeSet<Key>>,
    contents: HashMap<Digest, Vec<u8>>,
    cache: HashMap<String, Digest>,
    notes: HashMap<String, String>,
    commits: HashMap<PartitionName, u64>,
}

fn inconsistent(reason: &str) -> StoreError {
    StoreError::Inconsistent { path: "memory".to_owned(), reason: reason.to_owned() }
}

fn checked(content: &SharedContent, digest: &Digest) -> Result<Vec<u8>, StoreError> {
    let corrupt =
        |reason: String| StoreError::Corrupt { path: "memory".to_owned(), subject: digest.to_string(), reason };
    let bytes = content::read_all(&**content, u64::MAX).map_err(|error| corrupt(error.to_string()))?;
    if Digest::of(&bytes) == *digest { Ok(bytes) } else { Err(corrupt("another digest".to_owned())) }
}

/// The contents of a commit, if the commit is sound.
fn contents_of(changes: &ChangeSet) -> Result<Vec<(Digest, Vec<u8>)>, StoreError> {
    let mut names = BTreeMap::new();
    let mut contents = Vec::new();
    for new in &changes.append {
        // A name more than once only with numbers that rise.
        let before = names.insert(&new.description.name, new.version);
        let is_twice = before.is_some_and(|before| before.is_none() || new.version <= before);
        if is_twice || new.description.size != new.content.size() {
            return Err(inconsistent("a name twice, or another size than described"));
        }
        contents.push((new.description.digest, checked(&new.content, &new.description.digest)?));
    }
    Ok(contents)
}

/// Everything a store held at one moment, as an image of its disk would.
#[derive(Debug, Clone, Default)]
pub struct StoreImage(State);

impl MemoryStore {
    /// What it holds now.
    pub fn image(&self) -> StoreImage {
        StoreImage(self.state().clone())
    }

    /// Goes back to what it held then.
    pub fn restore(&self, image: &StoreImage) {
        *self.state() = image.0.clone();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, partition: &PartitionName, reference: &VersionReference) -> bool {
        let key = (reference.name.clone(), reference.version);
        self.entries.get_mut(partition).is_some_and(|entries| entries.remove(&key).is_some())
    }

    fn insert(&mut self, partition: &PartitionName, entry: &Entry) {
        let key = (entry.description.name.clone(), entry.version);
        self.entries.entry(partition.clone()).or_default().insert(key, entry.clone());
    }

    /// Versions of a name, oldest first.
    fn versions(&self, partition: &PartitionName, name: &DataName) -> Vec<Version> {
        let entries = self.entries.get(partition).into_iter().flat_map(|entries| entries.keys());
        entries.filter(|(found, _)| found == name).map(|(_, version)| *version).collect()
    }

    fn commit(&mut self, changes: &ChangeSet) -> PushReceipt {
        let partition = &changes.partition;
        let mut removed: Vec<VersionReference> =
            changes.remove.iter().filter(|reference| self.remove(partition, reference)).cloned().collect();
        let mut entries = Vec::new();
        for new in &changes.append {
            let name = new.description.name.clone();
            let newest = self.newest.entry((partition.clone(), name.clone())).or_default();
            *newest = new.version.map_or(*newest + 1, |version| version.0);
            let version = Version(*newest);
            let entry = Entry { description: new.description.clone(), version, location: String::new() };
            self.insert(partition, &entry);
            entries.push(entry);
            let versions = self.versions(partition, &name);
            let kept = new.version_cap.map_or(usize::MAX, |cap| cap.max(1) as usize);
            for version in versions.iter().take(versions.len().saturating_sub(kept)) {
                let reference = VersionReference { name: name.clone(), version: *version };
                self.remove(partition, &reference);
                removed.push(reference);
            }
        }
        let count = self.commits.entry(partition.clone()).or_default();
        *count += 1;
        let version = count.to_string();
        self.known.insert(partition.clone(), version.clone());
        PushReceipt::local(entries, removed, version)
    }

    fn apply(&mut self, delta: &PartitionDelta) {
        let partition = &delta.partition;
        if delta.mode == DeltaMode::Changed {
            self.unread.insert(partition.clone(), delta.version.clone());
            return;
        }
        let target = (partition.clone(), delta.version.clone());
        if delta.mode == DeltaMode::Replace && self.known.get(partition) != Some(&delta.version) {
            self.replacing.entry(target.clone()).or_default();
        }
        for pulled in &delta.entries {
            self.insert(partition, &pulled.entry);
            if let Some(named) = self.replacing.get_mut(&target) {
                named.insert((pulled.entry.description.name.clone(), pulled.entry.version));
            }
        }
        for reference in &delta.removed {
            self.remove(partition, reference);
        }
        if delta.continues {
            return;
        }
        if let Some(named) = self.replacing.remove(&target) {
            self.entries.entry(partition.clone()).or_default().retain(|key, _| named.contains(key));
        }
        self.known.insert(partition.clone(), delta.version.clone());
        self.unread.remove(partition);
    }

    /// The newest committed version of a public name that is not of a failed run.
    fn is_newest(&self, stored: &StoredEntry) -> bool {
        let description = &stored.entry.description;
        let newer = |entry: &Entry| {
            entry.description.name == description.name
                && entry.version > stored.entry.version
                && !entry.description.of_failed_run
        };
        let entries = self.entries.get(&stored.partition);
        !description.name.is_reserved()
            && !description.of_failed_run
            && !entries.is_some_and(|entries| entries.values().any(newer))
    }

    /// Everything, in the order of a listing.
    fn all(&self) -> Vec<StoredEntry> {
        let uncommitted = self.pending.iter().rev().flat_map(|pending| {
            pending.changes.append.iter().map(|new| StoredEntry {
                partition: pending.changes.partition.clone(),
                entry: Entry { description: new.description.clone(), version: Version(0), location: String::new() },
                state: StoredState::Uncommitted,
            })
        });
        let committed = self.entries.iter().flat_map(|(partition, entries)| {
            entries.values().rev().map(|entry| {
                let here = self.contents.contains_key(&entry.description.digest);
                let state = if here { StoredState::Here } else { StoredState::Remote };
                StoredEntry { partition: partition.clone(), entry: entry.clone(), state }
            })
        });
        let mut all: Vec<StoredEntry> = uncommitted.chain(committed).collect();
        // Stable: of one name the uncommitted come first, and versions fall.
        all.sort_by(|one, other| place(one).cmp(&place(other)));
        all
    }
}

type MissingKey = (PartitionName, String, DataName, Version);

fn missing_position(stored: &StoredEntry) -> MissingKey {
    let entry = &stored.entry;
    (stored.partition.clone(), entry.location.clone(), entry.description.name.clone(), entry.version)
}

fn key_of(position: &MissingPosition) -> MissingKey {
    (position.partition.clone(), position.location.clone(), position.name.clone(), position.version)
}

fn place(stored: &StoredEntry) -> (&PartitionName, &DataName) {
    (&stored.partition, &stored.entry.description.name)
}

fn passes(filter: &EntryFilter, stored: &StoredEntry) -> bool {
    let (partition, name) = place(stored);
    filter.partition.as_ref().is_none_or(|wanted| wanted == partition)
        && filter.name.as_ref().is_none_or(|wanted| wanted == name)
        && filter.name_prefix.as_ref().is_none_or(|prefix| name.as_str().starts_with(prefix))
        && filter.after.as_ref().is_none_or(|(after, last)| (partition, name) > (after, last))
        && !(filter.committed_only && stored.state == StoredState::Uncommitted)
        && !(filter.public_only && name.is_reserved())
        && !(filter.latest_only && stored.entry.description.of_failed_run)
}

impl Spool for MemoryStore {
    fn begin(&self) -> Result<Box<dyn SpoolWriter>, StoreError> {
        Ok(Box::new(MemorySpool(Vec::new())))
    }
}

struct MemorySpool(Vec<u8>);

impl SpoolWriter for MemorySpool {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<SharedContent, StoreError> {
        Ok(content::in_memory(self.0))
    }
}

impl Replica for MemoryStore {
    fn known(&self, partitions: &[PartitionName]) -> Result<Vec<Option<String>>, StoreError> {
        let state = self.state();
        Ok(partitions.iter().map(|partition| state.known.get(partition).cloned()).collect())
    }

    fn cached(&self, key: &str) -> Result<Option<SharedContent>, StoreError> {
        let digest = self.state().cache.get(key).copied();
        digest.map_or(Ok(None), |digest| self.content(&digest))
    }

    fn cache(&self, key: &str, content: &SharedContent) -> Result<(), StoreError> {
        let bytes = content::read_all(&**content, u64::MAX).map_err(|error| inconsistent(&error.to_string()))?;
        let digest = Digest::of(&bytes);
        let mut state = self.state();
        state.contents.insert(digest, bytes);
        state.cache.insert(key.to_owned(), digest);
        Ok(())
    }
}

impl LocalStore for MemoryStore {
    fn commit(&self, changes: &ChangeSet) -> Result<PushReceipt, StoreError> {
        if let Some((partition, receipt)) = self.state().receipts.get(&changes.commit_id) {
            let same = *partition == changes.partition;
            return if same { Ok(receipt.clone()) } else { Err(inconsistent("made in another partition")) };
        }
        let contents = contents_of(changes)?;
        let mut state = self.state();
        state.contents.extend(contents);
        let receipt = state.commit(changes);
        state.receipts.insert(changes.commit_id.clone(), (changes.partition.clone(), receipt.clone()));
        Ok(receipt)
    }

    fn stage(&self, changes: &ChangeSet, now_ms: u64) -> Result<(), StoreError> {
        let contents = contents_of(changes)?;
        let mut state = self.state();
        if let Some(pending) = state.pending.iter().find(|pending| pending.changes.commit_id == changes.commit_id) {
            let same = pending.changes.partition == changes.partition;
            return if same { Ok(()) } else { Err(inconsistent("staged for another partition")) };
        }
        state.contents.extend(contents);
        state.pending.push(PendingCommit { changes: changes.clone(), staged_at_ms: now_ms });
        Ok(())
    }

    fn pending(&self, partition: Option<&PartitionName>) -> Result<Vec<PendingCommit>, StoreError> {
        let wanted = |pending: &&PendingCommit| partition.is_none_or(|wanted| *wanted == pending.changes.partition);
        Ok(self.state().pending.iter().filter(wanted).cloned().collect())
    }

    fn confirm(&self, commit: &CommitId, partition: &PartitionName, receipt: &PushReceipt) -> Result<(), StoreError> {
        let mut state = self.state();
        let position = state.pending.iter().position(|pending| pending.changes.commit_id == *commit);
        let Some(position) = position else { return Ok(()) };
        let changes = &state.pending[position].changes;
        let described = |entry: &Entry| (entry.description.name.clone(), entry.description.digest);
        let staged: Vec<_> = receipt
            .confirmed(&changes.append)
            .map(|new| (new.description.name.clone(), new.description.digest))
            .collect();
        let same = staged == receipt.entries.iter().map(described).collect::<Vec<_>>();
        if !same || changes.partition != *partition || receipt.entries.iter().any(|entry| entry.version.0 == 0) {
            return Err(inconsistent("the receipt is not about what was committed"));
        }
        let contradicts = |entry: &&Entry| {
            let key = (entry.description.name.clone(), entry.version);
            let known = state.entries.get(partition).and_then(|entries| entries.get(&key));
            let origin = |entry: &Entry| (entry.description.digest, entry.description.run_id.clone());
            known.is_some_and(|known| origin(known) != origin(entry))
        };
        if let Some(entry) = receipt.entries.iter().find(contradicts) {
            let reason = format!("{} version {}", entry.description.name, entry.version);
            return Err(StoreError::Contradicted { path: "memory".to_owned(), reason });
        }
        receipt.entries.iter().for_each(|entry| state.insert(partition, entry));
        for reference in &receipt.removed {
            state.remove(partition, reference);
        }
        state.pending.remove(position);
        state.known.insert(partition.clone(), receipt.version.clone());
        Ok(())
    }

    fn discard(&self, commit: &CommitId) -> Result<(), StoreError> {
        self.state().pending.retain(|pending| pending.changes.commit_id != *commit);
        Ok(())
    }

    fn apply(&self, delta: &PartitionDelta) -> Result<(), StoreError> {
        let mut contents = Vec::new();
        for pulled in &delta.entries {
            if pulled.entry.version.0 == 0 {
                return Err(inconsistent("versions begin with 1"));
            }
            if let Some(content) = &pulled.content {
                let digest = pulled.entry.description.digest;
                contents.push((digest, checked(content, &digest)?));
            }
        }
        let mut state = self.state();
        state.contents.extend(contents);
        state.apply(delta);
        Ok(())
    }

    fn entries(&self, filter: &EntryFilter) -> Result<Vec<StoredEntry>, StoreError> {
        let mut all = self.state().all();
        all.retain(|stored| passes(filter, stored));
        if filter.latest_only {
            all.dedup_by(|later, first| place(later) == place(first));
        }
        let limit = filter.limit.map_or(usize::MAX, |limit| limit.max(1) as usize);
        let mut page: Vec<StoredEntry> = Vec::new();
        for name in all.chunk_by(|one, other| place(one) == place(other)) {
            if !page.is_empty() && page.len() + name.len() > limit {
                break;
            }
            page.extend_from_slice(name);
        }
        Ok(page)
    }

    fn content(&self, digest: &Digest) -> Result<Option<SharedContent>, StoreError> {
        Ok(self.state().contents.get(digest).map(|bytes| content::in_memory(bytes.clone())))
    }

    fn keep_all(&self, contents: &[(Digest, SharedContent)]) -> Result<(), StoreError> {
        let checked = |(digest, content): &(Digest, SharedContent)| Ok((*digest, checked(content, digest)?));
        let checked: Vec<_> = contents.iter().map(checked).collect::<Result<_, StoreError>>()?;
        self.state().contents.extend(checked);
        Ok(())
    }

    fn missing(&self, filter: &MissingFilter) -> Result<Vec<StoredEntry>, StoreError> {
        let state = self.state();
        let mut missing: Vec<StoredEntry> =
            state.all().into_iter().filter(|stored| stored.state == StoredState::Remote).collect();
        missing.retain(|stored| filter.partition.as_ref().is_none_or(|wanted| *wanted == stored.partition));
        missing.retain(|stored| !filter.newest_only || state.is_newest(stored));
        missing.sort_by_key(missing_position);
        missing.retain(|stored| filter.after.as_ref().is_none_or(|after| missing_position(stored) > key_of(after)));
        missing.truncate(filter.limit.map_or(usize::MAX, |limit| limit as usize));
        Ok(missing)
    }

    fn missing_total(&self, partition: Option<&PartitionName>) -> Result<Missing, StoreError> {
        let filter = MissingFilter { partition: partition.cloned(), ..MissingFilter::default() };
        let missing = self.missing(&filter)?;
        let bytes = missing.iter().map(|stored| stored.entry.description.size).sum();
        Ok(Missing { entries: missing.len() as u64, bytes })
    }

    fn unread(&self) -> Result<Vec<PartitionName>, StoreError> {
        Ok(self.state().unread.keys().cloned().collect())
    }

    fn mark_read(&self, partitions: &[PartitionName]) -> Result<(), StoreError> {
        self.state().unread.retain(|partition, _| !partitions.contains(partition));
        Ok(())
    }

    fn distrust(&self, partition: &PartitionName) -> Result<(), StoreError> {
        let mut state = self.state();
        if let Some(forgotten) = state.known.remove(partition) {
            // It is still a partition of which something is known.
            state.unread.entry(partition.clone()).or_insert(forgotten);
        }
        Ok(())
    }

    fn partitions(&self) -> Result<Vec<PartitionName>, StoreError> {
        let state = self.state();
        let pending = state.pending.iter().map(|pending| &pending.changes.partition);
        let partitions: BTreeSet<_> = state.known.keys().chain(state.unread.keys()).chain(pending).cloned().collect();
        Ok(partitions.into_iter().collect())
    }

    fn note(&self, key: &str) -> Result<Option<String>, StoreError> {
        Ok(self.state().notes.get(key).cloned())
    }

    fn writable(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn set_note(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.state().notes.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    fn collect(&self) -> Result<u64, StoreError> {
        let mut state = self.state();
        let mut used: BTreeSet<Digest> = state.all().iter().map(|stored| stored.entry.description.digest).collect();
        used.extend(state.cache.values());
        let mut freed = 0;
        state.contents.retain(|digest, bytes| {
            let keep = used.contains(digest);
            freed += if keep { 0 } else { bytes.len() as u64 };
            keep
        });
        Ok(freed)
    }
}
