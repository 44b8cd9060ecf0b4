//! A partition's head: lease and index root in one object, changed only by compare-and-swap.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::integrity;
use crate::keys;
use crate::limits::{
    COMMITS_REMEMBERED, FORMAT, HEAD_BYTES_MAX, HOLDER_TEXT_CHARACTERS, IDENTITY_BYTES_MAX, NUMBER_MAX,
};
use crate::ports::Holder;
use crate::record::Record;

/// The root record of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Head {
    /// [`FORMAT`].
    pub format: u32,
    /// The partition it belongs to, so that a misplaced copy is noticed.
    pub partition: String,
    /// Made with the head: a head that was deleted and made again is another one.
    pub lineage: String,
    /// Grows with every acquisition, takeover and break.
    pub epoch: u64,
    /// Grows by one with every commit.
    pub sequence: u64,
    /// Fresh for every write: equal heads would have equal ETags in some stores.
    pub nonce: String,
    /// Who may commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseRecord>,
    /// Whose turn it is after a release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
    /// Whoever writes asks the namespace root first (`gate`): the id of what put it here. A head that was just made has it, one
    /// that a structural lock was waiting for, and one that came with a move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarded: Option<String>,
    /// The same, because nothing may be committed any more: the id of a move, fold or deletion. Void when the namespace root
    /// is active: what sealed it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
    /// Grows with every sweep of orphans: an upload that began under an older number may have been swept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sweeps: u64,
    /// Names without any record have had versions up to this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub version_floor: u64,
    /// Every new version is above this one: what was given before a repair of the index may not be known any more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub version_base: u64,
    /// Replicas that know less than this sequence cannot be extended: marks of what is gone were dropped.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub horizon: u64,
    /// In a run scope: the sequence up to which everything is the parent's, or was folded into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inherited: Option<u64>,
    /// In a run scope: the epoch of the parent's head that this one is a copy of, until the first commit. Who holds the
    /// partition looks whether the parent's is still that one: a collection that began before the copy was there has not
    /// seen that something reads what it deletes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_at: Option<u64>,
    /// What the index holds.
    pub totals: Totals,
    /// The last commits, oldest first.
    pub commits: Vec<CommitRecord>,
    /// The segment that `recent` spills into. Its records win over those of `segments`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffer: Option<SegmentReference>,
    /// Sorted segments whose key ranges do not overlap, in order of `first`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<SegmentReference>,
    /// Records not yet in a segment, sorted by key. They win over all others.
    pub recent: Vec<Record>,
}

/// Who may commit, until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LeaseRecord {
    /// Who.
    pub holder: Holder,
    /// Unique per acquisition; the same over renewals.
    pub nonce: String,
    /// Time to live after each renewal.
    pub ttl_ms: u64,
    /// By the holder's clock.
    pub acquired_at_ms: u64,
    /// Counts the renewals.
    pub beat: u64,
    /// The ticket its holder waited with, which is in the queue no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

/// Whose turn it is after a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Next {
    /// The ticket of that waiter.
    pub ticket: String,
    /// How long others leave it to them, from the release on.
    pub respected_ms: u64,
}

/// A commit that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommitRecord {
    /// Its identity.
    pub id: String,
    /// Its sequence.
    pub sequence: u64,
}

/// What the index holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Totals {
    /// Committed versions.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Versions that left, whose content is still to be deleted.
    pub tombstones: u64,
    /// Bytes of that content.
    pub tombstone_bytes: u64,
}

/// An immutable segment of the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SegmentReference {
    /// SHA-256 of its object, hexadecimal: name and check in one.
    pub digest: String,
    /// Name of its first record.
    pub first: String,
    /// Version of its first record.
    pub first_version: u64,
    /// Records.
    pub records: u64,
    /// Bytes of the object.
    pub bytes: u64,
    /// Highest sequence of a record in it.
    pub newest: u64,
    /// Records whose content is to be deleted. Never too few: collectors lower it to what newer records left of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tombstones: u64,
    /// When the first lifetime of an entry in it is over, milliseconds since the Unix epoch. Never too late: collectors move
    /// it on when that entry is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
}

