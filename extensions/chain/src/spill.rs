//! Keeping the head small: `recent` moves into the buffer segment, and a full buffer is merged into the sorted segments.
//!
//! Only segments whose key range is touched are rewritten. Segments that are no longer named by the head are left behind;
//! a sweep of orphans deletes them.

use std::borrow::Borrow;

use crate::chain::Chain;
use crate::error::Result;
use crate::head::{Head, SegmentReference};
use crate::index::{Segments, segment_cache_key};
use crate::integrity;
use crate::keys;
use crate::limits::{
    BUFFER_BYTES_MAX, BUFFER_RECORDS_MAX, HEAD_SPILL_BYTES, PACK_PARTS_MAX, REFERENCES_BYTES_MAX,
    SEGMENT_BYTES_TARGET_MAX, SEGMENT_RECORDS_TARGET, SEGMENT_SPLIT_FACTOR,
};
use crate::ports::World;
use crate::record::{EntryRecord, Place, Record};
use crate::root::Address;
use crate::segment;

impl<W: World> Chain<W> {
    /// Makes the head small enough to be written. No request while it is; one upload when `recent` moves to the buffer;
    /// some for each touched segment when the buffer is full.
    pub(crate) async fn spill(&self, address: Address<'_>, segments: &mut Segments, head: &mut Head) -> Result<()> {
        if head.encoded_bytes() <= HEAD_SPILL_BYTES {
            return Ok(());
        }
        let buffered = match &head.buffer {
            Some(reference) => self.segment(address, segments, reference).await?.to_vec(),
            None => Vec::new(),
        };
        let overlay = merge(buffered, std::mem::take(&mut head.recent));
        if overlay.len() <= BUFFER_RECORDS_MAX && integrity::json_bytes(&overlay) <= BUFFER_BYTES_MAX {
            head.buffer = Some(self.write_segment(address, &overlay).await?);
            return Ok(());
        }
        head.buffer = None;
        let overlay = self.move_inlined_to_packs(address, overlay).await?;
        self.merge_into_segments(address, segments, head, overlay).await
    }

    async fn merge_into_segments(
        &self,
        address: Address<'_>,
        segments: &mut Segments,
        head: &mut Head,
        overlay: Vec<Record>,
    ) -> Result<()> {
        let parts = parts_of(&head.segments, overlay);
        let touched: Vec<SegmentReference> =
            parts.iter().filter_map(|(index, _)| head.segments.get(*index).cloned()).collect();
        self.load_segments(address, segments, &touched).await?;
        let mut pieces = Vec::new();
        for (index, part) in parts {
            let old = match head.segments.get(index) {
                Some(reference) => self.segment(address, segments, reference).await?.to_vec(),
                None => Vec::new(),
            };
            pieces.extend(split(prune(head, merge(old, part), u64::MAX), SEGMENT_RECORDS_TARGET));
        }
        let kept = head.segments.iter().filter(|segment| !touched.contains(segment)).cloned();
        let mut references: Vec<SegmentReference> = kept.collect();
        references.extend(self.write_segments(address, &pieces).await?);
        sort(&mut references);
        head.segments = self.bounded_references(address, segments, references).await?;
        Ok(())
    }

    /// The references, or, when they take too much of a head, those to fewer and larger segments.
    pub(crate) async fn bounded_references(
        &self,
        address: Address<'_>,
        segments: &mut Segments,
        references: Vec<SegmentReference>,
    ) -> Result<Vec<SegmentReference>> {
        let bytes = integrity::json_bytes(&references);
        if bytes <= REFERENCES_BYTES_MAX {
            return Ok(references);
        }
        self.rewrite_larger(address, segments, &references, bytes).await
    }

    /// All segments anew, so few that their references take half of what they may.
    async fn rewrite_larger(
        &self,
        address: Address<'_>,
        segments: &mut Segments,
        references: &[SegmentReference],
        bytes: usize,
    ) -> Result<Vec<SegmentReference>> {
        self.load_segments(address, segments, references).await?;
        let mut all = Vec::new();
        for reference in references {
            all.extend(self.segment(address, segments, reference).await?.iter().cloned());
        }
        let count = (references.len() * REFERENCES_BYTES_MAX / 2 / bytes.max(1)).max(1);
        let target = all.len().div_ceil(count).max(SEGMENT_RECORDS_TARGET);
        let mut references = self.write_segments(address, &chunks(all, target)).await?;
        sort(&mut references);
        Ok(references)
    }

    pub(crate) async fn write_segments(
        &self,
        address: Address<'_>,
        pieces: &[Vec<Record>],
    ) -> Result<Vec<SegmentReference>> {
        self.all(pieces.iter().map(|piece| self.write_segment(address, piece)).collect()).await
    }

    async fn write_segment(&self, address: Address<'_>, records: &[Record]) -> Result<SegmentReference> {
        let (reference, bytes) = segment::encode(address.partition, &self.new_id(), records);
        let key = keys::segment(address.namespace, address.partition, &reference.digest);
        self.write_immutable(&key, &self.world.blob(&bytes).await?).await?;
        let _ = self.world.cache(&segment_cache_key(&reference.digest), &bytes).await;
        Ok(reference)
    }

