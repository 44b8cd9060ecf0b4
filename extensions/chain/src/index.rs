//! Reading the index of a partition: `recent` wins over the buffer segment, which wins over the sorted segments.
//!
//! Segments are immutable and named by their digest: once read they stay in the replica's cache and cost no request.

use std::collections::BTreeMap;
use std::rc::Rc;

use futures::stream::{self, StreamExt as _};

use crate::chain::{Chain, Reading};
use crate::error::{Error, Result};
use crate::head::{Head, SegmentReference};
use crate::keys;
use crate::limits::{CONCURRENCY, SEGMENT_BYTES_MAX};
use crate::ports::{Lookup, World};
use crate::record::Record;
use crate::root::{Address, Snapshot};
use crate::segment;

/// Segments of one partition that were read during one call.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    loaded: BTreeMap<String, Rc<Vec<Record>>>,
}

impl Segments {
    /// Keeps what was read in another way.
    pub(crate) fn keep(&mut self, reference: &SegmentReference, records: Vec<Record>) {
        self.loaded.insert(reference.digest.clone(), Rc::new(records));
    }

    /// Whether this segment was read.
    pub(crate) fn has(&self, reference: &SegmentReference) -> bool {
        self.loaded.contains_key(&reference.digest)
    }
}

impl<W: World> Chain<W> {
    /// The records of a segment: from memory, from the replica's cache, or with one request.
    pub(crate) async fn segment(
        &self,
        address: Address<'_>,
        segments: &mut Segments,
        reference: &SegmentReference,
    ) -> Result<Rc<Vec<Record>>> {
        if let Some(records) = segments.loaded.get(&reference.digest) {
            return Ok(records.clone());
        }
        let records = Rc::new(self.read_segment(address, reference).await?);
        segments.loaded.insert(reference.digest.clone(), records.clone());
        Ok(records)
    }

    /// Reads several segments at once.
    pub(crate) async fn load_segments(
        &self,
        address: Address<'_>,
        segments: &mut Segments,
        references: &[SegmentReference],
    ) -> Result<()> {
        let missing: Vec<&SegmentReference> =
            references.iter().filter(|reference| !segments.loaded.contains_key(&reference.digest)).collect();
        let reads = missing.iter().map(|reference| self.read_segment(address, reference)).collect();
        for (reference, records) in missing.iter().zip(self.all(reads).await?) {
            segments.loaded.insert(reference.digest.clone(), Rc::new(records));
        }
        Ok(())
    }

    /// Reads several segments of any partitions at once, as far as they can be read: what cannot is asked for again where it
    /// is needed, and is an error there.
    pub(crate) async fn read_ahead(&self, segments: &mut Segments, wanted: &[(Address<'_>, &SegmentReference)]) {
        let reads = wanted.iter().map(|(address, reference)| self.read_segment(*address, reference));
        let mut answers = stream::iter(reads.collect::<Vec<_>>()).buffered(CONCURRENCY);
        let mut references = wanted.iter();
        while let (Some(answer), Some((_, reference))) = (answers.next().await, references.next()) {
            if let Ok(records) = answer {
                segments.loaded.insert(reference.digest.clone(), Rc::new(records));
            }
        }
    }

    /// All records of one name, by version, newest state of each. With `newest_only` just the one of the highest version
    /// is sure to be among them: at most two segments are read.
    pub(crate) async fn records_of(
        &self,
        address: Address<'_>,
        segments: &mut Segments,
        head: &Head,
        name: &str,
        newest_only: bool,
    ) -> Result<BTreeMap<u64, Record>> {
        let mut found = BTreeMap::new();
        let covering = covering(&head.segments, name);
        let sorted = if newest_only { &covering[covering.len().saturating_sub(1)..] } else { covering };
        for reference in sorted.iter().chain(&head.buffer) {
            if reference.first.as_str() <= name {
                let records = self.segment(address, segments, reference).await?;
                found.extend(of_name(&records, name).iter().map(|record| (record.version(), record.clone())));
            }
        }
        found.extend(of_name(&head.recent, name).iter().map(|record| (record.version(), record.clone())));
        Ok(found)
    }

    /// The head that is there now, after a segment that `etag` names was not found. The same head still: the segment is lost.
    pub(crate) async fn newer_root(
        &self,
        address: Address<'_>,
        etag: &str,
        error: &Error,
    ) -> Result<Option<Box<Snapshot>>> {
        match self.read_through(address, None).await? {
            Reading::Found(found) if found.etag == etag => {
                Err(Error::corrupt(&error.subject, "the head names it, but it does not exist"))
            }
            Reading::Found(found) => Ok(Some(found)),
            Reading::Absent | Reading::NotModified => Ok(None),
        }
    }

    pub(crate) async fn read_segment(&self, address: Address<'_>, reference: &SegmentReference) -> Result<Vec<Record>> {
        let key = keys::segment(address.namespace, address.partition, &reference.digest);
        let cache_key = segment_cache_key(&reference.digest);
        if let Ok(Some(bytes)) = self.world.cached(&cache_key).await
            && let Ok(records) = segment::decode(&key, address.partition, reference, &bytes)
        {
            return Ok(records);
        }
        match self.stored_segment(address, reference).await {
            Err(error) if error.is_not_found() => {
                self.check_readable(address.namespace).await?;
                Err(error)
            }
            stored => stored,
        }
    }

    /// The records of a segment as the store has it, whatever the replica keeps of it. One request.
    pub(crate) async fn stored_segment(
        &self,
        address: Address<'_>,
        reference: &SegmentReference,
    ) -> Result<Vec<Record>> {
        let key = keys::segment(address.namespace, address.partition, &reference.digest);
        let mut answer = self.world.get(&key, None).await;
        if let (Err(error), Some(parent)) = (&answer, keys::parent_of(address.namespace))
            && error.is_not_found()
        {
            answer = self.world.get(&keys::segment(parent, address.partition, &reference.digest), None).await;
        }
        let lookup = match answer {
            Err(error) if error.is_not_found() => return Err(Error::segment_missing(&key)),
            answer => answer?,
        };
        let Lookup::Found { content, .. } = lookup else {
            return Err(Error::corrupt(&key, "the store answered an unconditional read with \"not modified\""));
        };
        let bytes = self.read_all(&key, &content, SEGMENT_BYTES_MAX).await?;
        let records = segment::decode(&key, address.partition, reference, &bytes)?;
        let _ = self.world.cache(&segment_cache_key(&reference.digest), &bytes).await;
        Ok(records)
    }
}

/// Where the replica keeps a segment.
pub(crate) fn segment_cache_key(digest: &str) -> String {
    format!("segment/{digest}")
}

/// The sorted segments that may hold records of `name`.
fn covering<'a>(segments: &'a [SegmentReference], name: &str) -> &'a [SegmentReference] {
    let end = segments.partition_point(|segment| segment.first.as_str() <= name);
    let begin = segments.partition_point(|segment| segment.first.as_str() < name).saturating_sub(1);
    &segments[begin.min(end)..end]
}

/// The records of one name among sorted ones.
fn of_name<'a>(records: &'a [Record], name: &str) -> &'a [Record] {
    let begin = records.partition_point(|record| record.name() < name);
    let end = records.partition_point(|record| record.name() <= name);
    &records[begin..end]
}
