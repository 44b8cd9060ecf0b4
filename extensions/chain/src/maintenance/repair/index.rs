//! The index: segments are put back or given up, versions whose content is lost become marks, and what is counted is counted
//! again. One compare-and-swap under a lease.

use std::collections::BTreeMap;

use super::{RepairRequest, Repaired};
use crate::chain::{Chain, Swap};
use crate::commit::mark_gone;
use crate::error::{Error, ErrorKind, Result};
use crate::head::{Head, SegmentReference, Totals};
use crate::index::{Segments, segment_cache_key};
use crate::keys;
use crate::lease::{holds, lease_snapshot};
use crate::limits::UNKNOWN_ATTEMPTS_MAX;
use crate::maintenance::check::count;
use crate::ports::{Blob as _, World};
use crate::record::{EntryRecord, Place, Reason, Record};
use crate::refusal::{lease_gone, lease_lost};
use crate::root::{Address, Root};
use crate::segment;
use crate::spill::{merge, parts_of};
use crate::types::{Lease, VersionReference};

impl<W: World> Chain<W> {
    /// Mends the index of `head`, and of the head that is there when the lease is had.
    pub(super) async fn repair_index(
        &self,
        address: Address<'_>,
        head: &Head,
        request: &RepairRequest<W::Blob>,
        unsound: &[EntryRecord],
        repaired: &mut Repaired,
    ) -> Result<()> {
        let mut foreseen = repaired.clone();
        // A large index is not held a second time while it is mended.
        let is_sound = {
            let mut segments = Segments::default();
            self.mended(address, &mut segments, head, request, unsound, &mut foreseen).await?.is_none()
        };
        if is_sound || request.dry_run {
            *repaired = foreseen;
            return Ok(());
        }
        let foreseen = foreseen.notes;
        let deadline_ms = self.world.elapsed_ms().saturating_add(request.wait_ms);
        let (lease, _) = self.acquire_one(address, request.ttl_ms, deadline_ms).await?;
        let written = self.mend_leased(address, request, unsound, &lease, repaired).await;
        if let Err(error) = written {
            let _ = self.release(address.namespace, &lease).await;
            return Err(error);
        }
        // What was put back before the lease was had.
        let is_new = |note: &String| !repaired.notes.contains(note);
        let notes: Vec<String> = foreseen.into_iter().filter(is_new).collect();
        repaired.notes.extend(notes);
        Ok(())
    }

    async fn mend_leased(
        &self,
        address: Address<'_>,
        request: &RepairRequest<W::Blob>,
        unsound: &[EntryRecord],
        lease: &Lease,
        repaired: &mut Repaired,
    ) -> Result<()> {
        let mut found = Box::new(lease_snapshot(address, lease)?);
        for _ in 0..UNKNOWN_ATTEMPTS_MAX {
            let Root::Head(base) = &found.root else { break };
            if !holds(&found.root, lease) {
                return Err(lease_lost(address, &found.root));
            }
            let mut done = repaired.clone();
            let mut segments = Segments::default();
            let mended = self.mended(address, &mut segments, base, request, unsound, &mut done).await?;
            let mut head = mended.unwrap_or_else(|| base.clone());
            head.lease = None;
            head.next = self.next_waiter(address, &found.root).await;
            self.spill(address, &mut segments, &mut head).await?;
            match self.swap(address, Root::Head(head), Some(&found.etag)).await? {
                Swap::Done(_) => {
                    *repaired = done;
                    return Ok(());
                }
                Swap::Changed(Some(current)) => found = current,
                Swap::Changed(None) => return Err(lease_gone(address)),
            }
        }
        let message = format!("the store did not answer whether the repair of {} was written", address.partition);
        Err(Error::new(ErrorKind::Unavailable(None), address.partition, message))
    }

    /// The head as it is to be; none when it is sound. Segments that this machine has are put back on the way.
    async fn mended(
        &self,
        address: Address<'_>,
        segments: &mut Segments,
        base: &Head,
        request: &RepairRequest<W::Blob>,
        unsound: &[EntryRecord],
        repaired: &mut Repaired,
    ) -> Result<Option<Head>> {
        let mut head = base.clone();
        head.sequence += 1;
        let mut records_lost = 0;
        if let Some(reference) = head.buffer.take() {
            head.buffer = self.kept_segment(address, segments, &reference, request.dry_run, repaired).await?;
            records_lost += if head.buffer.is_none() { reference.records } else { 0 };
        }
        for reference in std::mem::take(&mut head.segments) {
            match self.kept_segment(address, segments, &reference, request.dry_run, repaired).await? {
                Some(reference) => head.segments.push(reference),
                None => records_lost += reference.records,
            }
        }
        if records_lost > 0 {
            let known = self.put_known_entries(address, segments, &mut head, request, repaired).await?;
            repaired.records_lost += records_lost.saturating_sub(known);
            self.raise_versions(address, segments, &mut head, request).await;
            // Marks were lost with it: replicas learn what is gone from the whole.
            head.horizon = head.sequence;
        }
        let mut is_changed = records_lost > 0;
        for entry in unsound {
            let records = self.records_of(address, segments, &head, &entry.name, false).await?;
            let Some(now) = records.get(&entry.version).and_then(Record::entry) else { continue };
            if now.place == entry.place && now.digest == entry.digest {
                let now = now.clone();
                repaired.lost.push(mark_gone(&mut head, &now, Reason::Lost, self.world.now_ms()));
                is_changed = true;
            }
        }
        let totals = self.counted(address, segments, &head).await?;
        if !is_changed && totals == base.totals {
            return Ok(None);
        }
        if !is_changed {
            head.sequence = base.sequence;
            repaired.notes.push(format!("what the head of {} counts is corrected", address.partition));
        }
        head.totals = totals;
        Ok(Some(head))
    }