    /// Sorted segments hold no content: what was inlined goes to packs, many contents to one.
    async fn move_inlined_to_packs(&self, address: Address<'_>, mut records: Vec<Record>) -> Result<Vec<Record>> {
        let mut inlined: Vec<&mut EntryRecord> = records
            .iter_mut()
            .filter_map(|record| match record {
                Record::Entry(entry) if matches!(&entry.place, Place::Inline(bytes) if !bytes.is_empty()) => {
                    Some(entry)
                }
                _ => None,
            })
            .collect();
        for group in inlined.chunks_mut(PACK_PARTS_MAX) {
            let mut blobs = Vec::with_capacity(group.len());
            for entry in group.iter() {
                if let Place::Inline(bytes) = &entry.place {
                    blobs.push(self.world.blob(bytes).await?);
                }
            }
            let id = self.write_pack(address, &blobs.iter().collect::<Vec<_>>()).await?;
            let total = group.iter().map(|entry| entry.size).sum();
            let mut offset = 0;
            for entry in group.iter_mut() {
                entry.place = Place::Pack { id: id.clone(), offset, total };
                offset += entry.size;
            }
        }
        Ok(records)
    }
}

/// Two sorted lists in one; of two records with the same key the one of `newer` stays.
pub(crate) fn merge<R: Borrow<Record>>(older: Vec<R>, newer: Vec<R>) -> Vec<R> {
    if older.is_empty() {
        return newer;
    }
    let mut merged = Vec::with_capacity(older.len() + newer.len());
    let mut older = older.into_iter().peekable();
    for record in newer {
        while let Some(other) = older.next_if(|other| other.borrow().key() < record.borrow().key()) {
            merged.push(other);
        }
        older.next_if(|other| other.borrow().key() == record.borrow().key());
        merged.push(record);
    }
    merged.extend(older);
    merged
}

/// Drops marks up to `since_ms` that nothing depends on: no content to delete, and not the highest version of their name. When
/// marks are more than half of the records, and of a segment's target, the others go too, into the floor under all new names
/// of the partition.
pub(crate) fn prune(head: &mut Head, records: Vec<Record>, since_ms: u64) -> Vec<Record> {
    let is_mark =
        |record: &Record| matches!(record, Record::Gone(gone) if gone.rest.is_none() && gone.since_ms <= since_ms);
    let marks = records.iter().filter(|record| is_mark(record)).count();
    let crowded = 2 * marks > SEGMENT_RECORDS_TARGET.max(records.len());
    let mut kept: Vec<Record> = Vec::with_capacity(records.len());
    let mut records = records.into_iter().peekable();
    while let Some(record) = records.next() {
        let is_highest = records.peek().is_none_or(|next| next.name() != record.name());
        if !is_mark(&record) || (is_highest && !crowded) {
            kept.push(record);
            continue;
        }
        head.horizon = head.horizon.max(record.sequence());
        if is_highest {
            head.version_floor = head.version_floor.max(record.version());
        }
    }
    kept
}

/// Records by the index of the segment whose key range they fall in.
pub(crate) fn parts_of<R: Borrow<Record>>(segments: &[SegmentReference], records: Vec<R>) -> Vec<(usize, Vec<R>)> {
    let mut parts: Vec<(usize, Vec<R>)> = Vec::new();
    for record in records {
        let index = segment_of(segments, record.borrow().key());
        match parts.last_mut() {
            Some((last, part)) if *last == index => part.push(record),
            _ => parts.push((index, vec![record])),
        }
    }
    parts
}

/// Index of the segment whose key range holds `key`.
pub(crate) fn segment_of(segments: &[SegmentReference], key: (&str, u64)) -> usize {
    segments.partition_point(|segment| (segment.first.as_str(), segment.first_version) <= key).saturating_sub(1)
}

pub(crate) fn split(records: Vec<Record>, target: usize) -> Vec<Vec<Record>> {
    if records.is_empty() {
        return Vec::new();
    }
    let bytes = integrity::json_bytes(&records);
    let too_many = records.len() > target * SEGMENT_SPLIT_FACTOR;
    let by_count = if too_many { records.len().div_ceil(target) } else { 1 };
    let pieces = by_count.max(bytes.div_ceil(SEGMENT_BYTES_TARGET_MAX));
    let length = records.len().div_ceil(pieces);
    chunks(records, length)
}

/// In pieces of `length`; the last may have fewer.
fn chunks(records: Vec<Record>, length: usize) -> Vec<Vec<Record>> {
    let pieces = records.len().div_ceil(length);
    let mut rest = records.into_iter();
    (0..pieces).map(|_| rest.by_ref().take(length).collect()).collect()
}

pub(crate) fn sort(references: &mut [SegmentReference]) {
    references.sort_by(|left, right| (&left.first, left.first_version).cmp(&(&right.first, right.first_version)));
}
