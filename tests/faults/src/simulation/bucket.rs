//! The store's true state: objects, conditions, its own clock. What is done here is done at once and completely; everything
//! that goes wrong goes wrong on the way (`network`), or is done to the objects on purpose.

use std::collections::BTreeMap;
use std::sync::Arc;

use peat_chain::head::Head;
use peat_chain::keys;

use super::scheduler::Process;

/// One object.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    /// Its bytes.
    pub bytes: Arc<Vec<u8>>,
    /// Fresh with every write.
    pub etag: String,
    /// By the store's clock, milliseconds.
    pub modified_ms: u64,
}

/// When a write may happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// Whatever is there.
    Always,
    /// Nothing is there.
    Absent,
    /// This ETag is there.
    Matches(String),
}

/// What a process asks of the store.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    /// Reads an object, unless it still has that ETag.
    Get { key: String, unless: Option<String> },
    /// Reads parts of an object: offset and length.
    GetRanges { key: String, ranges: Vec<(u64, u64)> },
    /// Writes an object.
    Put { key: String, bytes: Arc<Vec<u8>>, condition: Condition },
    /// Copies an object inside the store, where nothing is yet.
    Copy { source: String, key: String },
    /// A page of keys.
    List { prefix: String, cursor: Option<String> },
    /// Deletes objects.
    Delete { keys: Vec<String> },
}

/// One object of a listing.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Its ETag.
    pub etag: String,
    /// By the store's clock.
    pub modified_ms: u64,
}

/// What the store answers.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// An object, and the store's clock.
    Object(Listed, Arc<Vec<u8>>, u64),
    /// It has not changed.
    NotModified,
    /// Parts of an object.
    Parts(Vec<Vec<u8>>),
    /// It was written and has this ETag now.
    Written(String),
    /// A page of keys, the cursor of the next one, and the store's clock.
    Listing(Vec<Listed>, Option<String>, u64),
    /// It was deleted.
    Deleted,
    /// There is no such object.
    NotFound,
    /// The condition did not hold.
    Conflict,
    /// The ranges are not in it.
    BadRange,
}

/// A change of one object, for whoever watches the true state.
#[derive(Debug, Clone)]
pub(super) struct Change {
    /// Who asked for it.
    pub by: Process,
    /// The object.
    pub key: String,
    /// Its bytes before and its time then.
    pub before: Option<Stored>,
    /// Its bytes now; none when it was deleted.
    pub after: Option<Stored>,
    /// Under which condition it was written.
    pub condition: Condition,
}

/// Keys of one page.
const PAGE_KEYS: usize = 1_000;

/// The objects.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// It accepts conditions and does not look at them.
    ignores_conditions: bool,
    objects: BTreeMap<String, Stored>,
    before: BTreeMap<String, Option<Stored>>,
    /// What damaged objects held.
    good: BTreeMap<String, Stored>,
    writes: u64,
}

impl Bucket {
    /// From now on conditions are accepted and ignored.
    pub(super) fn ignore_conditions(&mut self) {
        self.ignores_conditions = true;
    }

    /// An object as it was written: damage is not the truth.
    pub(super) fn truth(&self, key: &str) -> Option<&Stored> {
        self.good.get(key).or_else(|| self.objects.get(key))
    }

    /// Whether it was damaged on purpose and not yet restored.
    pub(super) fn is_damaged(&self, key: &str) -> bool {
        self.good.contains_key(key)
    }

    /// Keys of what is damaged.
    pub(super) fn damaged(&self) -> Vec<String> {
        self.good.keys().cloned().collect()
    }

    /// Keys that begin so.
    pub(super) fn keys(&self, prefix: &str) -> Vec<String> {
        self.objects.keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }

    /// Overwrites an object behind everybody's back with what `harm` makes of it; it has a new ETag.
    pub(super) fn damage(&mut self, key: &str, now_ms: u64, harm: impl FnOnce(&[u8]) -> Vec<u8>) {
        if let Some(good) = self.objects.get(key).filter(|_| !self.good.contains_key(key)).cloned() {
            let bad = harm(&good.bytes);
            self.good.insert(key.to_owned(), good);
            self.store(key, &Arc::new(bad), now_ms);
        }
    }

    /// Takes the marks out of all heads of a namespace behind everybody's back; they have new ETags.
    pub(super) fn unmark_heads(&mut self, namespace: &str, now_ms: u64) {
        for key in self.keys(&format!("{namespace}/_index/")) {
            let Some(partition) = keys::partition_of_head(namespace, &key).map(str::to_owned) else { continue };
            let head = self.truth(&key).and_then(|stored| Head::decode(&key, &partition, &stored.bytes).ok());
            if let Some(mut head) = head {
                head.unmark();
                self.store(&key, &Arc::new(head.encode()), now_ms);
            }
        }
    }