    /// The reference, when its segment is in the store, or is put back from what this machine keeps; none when it is lost.
    async fn kept_segment(
        &self,
        address: Address<'_>,
        segments: &mut Segments,
        reference: &SegmentReference,
        dry_run: bool,
        repaired: &mut Repaired,
    ) -> Result<Option<SegmentReference>> {
        if segments.has(reference) {
            return Ok(Some(reference.clone()));
        }
        match self.stored_segment(address, reference).await {
            Ok(records) => {
                segments.keep(reference, records);
                return Ok(Some(reference.clone()));
            }
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error),
        }
        let key = keys::segment(address.namespace, address.partition, &reference.digest);
        if let Ok(Some(bytes)) = self.world.cached(&segment_cache_key(&reference.digest)).await
            && let Ok(records) = segment::decode(&key, address.partition, reference, &bytes)
        {
            if !dry_run {
                self.write_immutable(&key, &self.world.blob(&bytes).await?).await?;
            }
            segments.keep(reference, records);
            repaired.notes.push(format!("segment {key} is put back"));
            return Ok(Some(reference.clone()));
        }
        repaired.notes.push(format!("segment {key} with {} records is not on this machine", reference.records));
        Ok(None)
    }

    /// Puts what the caller's index knows, and the head does not, into the head. Answers how many entries.
    pub(super) async fn put_known_entries(
        &self,
        address: Address<'_>,
        segments: &mut Segments,
        head: &mut Head,
        request: &RepairRequest<W::Blob>,
        repaired: &mut Repaired,
    ) -> Result<u64> {
        let mut put = 0;
        let mut sizes = None;
        for known in &request.index {
            let entry = &known.entry;
            let name = &entry.description.name;
            match self.records_of(address, segments, head, name, false).await {
                Ok(records) if records.contains_key(&entry.version) => continue,
                Ok(_) => {}
                // The segment that may hold it is damaged, and looked at by whoever mends the index.
                Err(error) if error.is_damage() => continue,
                Err(error) => return Err(error),
            }
            let reference = VersionReference { name: name.clone(), version: entry.version };
            let place = match Place::parse(&entry.location) {
                Some(Place::Inline(_)) => match &known.content {
                    Some(content) if content.size() == entry.description.size => {
                        let longest = usize::try_from(content.size()).unwrap_or(usize::MAX);
                        Some(Place::Inline(self.read_all(name, content, longest).await?))
                    }
                    _ => None,
                },
                Some(Place::Pack { id, offset, .. }) => {
                    if sizes.is_none() {
                        sizes = Some(self.pack_sizes(address).await?);
                    }
                    let least = offset.saturating_add(entry.description.size);
                    let listed = sizes.as_ref().and_then(|sizes| sizes.get(&id)).copied().unwrap_or(0);
                    Some(Place::Pack { id, offset, total: listed.max(least) })
                }
                place => place,
            };
            let record = place.map(|place| EntryRecord::new(&entry.description, entry.version, head.sequence, place));
            match record.map(Record::Entry) {
                Some(record) if record.fault().is_none() => {
                    head.put_recent(record);
                    repaired.restored.push(reference);
                    put += 1;
                }
                _ => repaired.lost.push(reference),
            }
        }
        Ok(put)
    }

    /// The sizes of the packs in the store, by id.
    async fn pack_sizes(&self, address: Address<'_>) -> Result<BTreeMap<String, u64>> {
        let prefix = keys::pack_prefix(address.namespace, address.partition);
        let mut sizes = BTreeMap::new();
        let mut cursor = None;
        loop {
            let listing = self.world.list(&prefix, cursor.as_deref()).await?;
            let of_pack =
                |object: crate::ports::Object| Some((object.key.strip_prefix(&prefix)?.to_owned(), object.size));
            sizes.extend(listing.objects.into_iter().filter_map(of_pack));
            cursor = listing.cursor;
            if cursor.is_none() {
                return Ok(sizes);
            }
        }
    }

    /// What the index of `head` holds.
    async fn counted(&self, address: Address<'_>, segments: &mut Segments, head: &Head) -> Result<Totals> {
        let buffered = match &head.buffer {
            Some(reference) => Some(self.segment(address, segments, reference).await?),
            None => None,
        };
        let buffered = buffered.iter().flat_map(|records| records.iter()).collect();
        let over = merge(buffered, head.recent.iter().collect());
        let mut over: BTreeMap<usize, Vec<&Record>> = parts_of(&head.segments, over).into_iter().collect();
        let mut totals = Totals::default();
        for unit in 0..head.segments.len().max(1) {
            let sorted = match head.segments.get(unit) {
                Some(reference) => Some(self.segment(address, segments, reference).await?),
                None => None,
            };
            let sorted = sorted.iter().flat_map(|records| records.iter()).collect();
            count(&mut totals, merge(sorted, over.remove(&unit).unwrap_or_default()));
        }
        Ok(totals)
    }
}
