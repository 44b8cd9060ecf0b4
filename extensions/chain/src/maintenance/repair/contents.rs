//! Content, put back at its place.
//!
//! A pack that lost a part is written anew with all that can still be read of it, and with what the caller has. Keys and
//! offsets stay, so no index changes and no replica needs to learn anything.

use std::collections::{BTreeMap, BTreeSet};

use super::root::changed;
use super::{RepairRequest, Repaired};
use crate::chain::Chain;
use crate::error::{ErrorKind, Result};
use crate::head::Head;
use crate::index::Segments;
use crate::maintenance::check::place_key;
use crate::ports::{Blob, Condition, World};
use crate::record::{EntryRecord, Place, Record};
use crate::root::Address;
use crate::types::VersionReference;

/// What fills the gaps of a pack, in bytes.
const GAP_BYTES: usize = 1024 * 1024;

impl<W: World> Chain<W> {
    /// Puts back what the caller has. Answers the entries whose content stays damaged.
    pub(super) async fn repair_contents(
        &self,
        address: Address<'_>,
        head: &Head,
        request: &RepairRequest<W::Blob>,
        repaired: &mut Repaired,
    ) -> Result<Vec<EntryRecord>> {
        let mut segments = Segments::default();
        let mut supplied: BTreeMap<VersionReference, &W::Blob> = BTreeMap::new();
        let mut told: Vec<EntryRecord> = Vec::new();
        for one in &request.contents {
            let records = match self.records_of(address, &mut segments, head, &one.reference.name, false).await {
                Ok(records) => records,
                // The index is repaired first; the next repair comes to this.
                Err(error) if error.is_damage() => continue,
                Err(error) => return Err(error),
            };
            let Some(entry) = records.get(&one.reference.version).and_then(Record::entry) else { continue };
            told.push(entry.clone());
            if let Some(content) = &one.content
                && self.compare(&entry.name, entry, content).await.is_ok()
            {
                supplied.insert(entry.reference(), content);
            }
        }
        let damaged: Vec<EntryRecord> = {
            let entries: Vec<&EntryRecord> = told.iter().collect();
            self.unsound(address, &entries).await?.into_iter().map(|unsound| unsound.entry).collect()
        };
        let mut keys: BTreeMap<String, Place> = BTreeMap::new();
        for entry in damaged.iter().filter(|entry| supplied.contains_key(&entry.reference())) {
            if let Some(key) = place_key(address.namespace, address.partition, &entry.place) {
                keys.insert(key, entry.place.clone());
            }
        }
        let shared = self.entries_in(address, &mut segments, head, &keys).await?;
        for (key, entries) in &shared {
            if !request.dry_run {
                self.put_back(address, key, entries, &supplied).await?;
            }
        }
        let is_restored = |entry: &EntryRecord| {
            place_key(address.namespace, address.partition, &entry.place).is_some()
                && supplied.contains_key(&entry.reference())
        };
        let (restored, left): (Vec<EntryRecord>, Vec<EntryRecord>) = damaged.into_iter().partition(is_restored);
        repaired.restored.extend(restored.iter().map(EntryRecord::reference));
        Ok(left)
    }

    /// All entries of the index that lie in these objects.
    async fn entries_in(
        &self,
        address: Address<'_>,
        segments: &mut Segments,
        head: &Head,
        keys: &BTreeMap<String, Place>,
    ) -> Result<BTreeMap<String, Vec<EntryRecord>>> {
        let mut found: BTreeMap<String, Vec<EntryRecord>> = BTreeMap::new();
        if keys.is_empty() {
            return Ok(found);
        }
        let mut seen = BTreeSet::new();
        let mut take = |records: &[Record]| {
            for record in records {
                let is_newest = seen.insert((record.name().to_owned(), record.version()));
                let Some(entry) = record.entry().filter(|_| is_newest) else { continue };
                if let Some(key) = place_key(address.namespace, address.partition, &entry.place)
                    && keys.contains_key(&key)
                {
                    found.entry(key).or_default().push(entry.clone());
                }
            }
        };
        // Newer records first: they win.
        take(&head.recent);
        for reference in head.buffer.iter().chain(&head.segments) {
            match self.segment(address, segments, reference).await {
                Ok(records) => take(&records),
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Writes one object anew: what is sound of it, what is supplied, and nothing in between.
    async fn put_back(
        &self,
        address: Address<'_>,
        key: &str,
        entries: &[EntryRecord],
        supplied: &BTreeMap<VersionReference, &W::Blob>,
    ) -> Result<()> {
        let etag = self.etag_of(key).await?;
        let condition = etag.map_or(Condition::Absent, Condition::Matches);
        let mut sorted: Vec<(u64, &EntryRecord)> = entries
            .iter()
            .map(|entry| match &entry.place {
                Place::Pack { offset, .. } => (*offset, entry),
                Place::Inline(_) | Place::Object { .. } => (0, entry),
            })
            .collect();
        sorted.sort_by_key(|(offset, entry)| (*offset, entry.size));
        let gap = self.world.blob(&vec![0; GAP_BYTES]).await?;
        let mut parts: Vec<W::Blob> = Vec::new();
        let mut end = 0;
        for (offset, entry) in sorted {
            if offset < end {
                // Contents of one pack do not overlap; one that says so is left as it is.
                continue;
            }
            self.fill(&gap, offset - end, &mut parts).await?;
            let content = match supplied.get(&entry.reference()) {
                Some(content) => Ok(content.slice(0, entry.size)?),
                None => self.stored_content(address, entry).await,
            };
            match content {
                Ok(content) if content.size() == entry.size => parts.push(content),
                Ok(_) => self.fill(&gap, entry.size, &mut parts).await?,
                Err(error) if error.is_damage() => self.fill(&gap, entry.size, &mut parts).await?,
                Err(error) => return Err(error),
            }
            end = offset + entry.size;
        }
        let total = entries.iter().map(|entry| match &entry.place {
            Place::Pack { total, .. } => *total,
            Place::Inline(_) | Place::Object { .. } => entry.size,
        });
        self.fill(&gap, total.max().unwrap_or(0).saturating_sub(end), &mut parts).await?;
        match self.world.put_concatenated(key, &parts.iter().collect::<Vec<_>>(), condition).await {
            Err(error) if matches!(error.kind, ErrorKind::Conflict | ErrorKind::NotFound) => Err(changed(key)),
            answer => answer.map(drop),
        }
    }

    async fn fill(&self, gap: &W::Blob, mut length: u64, parts: &mut Vec<W::Blob>) -> Result<()> {
        while length > 0 {
            let piece = length.min(GAP_BYTES as u64);
            parts.push(gap.slice(0, piece)?);
            length -= piece;
        }
        Ok(())
    }
}
