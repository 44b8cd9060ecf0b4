//! Writing anew what takes more room than it must: packs that are less than half alive, and segments that are too many.
//!
//! What a pack still holds is copied to a new one, and its entries say so under a new sequence, so that replicas learn the
//! new place. The old pack is all gone then: it is deleted like everything else that left the index, a grace period later.

use std::collections::{BTreeMap, BTreeSet};

use crate::chain::Chain;
use crate::error::{Error, Result};
use crate::head::{Head, SegmentReference};
use crate::index::Segments;
use crate::keys;
use crate::limits::{PACK_BYTES_MAX, PACK_PARTS_MAX, SEGMENT_RECORDS_TARGET};
use crate::ports::{Range, World};
use crate::record::{EntryRecord, GoneRecord, Place, Record, Rest};
use crate::root::Address;
use crate::spill::{prune, sort, split};

/// Most segments that compaction writes, where their records do not take more: references of 250 bytes, half of what they may
/// take.
const SEGMENTS_WANTED_MAX: usize = 48;

/// What compaction is about to do.
#[derive(Debug, Default)]
pub(super) struct Compaction {
    /// Packs that are less than half alive.
    packs: BTreeSet<String>,
    /// Segments hold less than they could, or marks that nothing depends on.
    merges: bool,
}

impl Compaction {
    /// What all records of a partition call for. Marks stay for replicas until they are older than `grace_ms`.
    pub(super) fn of(head: &Head, records: &[Record], now_ms: u64, grace_ms: u64) -> Self {
        let mut alive: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for entry in records.iter().filter_map(Record::entry) {
            if let Place::Pack { id, total, .. } = &entry.place {
                let counted = alive.entry(id).or_insert((0, *total));
                counted.0 = counted.0.saturating_add(entry.size);
            }
        }
        let packs: BTreeSet<String> = alive
            .into_iter()
            .filter(|(_, (alive, total))| alive.saturating_mul(2) < *total)
            .map(|(id, _)| id.to_owned())
            .collect();
        let (kept, _) = parted(records);
        let before = kept.len();
        let mut scratch = head.clone();
        let after = prune(&mut scratch, kept, now_ms.saturating_sub(grace_ms));
        let kept = after.len();
        let pieces = split(after, records_a_segment(kept)).len();
        let merges = kept < before || head.segments.len() > pieces.max(1);
        Self { packs, merges }
    }

    /// There is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.packs.is_empty() && !self.merges
    }

    /// Entries get another place.
    pub(super) fn moves(&self) -> bool {
        !self.packs.is_empty()
    }
}

impl<W: World> Chain<W> {
    /// Does it to `head`, whose records are `records`, all of them. Reads and writes the living parts of the packs, and all
    /// segments.
    pub(super) async fn compact(
        &self,
        address: Address<'_>,
        head: &mut Head,
        mut records: Vec<Record>,
        compaction: &Compaction,
        (now_ms, grace_ms): (u64, u64),
    ) -> Result<()> {
        if compaction.moves() {
            self.move_to_new_packs(address, head.sequence, &mut records, &compaction.packs).await?;
        }
        let (kept, inlined) = parted(&records);
        let mut kept = prune(head, kept, now_ms.saturating_sub(grace_ms));
        for record in &mut kept {
            restart_grace(record, &compaction.packs, now_ms);
        }
        let target = records_a_segment(kept.len());
        let mut references: Vec<SegmentReference> = self.write_segments(address, &split(kept, target)).await?;
        sort(&mut references);
        head.buffer = None;
        head.segments = self.bounded_references(address, &mut Segments::default(), references).await?;
        head.recent = inlined;
        Ok(())
    }