    /// Puts back what a damaged object held, as from a backup; it has a new ETag.
    pub(super) fn restore(&mut self, key: &str, now_ms: u64) {
        if let Some(good) = self.good.remove(key) {
            self.store(key, &good.bytes, now_ms);
        }
    }

    /// Does it. Changes are told in `changes`. With `stale`, a listing shows each object as it was one change ago.
    pub(super) fn perform(
        &mut self,
        by: Process,
        operation: &Operation,
        now_ms: u64,
        stale: bool,
        changes: &mut Vec<Change>,
    ) -> Reply {
        match operation {
            Operation::Get { key, unless } => match self.objects.get(key) {
                None => Reply::NotFound,
                Some(stored) if unless.as_ref() == Some(&stored.etag) => Reply::NotModified,
                Some(stored) => Reply::Object(listed(key, stored), Arc::clone(&stored.bytes), now_ms),
            },
            Operation::GetRanges { key, ranges } => match self.objects.get(key) {
                None => Reply::NotFound,
                Some(stored) => {
                    let part = |range: &(u64, u64)| {
                        stored.bytes.get(range.0 as usize..(range.0 + range.1) as usize).map(<[u8]>::to_vec)
                    };
                    ranges.iter().map(part).collect::<Option<_>>().map_or(Reply::BadRange, Reply::Parts)
                }
            },
            Operation::Put { key, bytes, condition } => {
                let mut before = self.objects.get(key).cloned();
                let holds = match (condition, &before) {
                    (Condition::Always, _) | (Condition::Absent, None) => true,
                    (Condition::Absent, Some(_)) | (Condition::Matches(_), None) => false,
                    (Condition::Matches(etag), Some(stored)) => *etag == stored.etag,
                };
                if !holds && !self.ignores_conditions {
                    return Reply::Conflict;
                }
                // The same bytes again, from a request that was repeated: that repairs it.
                if self.good.get(key).is_some_and(|good| good.bytes == *bytes) {
                    before = self.good.remove(key);
                }
                let etag = self.store(key, bytes, now_ms);
                let after = self.objects.get(key).cloned();
                changes.push(Change { by, key: key.clone(), before, after, condition: condition.clone() });
                Reply::Written(etag)
            }
            Operation::Copy { source, key } => match self.objects.get(source).map(|stored| Arc::clone(&stored.bytes)) {
                None => Reply::NotFound,
                Some(bytes) => {
                    let put = Operation::Put { key: key.clone(), bytes, condition: Condition::Absent };
                    self.perform(by, &put, now_ms, stale, changes)
                }
            },
            Operation::List { prefix, cursor } => self.list(prefix, cursor.as_deref(), now_ms, stale),
            Operation::Delete { keys } => {
                for key in keys {
                    if let Some(before) = self.objects.remove(key) {
                        self.before.insert(key.clone(), Some(before.clone()));
                        let condition = Condition::Always;
                        changes.push(Change { by, key: key.clone(), before: Some(before), after: None, condition });
                    }
                }
                Reply::Deleted
            }
        }
    }

    fn list(&self, prefix: &str, cursor: Option<&str>, now_ms: u64, stale: bool) -> Reply {
        let mut seen: BTreeMap<&String, &Stored> =
            self.objects.iter().filter(|(key, _)| key.starts_with(prefix)).collect();
        if stale {
            for (key, before) in self.before.iter().filter(|(key, _)| key.starts_with(prefix)) {
                match before {
                    Some(stored) => seen.insert(key, stored),
                    None => seen.remove(key),
                };
            }
        }
        let after = cursor.unwrap_or_default();
        let mut page: Vec<Listed> =
            seen.into_iter().filter(|(key, _)| key.as_str() > after).map(|(key, stored)| listed(key, stored)).collect();
        let more = page.len() > PAGE_KEYS;
        page.truncate(PAGE_KEYS);
        let cursor = page.last().filter(|_| more).map(|last| last.key.clone());
        Reply::Listing(page, cursor, now_ms)
    }

    fn store(&mut self, key: &str, bytes: &Arc<Vec<u8>>, now_ms: u64) -> String {
        self.writes += 1;
        let etag = format!("e{}", self.writes);
        let stored = Stored { bytes: Arc::clone(bytes), etag: etag.clone(), modified_ms: now_ms };
        let before = self.objects.insert(key.to_owned(), stored);
        self.before.insert(key.to_owned(), before);
        etag
    }
}

fn listed(key: &str, stored: &Stored) -> Listed {
    Listed {
        key: key.to_owned(),
        size: stored.bytes.len() as u64,
        etag: stored.etag.clone(),
        modified_ms: stored.modified_ms,
    }
}