impl Head {
    /// The head of a partition nobody has used yet.
    pub fn new(partition: &str, lineage: String) -> Self {
        Self {
            format: FORMAT,
            partition: partition.to_owned(),
            lineage,
            epoch: 0,
            sequence: 0,
            nonce: String::new(),
            lease: None,
            next: None,
            guarded: None,
            sealed: None,
            sweeps: 0,
            version_floor: 0,
            version_base: 0,
            horizon: 0,
            inherited: None,
            copied_at: None,
            totals: Totals::default(),
            commits: Vec::new(),
            buffer: None,
            segments: Vec::new(),
            recent: Vec::new(),
        }
    }

    /// The head of a partition of a run scope that begins with everything the parent has.
    #[must_use]
    pub fn inherited_by_scope(self, lineage: String) -> Self {
        let own = Self::new(&self.partition, lineage);
        Self {
            lineage: own.lineage,
            epoch: own.epoch,
            nonce: own.nonce,
            lease: None,
            next: None,
            guarded: None,
            sealed: None,
            sweeps: own.sweeps,
            inherited: Some(self.sequence),
            copied_at: Some(self.epoch),
            commits: own.commits,
            ..self
        }
    }

    /// Another copy of the parent's head, in the place of an earlier one and with its lease.
    #[must_use]
    pub fn in_place_of(self, earlier: &Self) -> Self {
        Self {
            epoch: earlier.epoch,
            nonce: earlier.nonce.clone(),
            lease: earlier.lease.clone(),
            next: earlier.next.clone(),
            guarded: earlier.guarded.clone(),
            sealed: earlier.sealed.clone(),
            ..self
        }
    }

    /// The same partition in the namespace it moves to.
    #[must_use]
    pub fn moved(&self) -> Self {
        let epoch = self.epoch + 1;
        Self { epoch, nonce: String::new(), lease: None, next: None, guarded: None, sealed: None, ..self.clone() }
    }

    /// Whether it is written only by whoever asked the namespace root after reading it.
    pub fn is_marked(&self) -> bool {
        self.guarded.is_some() || self.sealed.is_some()
    }

    /// What marked it is over.
    pub fn unmark(&mut self) {
        self.guarded = None;
        self.sealed = None;
    }

    /// Whether both hold the same commits.
    pub fn same_content(&self, other: &Self) -> bool {
        let content = |head: &Self| Self { epoch: 0, ..head.moved() };
        content(self) == content(other)
    }

    /// Reads and checks the bytes of `key`. Untrusted: anything wrong is an error that names the key.
    pub fn decode(key: &str, partition: &str, bytes: &[u8]) -> Result<Self> {
        let head: Self = integrity::unseal(key, bytes, HEAD_BYTES_MAX)?;
        match head.fault(partition) {
            Some(fault) => Err(Error::corrupt(key, fault)),
            None => Ok(head),
        }
    }

    /// The bytes to write, with their checksum.
    pub fn encode(&self) -> Vec<u8> {
        integrity::seal(self)
    }

    /// How many bytes `encode` would answer.
    pub(crate) fn encoded_bytes(&self) -> usize {
        integrity::sealed_bytes(self)
    }

    /// The commit with this id, if it is remembered.
    pub fn commit(&self, id: &str) -> Option<&CommitRecord> {
        self.commits.iter().find(|commit| commit.id == id)
    }

    /// Puts a record in its place in `recent`, instead of an older one with the same key.
    pub fn put_recent(&mut self, record: Record) {
        match self.recent.binary_search_by(|other| other.key().cmp(&record.key())) {
            Ok(found) => self.recent[found] = record,
            Err(place) => self.recent.insert(place, record),
        }
    }

    /// Remembers a commit and forgets the oldest.
    pub fn remember_commit(&mut self, id: &str) {
        self.commits.push(CommitRecord { id: id.to_owned(), sequence: self.sequence });
        let excess = self.commits.len().saturating_sub(COMMITS_REMEMBERED);
        self.commits.drain(..excess);
    }

