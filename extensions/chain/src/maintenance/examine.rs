//! What of a partition is over: entries whose lifetime ended, and content whose grace period ended.
//!
//! Only segments are read whose reference says that they hold something of either kind. References know more than they
//! must: a newer record may have changed what they count. Whoever reads a segment corrects its reference in the head.

use std::collections::BTreeMap;

use crate::chain::Chain;
use crate::commit::mark_gone;
use crate::error::Result;
use crate::head::{Head, SegmentReference};
use crate::index::Segments;
use crate::keys;
use crate::limits::{COLLECT_ENTRIES_MAX, COLLECT_OBJECTS_MAX};
use crate::maintenance::CollectRequest;
use crate::ports::World;
use crate::record::{EntryRecord, GoneRecord, Place, Reason, Record};
use crate::root::Address;
use crate::segment::first_expiry;
use crate::spill::merge;
use crate::types::VersionReference;

/// What is over in a partition.
#[derive(Debug, Default)]
pub(super) struct Examined {
    /// Entries whose lifetime is over.
    pub(super) expired: Vec<EntryRecord>,
    /// Objects whose content nobody may want any more.
    pub(super) due: Vec<Due>,
    /// Bytes that left the index and are not due.
    pub(super) waiting_bytes: u64,
    /// Not everything that is over is in here.
    pub(super) more: bool,
}

/// An object to delete, and the marks that remember it.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) key: String,
    pub(super) bytes: u64,
    pub(super) marks: Vec<GoneRecord>,
}

/// What is gone of one object.
#[derive(Debug, Default)]
struct Gone {
    bytes: u64,
    total: u64,
    youngest_ms: u64,
    marks: Vec<GoneRecord>,
}

impl<W: World> Chain<W> {
    /// The records, as they are now, of `recent` and of those segments which may hold something that is over at `now_ms`;
    /// with `everything`, of all. Sorted.
    pub(super) async fn view(
        &self,
        address: Address<'_>,
        segments: &mut Segments,
        head: &Head,
        now_ms: u64,
        everything: bool,
    ) -> Result<Vec<Record>> {
        let wanted: Vec<SegmentReference> = head
            .segments
            .iter()
            .filter(|segment| everything || has_something(head, segment, now_ms))
            .cloned()
            .collect();
        let is_wanted = |buffer: &&SegmentReference| !wanted.is_empty() || has_something(head, buffer, now_ms);
        let buffer: Vec<SegmentReference> =
            head.buffer.iter().filter(|buffer| everything || is_wanted(buffer)).cloned().collect();
        let both: Vec<SegmentReference> = wanted.iter().chain(&buffer).cloned().collect();
        self.load_segments(address, segments, &both).await?;
        let mut sorted = Vec::new();
        for reference in &wanted {
            sorted.extend(self.segment(address, segments, reference).await?.iter().cloned());
        }
        let mut buffered = Vec::new();
        for reference in &buffer {
            buffered.extend(self.segment(address, segments, reference).await?.iter().cloned());
        }
        Ok(merge(sorted, merge(buffered, head.recent.clone())))
    }

    /// Lowers what the references of segments that were read count to what newer records have left of it.
    pub(super) async fn correct_references(
        &self,
        address: Address<'_>,
        segments: &mut Segments,
        head: &mut Head,
        now_ms: u64,
    ) -> Result<()> {
        let mut over = Vec::new();
        if let Some(mut reference) = head.buffer.clone().filter(|buffer| segments.has(buffer)) {
            let buffered = self.segment(address, segments, &reference).await?;
            correct(&mut reference, &buffered, &[&head.recent]);
            head.buffer = Some(reference);
            over = buffered.to_vec();
        }
        for index in 0..head.segments.len() {
            let mut reference = head.segments[index].clone();
            if has_something(head, &reference, now_ms) && segments.has(&reference) {
                let records = self.segment(address, segments, &reference).await?;
                correct(&mut reference, &records, &[&over, &head.recent]);
                head.segments[index] = reference;
            }
        }
        Ok(())
    }
}

/// What is over among these records.
pub(super) fn examine(address: Address<'_>, records: &[Record], request: &CollectRequest) -> Examined {
    let mut examined = Examined::default();
    let mut gone: BTreeMap<String, Gone> = BTreeMap::new();
    for record in records {
        match record {
            Record::Entry(entry) if entry.expires_ms().is_some_and(|expires_ms| expires_ms <= request.now_ms) => {
                if examined.expired.len() == COLLECT_ENTRIES_MAX {
                    examined.more = true;
                } else {
                    examined.expired.push(entry.clone());
                }
            }
            Record::Entry(_) => {}
            Record::Gone(mark) => {
                let Some(rest) = &mark.rest else { continue };
                let (key, total) = match &rest.place {
                    Place::Pack { id, total, .. } => (keys::pack(address.namespace, address.partition, id), *total),
                    Place::Object { id } => (keys::object(address.namespace, address.partition, id), rest.size),
                    Place::Inline(_) => continue,
                };
                let gone = gone.entry(key).or_default();
                gone.bytes = gone.bytes.saturating_add(rest.size);
                gone.total = gone.total.max(total);
                gone.youngest_ms = gone.youngest_ms.max(mark.since_ms);
                gone.marks.push(mark.clone());
            }
        }
    }
    for (key, gone) in gone {
        let is_over = request.now_ms.saturating_sub(gone.youngest_ms) >= request.grace_ms;
        if gone.bytes < gone.total || !is_over {
            examined.waiting_bytes = examined.waiting_bytes.saturating_add(gone.bytes);
        } else if examined.due.len() == COLLECT_OBJECTS_MAX {
            examined.more = true;
        } else {
            examined.due.push(Due { key, bytes: gone.bytes, marks: gone.marks });
        }
    }
    examined
}

/// Entries leave the index of `head`, in the commit it is about to be.
pub(super) fn expire(head: &mut Head, expired: &[EntryRecord], now_ms: u64) -> Vec<VersionReference> {
    expired.iter().map(|entry| mark_gone(head, entry, Reason::Expired, now_ms)).collect()
}

/// The content of these marks was deleted.
pub(super) fn forget_content(head: &mut Head, marks: &[GoneRecord]) {
    for mark in marks {
        let size = mark.rest.as_ref().map_or(0, |rest| rest.size);
        head.totals.tombstones = head.totals.tombstones.saturating_sub(1);
        head.totals.tombstone_bytes = head.totals.tombstone_bytes.saturating_sub(size);
        head.put_recent(Record::Gone(GoneRecord { rest: None, ..mark.clone() }));
    }
}

/// The segment may hold an entry whose lifetime is over, or content that is to be deleted.
fn has_something(head: &Head, segment: &SegmentReference, now_ms: u64) -> bool {
    let expires = segment.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms);
    expires || (head.totals.tombstones > 0 && segment.tombstones > 0)
}

/// `reference` counts those of `records` which none of the sorted lists in `over` replaces.
fn correct(reference: &mut SegmentReference, records: &[Record], over: &[&[Record]]) {
    let is_replaced = |record: &&Record| {
        over.iter().any(|over| over.binary_search_by(|other| other.key().cmp(&record.key())).is_ok())
    };
    let left = || records.iter().filter(|record| !is_replaced(record));
    reference.tombstones = left().filter(|record| record.has_rest()).count() as u64;
    reference.expires_ms = first_expiry(left());
}
