//! One partition's news as a page of entries and removals.
//!
//! The unit of reading is a sorted segment with what `recent` and the buffer say about its key range; pages are cut inside
//! a unit by count. A page that finds the head changed since the previous one begins the partition again.

use serde::{Deserialize, Serialize};

use crate::chain::Chain;
use crate::error::Result;
use crate::head::Head;
use crate::index::Segments;
use crate::known::Known;
use crate::ports::World;
use crate::pull::{Fill, unique};
use crate::record::{EntryRecord, Place, Record};
use crate::root::Address;
use crate::spill::{merge, segment_of};
use crate::types::{DeltaMode, Depth, PartitionDelta, PulledEntry, VersionReference, Wanted};

/// Where a partition's news goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    pub(crate) partition: String,
    /// Of the head that is being told.
    pub(crate) etag: String,
    /// The replica is being extended from this sequence; none: it is being replaced.
    since: Option<u64>,
    /// Sorted segment.
    unit: usize,
    /// Records of it that were told.
    offset: usize,
}

/// A head whose news a page may tell.
#[derive(Debug)]
pub(crate) struct Ahead<'a> {
    pub(crate) address: Address<'a>,
    pub(crate) head: &'a Head,
    pub(crate) etag: &'a str,
    pub(crate) known: Option<&'a Known>,
}

impl<W: World> Chain<W> {
    /// Reads at once the segments that the rest of a page will take: asked for one after the other, each would cost a round
    /// trip.
    pub(crate) async fn read_page_ahead(&self, heads: &[Ahead<'_>], within: Option<&Position>, fill: &mut Fill) {
        let mut room = fill.entries_left() as u64;
        let mut wanted = Vec::new();
        for Ahead { address, head, etag, known } in heads {
            let resumed = within.filter(|within| within.partition == address.partition && within.etag == *etag);
            let (unit, since) = match resumed {
                Some(within) => (within.unit, within.since),
                None => (0, known.filter(|known| known.leads_to(head)).map(|known| known.sequence)),
            };
            let segments = head.buffer.iter().chain(head.segments.iter().skip(unit));
            for reference in segments.filter(|reference| is_news(reference.newest, since)) {
                if room == 0 {
                    break;
                }
                wanted.push((*address, reference));
                room = room.saturating_sub(reference.records);
            }
            room = room.saturating_sub(head.recent.len() as u64);
        }
        self.read_ahead(&mut fill.segments, &wanted).await;
    }

    /// The part of the news that fits this page, and where it goes on if that is not all.
    #[allow(clippy::too_many_arguments, reason = "one call, from one place; a struct would only rename them")]
    pub(crate) async fn delta(
        &self,
        address: Address<'_>,
        head: &Head,
        version: &Known,
        known: Option<&Known>,
        within: Option<Position>,
        depth: Depth,
        fill: &mut Fill,
    ) -> Result<(PartitionDelta<W::Blob>, Option<Position>)> {
        let resumed = within.filter(|within| within.partition == address.partition && within.etag == version.etag);
        let mut mode = DeltaMode::Extend;
        let mut position = match resumed {
            Some(position) => position,
            None => {
                let since = known.filter(|known| known.leads_to(head)).map(|known| known.sequence);
                if since.is_none() {
                    mode = DeltaMode::Replace;
                }
                let (partition, etag) = (address.partition.to_owned(), version.etag.clone());
                Position { partition, etag, since, unit: 0, offset: 0 }
            }
        };
        let with_content = depth == Depth::Content;
        let mut told: Vec<Record> = Vec::new();
        let overlay = self.overlay(address, &mut fill.segments, head, position.since).await?;
        let units = head.segments.len().max(1);
        while position.unit < units && !fill.is_full() {
            let unit = self.unit(address, &mut fill.segments, head, &overlay, &position).await?;
            let mut end = position.offset.min(unit.len());
            while end < unit.len() && !fill.is_full() {
                fill.add(&unit[end], with_content);
                told.push(unit[end].clone());
                end += 1;
            }
            if end < unit.len() {
                position.offset = end;
            } else {
                position.unit += 1;
                position.offset = 0;
            }
        }
        let goes_on = (position.unit < units).then_some(position);
        let removed = unique(
            told.iter()
                .filter(|record| record.entry().is_none())
                .map(|record| VersionReference { name: record.name().to_owned(), version: record.version() }),
        );
        let entries: Vec<&EntryRecord> = told.iter().filter_map(Record::entry).collect();
        let entries = self.with_content(address, &entries, with_content).await?;
        let continues = goes_on.is_some();
        let partition = address.partition.to_owned();
        Ok((PartitionDelta { partition, mode, version: version.to_text(), entries, removed, continues }, goes_on))
    }

    /// What lies over the sorted segments, as far as it is news.
    async fn overlay(
        &self,
        address: Address<'_>,
        segments: &mut Segments,
        head: &Head,
        since: Option<u64>,
    ) -> Result<Vec<Record>> {
        let buffered = match &head.buffer {
            Some(reference) if is_news(reference.newest, since) => {
                self.segment(address, segments, reference).await?.to_vec()
            }
            _ => Vec::new(),
        };
        Ok(merge(buffered, head.recent.clone()))
    }

    /// The news of one sorted segment's key range.
    async fn unit(
        &self,
        address: Address<'_>,
        segments: &mut Segments,
        head: &Head,
        overlay: &[Record],
        position: &Position,
    ) -> Result<Vec<Record>> {
        let sorted = match head.segments.get(position.unit) {
            Some(reference) if is_news(reference.newest, position.since) => {
                self.segment(address, segments, reference).await?.to_vec()
            }
            _ => Vec::new(),
        };
        let over = overlay.iter().filter(|record| segment_of(&head.segments, record.key()) == position.unit).cloned();
        let mut records = merge(sorted, over.collect());
        records.retain(|record| match position.since {
            Some(since) => record.sequence() > since,
            None => record.entry().is_some(),
        });
        Ok(records)
    }

    /// The entries with what is inlined, and with `all` also what lies in packs and objects.
    async fn with_content(
        &self,
        address: Address<'_>,
        entries: &[&EntryRecord],
        all: bool,
    ) -> Result<Vec<PulledEntry<W::Blob>>> {
        let mut pulled = Vec::with_capacity(entries.len());
        let mut wanted = Vec::new();
        for (index, record) in entries.iter().enumerate() {
            let entry = record.to_entry();
            let content = match &record.place {
                Place::Inline(bytes) => Some(self.world.blob(bytes).await?),
                _ => None,
            };
            if content.is_none() && all {
                wanted.push((index, wanted_of(address, record, &entry.location)));
            }
            pulled.push(PulledEntry { entry, content });
        }
        let (indexes, wanted): (Vec<usize>, Vec<Wanted>) = wanted.into_iter().unzip();
        for (index, content) in indexes.into_iter().zip(self.fetch(address.namespace, &wanted).await?) {
            pulled[index].content = Some(content?);
        }
        Ok(pulled)
    }
}

/// A segment whose newest record has this sequence may hold something the replica does not know.
fn is_news(newest: u64, since: Option<u64>) -> bool {
    since.is_none_or(|since| newest > since)
}

fn wanted_of(address: Address<'_>, record: &EntryRecord, location: &str) -> Wanted {
    Wanted {
        partition: address.partition.to_owned(),
        name: record.name.clone(),
        version: record.version,
        size: record.size,
        digest: record.digest.clone(),
        location: location.to_owned(),
    }
}
