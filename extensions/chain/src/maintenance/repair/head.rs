//! A head that is damaged or gone, made again: from the one that this machine has seen last, or from segments and its index.
//!
//! Nobody can tell what was committed since. So the new head has another lineage (every replica takes it over whole), an
//! epoch above all that were given (every lease ends), and its version numbers begin far above those that are known: none
//! is given twice.

use super::root::changed;
use super::{RepairRequest, Repaired};
use crate::chain::{Chain, Swap};
use crate::error::Result;
use crate::head::{Head, SegmentReference};
use crate::index::Segments;
use crate::keys;
use crate::limits::{NUMBER_MAX, VERSION_MARGIN};
use crate::ports::World;
use crate::record::Record;
use crate::root::{Address, Root};
use crate::spill::merge;

impl<W: World> Chain<W> {
    /// Writes the new head, unless this is a dry run, and answers it.
    pub(super) async fn repair_head(
        &self,
        address: Address<'_>,
        request: &RepairRequest<W::Blob>,
        repaired: &mut Repaired,
    ) -> Result<Head> {
        let etag = self.etag_of(&address.key()).await?;
        let known = self.known(address)?;
        let known_sequence = known.map_or(0, |known| known.sequence);
        let mut segments = Segments::default();
        let (mut head, is_seen) = match self.cached_root(address).await.map(|found| found.root) {
            Some(Root::Head(head)) => (head, true),
            _ => (self.salvaged_head(address).await?, false),
        };
        let source =
            if is_seen { "as this machine has last seen it" } else { "from the segments of its index that are left" };
        let knows_more = !is_seen || known_sequence > head.sequence;
        head.epoch = self.world.now_ms().max(head.epoch + 1);
        head.lineage = self.new_id();
        head.sequence = head.sequence.max(known_sequence) + 1;
        head.sweeps += 1;
        head.lease = None;
        head.next = None;
        // What marked the one that was here is not known.
        head.guarded = Some(self.new_id());
        if knows_more {
            self.put_known_entries(address, &mut segments, &mut head, request, repaired).await?;
        }
        self.raise_versions(address, &mut segments, &mut head, request).await;
        repaired.may_lose_commits = true;
        repaired.notes.push(format!(
            "the head of {} is made again {source}; what others have committed since is lost, and new versions begin above \
             {}",
            address.partition, head.version_base
        ));
        if request.dry_run {
            return Ok(head);
        }
        self.spill(address, &mut segments, &mut head).await?;
        match self.swap(address, Root::Head(head), etag.as_deref()).await? {
            Swap::Done(done) => match done.root {
                Root::Head(head) => Ok(head),
                Root::Meta(_) => Err(changed(&address.key())),
            },
            Swap::Changed(_) => Err(changed(&address.key())),
        }
    }

    /// What the segments in the store say, the newest record of each version: some may have been replaced, and then versions
    /// come back that were removed.
    async fn salvaged_head(&self, address: Address<'_>) -> Result<Head> {
        let mut head = Head::new(address.partition, String::new());
        let prefix = keys::segment_prefix(address.namespace, address.partition);
        let mut cursor = None;
        loop {
            let listing = self.world.list(&prefix, cursor.as_deref()).await?;
            for object in &listing.objects {
                let digest = object.key.strip_prefix(&prefix).unwrap_or_default();
                let reference = named_only(digest);
                if let Ok(records) = self.stored_segment(address, &reference).await {
                    let is_newer = |record: &Record| {
                        let there = head.recent.binary_search_by(|other| other.key().cmp(&record.key()));
                        there.is_err() || there.is_ok_and(|index| head.recent[index].sequence() < record.sequence())
                    };
                    let newer: Vec<Record> = records.into_iter().filter(is_newer).collect();
                    head.recent = merge(std::mem::take(&mut head.recent), newer);
                }
            }
            cursor = listing.cursor;
            if cursor.is_none() {
                break;
            }
        }
        head.sequence = head.recent.iter().map(Record::sequence).max().unwrap_or(0);
        Ok(head)
    }

    /// No version that anybody may have given is given again.
    pub(super) async fn raise_versions(
        &self,
        address: Address<'_>,
        segments: &mut Segments,
        head: &mut Head,
        request: &RepairRequest<W::Blob>,
    ) {
        let mut highest = head.version_floor.max(head.version_base);
        for reference in head.buffer.iter().chain(&head.segments) {
            // What cannot be read is repaired, or raises them once more.
            if let Ok(records) = self.segment(address, segments, reference).await {
                highest = highest.max(records.iter().map(Record::version).max().unwrap_or(0));
            }
        }
        let recent = head.recent.iter().map(Record::version);
        let known = request.index.iter().map(|known| known.entry.version);
        highest = recent.chain(known).fold(highest, u64::max);
        head.version_base = highest.saturating_add(VERSION_MARGIN).min(NUMBER_MAX / 2);
    }
}

/// A reference to a segment of which only the name is known.
fn named_only(digest: &str) -> SegmentReference {
    SegmentReference {
        digest: digest.to_owned(),
        first: String::new(),
        first_version: 0,
        records: 0,
        bytes: 0,
        newest: NUMBER_MAX,
        tombstones: 0,
        expires_ms: None,
    }
}