    fn fault(&self, partition: &str) -> Option<String> {
        if self.partition != partition {
            return Some(format!("it belongs to partition {:?}", shortened(&self.partition)));
        }
        if self.nonce.len() > IDENTITY_BYTES_MAX || !keys::is_identity(&self.lineage) {
            return Some("its nonce or lineage is not valid".to_owned());
        }
        let Totals { entries, bytes, tombstones, tombstone_bytes } = self.totals;
        let numbers = [self.epoch, self.sequence, self.sweeps, self.version_floor, self.version_base, self.horizon];
        if numbers.iter().chain(&[entries, bytes, tombstones, tombstone_bytes]).any(|number| *number > NUMBER_MAX) {
            return Some("a number in it is too large".to_owned());
        }
        if self.inherited.is_some_and(|inherited| inherited > self.sequence)
            || self.guarded.iter().chain(&self.sealed).any(|id| !keys::is_identity(id))
        {
            return Some("its marks or what it inherits are not valid".to_owned());
        }
        if self.commits.len() > COMMITS_REMEMBERED || self.commits.iter().any(|commit| commit.sequence > self.sequence)
        {
            return Some("its list of commits is not valid".to_owned());
        }
        if let Some(fault) = self.lease.as_ref().and_then(LeaseRecord::fault) {
            return Some(fault);
        }
        if self.buffer.iter().chain(&self.segments).any(|segment| !segment.is_valid(self.sequence)) {
            return Some("a segment reference is not valid".to_owned());
        }
        let key = |segment: &SegmentReference| (segment.first.clone(), segment.first_version);
        if !self.segments.is_sorted_by(|left, right| key(left) < key(right)) {
            return Some("its segments are not in order".to_owned());
        }
        records_fault(&self.recent, self.sequence)
    }
}

impl LeaseRecord {
    /// What is wrong with a lease read from the store.
    pub fn fault(&self) -> Option<String> {
        let texts = [&self.holder.host, &self.holder.boot_id, &self.holder.pid_namespace, &self.holder.command];
        let oversized = texts.iter().any(|text| text.chars().count() > HOLDER_TEXT_CHARACTERS);
        let bad_ticket = self.ticket.as_ref().is_some_and(|ticket| !keys::is_identity(ticket));
        (oversized
            || bad_ticket
            || self.beat > NUMBER_MAX
            || self.nonce.is_empty()
            || self.nonce.len() > IDENTITY_BYTES_MAX)
            .then(|| "its lease is not valid".to_owned())
    }
}

impl SegmentReference {
    fn is_valid(&self, sequence: u64) -> bool {
        let numbers =
            [self.first_version, self.records, self.bytes, self.tombstones, self.expires_ms.unwrap_or_default()];
        keys::is_hexadecimal(&self.digest, 64)
            && keys::is_data_name(&self.first)
            && self.newest <= sequence
            && numbers.iter().all(|number| *number <= NUMBER_MAX)
    }
}

/// What is wrong with sorted records read from the store.
pub(crate) fn records_fault(records: &[Record], sequence: u64) -> Option<String> {
    if !records.is_sorted_by(|left, right| left.key() < right.key()) {
        return Some("its records are not in order".to_owned());
    }
    if records.iter().any(|record| record.sequence() > sequence) {
        return Some("a record is newer than the head".to_owned());
    }
    records.iter().find_map(Record::fault)
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_cannot_be_counted_on_from_is_corrupt() {
        let sound = || Head::new("p", "0".repeat(32));
        assert!(Head::decode("k", "p", &sound().encode()).is_ok());
        let largest = u64::MAX;
        let heads = [
            Head { epoch: largest, ..sound() },
            Head { sequence: largest, ..sound() },
            Head { version_floor: largest, ..sound() },
            Head { totals: Totals { entries: largest, ..Totals::default() }, ..sound() },
            Head { totals: Totals { tombstones: largest, ..Totals::default() }, ..sound() },
        ];
        for head in heads {
            let error = Head::decode("some/key", "p", &head.encode()).unwrap_err();
            assert!(error.message.contains("some/key") && error.message.contains("too large"), "{error}");
        }
    }
}