    /// Copies what is alive in `packs` to new packs.
    async fn move_to_new_packs(
        &self,
        address: Address<'_>,
        sequence: u64,
        records: &mut [Record],
        packs: &BTreeSet<String>,
    ) -> Result<()> {
        let mut moving: Vec<&mut EntryRecord> = records
            .iter_mut()
            .filter_map(|record| match record {
                Record::Entry(entry) => Some(entry),
                Record::Gone(_) => None,
            })
            .filter(|entry| matches!(&entry.place, Place::Pack { id, .. } if packs.contains(id)))
            .collect();
        let mut begin = 0;
        while begin < moving.len() {
            let mut bytes = 0;
            let fits = moving[begin..].iter().take(PACK_PARTS_MAX).take_while(|entry| {
                bytes += entry.size;
                bytes <= PACK_BYTES_MAX
            });
            let end = begin + fits.count().max(1);
            self.move_group(address, sequence, &mut moving[begin..end]).await?;
            begin = end;
        }
        // What the old packs hold now is gone, all of it.
        let mut gone: BTreeMap<String, u64> = BTreeMap::new();
        for (id, size) in records.iter().filter_map(gone_part) {
            if packs.contains(id) {
                *gone.entry(id.to_owned()).or_default() += size;
            }
        }
        for record in records.iter_mut() {
            if let Record::Gone(GoneRecord { rest: Some(Rest { place: Place::Pack { id, total, .. }, .. }), .. }) =
                record
                && let Some(bytes) = gone.get(id)
            {
                *total = *bytes;
            }
        }
        Ok(())
    }

    /// One new pack with the content of these entries.
    async fn move_group(&self, address: Address<'_>, sequence: u64, group: &mut [&mut EntryRecord]) -> Result<()> {
        let mut wanted: BTreeMap<String, Vec<(usize, Range)>> = BTreeMap::new();
        for (index, entry) in group.iter().enumerate() {
            if let Place::Pack { id, offset, .. } = &entry.place {
                let range = Range { offset: *offset, length: entry.size };
                wanted.entry(id.clone()).or_default().push((index, range));
            }
        }
        let mut parts: BTreeMap<usize, W::Blob> = BTreeMap::new();
        for (id, ranges) in &wanted {
            let key = keys::pack(address.namespace, address.partition, id);
            let only: Vec<Range> = ranges.iter().map(|(_, range)| *range).collect();
            let blobs = self.world.get_ranges(&key, &only).await?;
            if blobs.len() != only.len() {
                return Err(Error::corrupt(&key, "the store answered another number of ranges"));
            }
            parts.extend(ranges.iter().map(|(index, _)| *index).zip(blobs));
        }
        let id = self.write_pack(address, &parts.values().collect::<Vec<_>>()).await?;
        let total = group.iter().map(|entry| entry.size).sum();
        let mut offset = 0;
        for entry in group.iter_mut() {
            entry.place = Place::Pack { id: id.clone(), offset, total };
            entry.sequence = sequence;
            offset += entry.size;
        }
        Ok(())
    }
}

/// Records for sorted segments, and those that stay in the head because their content is inlined: moving it to a pack would
/// cost a request and save none.
fn parted(records: &[Record]) -> (Vec<Record>, Vec<Record>) {
    records.iter().cloned().partition(|record| record.inline_bytes() == 0)
}

/// Records of each segment, when so many are written anew: so few segments that the head has room for references to many more.
fn records_a_segment(records: usize) -> usize {
    records.div_ceil(SEGMENTS_WANTED_MAX).max(SEGMENT_RECORDS_TARGET)
}

/// Whoever has heard of the old place may still ask for it.
fn restart_grace(record: &mut Record, packs: &BTreeSet<String>, now_ms: u64) {
    if let Record::Gone(gone) = record
        && let Some(Rest { place: Place::Pack { id, .. }, .. }) = &gone.rest
        && packs.contains(id)
    {
        gone.since_ms = now_ms;
    }
}

fn gone_part(record: &Record) -> Option<(&str, u64)> {
    match record {
        Record::Gone(GoneRecord { rest: Some(Rest { place: Place::Pack { id, .. }, size }), .. }) => Some((id, *size)),
        _ => None,
    }
}
