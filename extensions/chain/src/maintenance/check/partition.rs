//! One partition: head, segments, what is named, what is counted.

use std::collections::BTreeMap;

use super::content::{Unsound, place_key};
use super::{CheckPage, Damage, DamagedVersion, Part};
use crate::chain::{Chain, Reading};
use crate::error::{Error, ErrorKind, Result};
use crate::head::{Head, SegmentReference, Totals};
use crate::index::Segments;
use crate::keys;
use crate::limits::{CHECK_BATCH_BYTES, CHECK_BATCH_ENTRIES, DAMAGED_VERSIONS_TOLD_MAX};
use crate::ports::World;
use crate::record::{EntryRecord, Place, Record};
use crate::root::{Address, Root};
use crate::spill::{merge, parts_of};

/// Suspicions by key: what seems to be damaged, until the head was looked at again.
type Suspects = BTreeMap<String, Suspect>;

#[derive(Debug)]
struct Suspect {
    part: Part,
    what: String,
    /// Entries that are concerned, as far as they are known.
    entries: Vec<EntryRecord>,
    total: u64,
}

/// Objects of a partition by key, with their size and whether anything names them.
type Listed = BTreeMap<String, (u64, bool)>;

impl<W: World> Chain<W> {
    /// Checks a partition, content after `read` included where `read_data` says so. Answers after which version it goes on, when
    /// time is over before the content was read.
    pub(super) async fn check_partition(
        &self,
        address: Address<'_>,
        read_data: bool,
        read: Option<&(String, u64)>,
        deadline_ms: u64,
        page: &mut CheckPage,
    ) -> Result<Option<(String, u64)>> {
        let (head, etag) = match self.read_root(address, None).await {
            Ok(Reading::Found(found)) => match found.root {
                Root::Head(head) => (head, found.etag),
                Root::Meta(_) => return Ok(None),
            },
            Ok(_) => {
                if self.had_head(address).await? {
                    page.add(of_head(address, "it does not exist, and heads are never deleted"));
                }
                return Ok(None);
            }
            Err(error) if error.kind == ErrorKind::Corrupt => {
                page.add(of_head(address, error.damage()));
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let mut suspects = Suspects::new();
        // The index is checked with the first page of the content.
        let listed = if read.is_none() { Some(self.list_objects(address).await?) } else { None };
        let goes_on =
            self.examine_index(address, &head, listed, (read_data, read, deadline_ms), &mut suspects, page).await?;
        for (key, suspect) in self.confirmed_suspects(address, &head, &etag, suspects).await? {
            page.add(suspect.into_damage(address, key));
        }
        Ok(goes_on)
    }

    /// A partition without a head had one: this machine has heard of it, or it has objects.
    async fn had_head(&self, address: Address<'_>) -> Result<bool> {
        let is_scope = keys::parent_of(address.namespace).is_some();
        if !is_scope && self.known(address)?.is_some() {
            return Ok(true);
        }
        // Whoever has just begun made the head before any object.
        for prefix in keys::content_prefixes(address.namespace, address.partition) {
            if !self.world.list(&prefix, None).await?.objects.is_empty() {
                let again = self.read_root(address, None).await;
                return Ok(matches!(again, Ok(Reading::Absent)));
            }
        }
        Ok(false)
    }

    /// All objects of a partition; for a run scope those of its parent, too.
    async fn list_objects(&self, address: Address<'_>) -> Result<Listed> {
        let mut listed = Listed::new();
        let parent = keys::parent_of(address.namespace);
        for (namespace, is_own) in [(Some(address.namespace), true), (parent, false)] {
            let Some(namespace) = namespace else { continue };
            for prefix in keys::content_prefixes(namespace, address.partition) {
                let mut cursor = None;
                loop {
                    let listing = self.world.list(&prefix, cursor.as_deref()).await?;
                    // What only the parent has is none of the scope's orphans.
                    listed.extend(listing.objects.into_iter().map(|object| (object.key, (object.size, !is_own))));
                    cursor = listing.cursor;
                    if cursor.is_none() {
                        break;
                    }
                }
            }
        }
        Ok(listed)
    }

    async fn examine_index(
        &self,
        address: Address<'_>,
        head: &Head,
        mut listed: Option<Listed>,
        (read_data, read, deadline_ms): (bool, Option<&(String, u64)>, u64),
        suspects: &mut Suspects,
        page: &mut CheckPage,
    ) -> Result<Option<(String, u64)>> {
        let mut totals = Totals::default();
        let mut is_whole = true;
        let mut reading = Reads { after: read.cloned(), over: !read_data, goes_on: None };
        let buffered = match &head.buffer {
            Some(reference) => self.examined_segment(address, reference, None, suspects).await?,
            None => Some(Vec::new()),
        };
        is_whole &= buffered.is_some();
        let overlay = merge(buffered.unwrap_or_default(), head.recent.clone());
        let mut overlay: BTreeMap<usize, Vec<Record>> = parts_of(&head.segments, overlay).into_iter().collect();
        for unit in 0..head.segments.len().max(1) {
            let over = overlay.remove(&unit).unwrap_or_default();
            if listed.is_none() && reading.is_behind(head, unit + 1) {
                continue;
            }
            let sorted = match head.segments.get(unit) {
                Some(reference) => {
                    let next = head.segments.get(unit + 1);
                    self.examined_segment(address, reference, next, suspects).await?
                }
                None => Some(Vec::new()),
            };
            is_whole &= sorted.is_some();
            let records = merge(sorted.unwrap_or_default(), over);
            count(&mut totals, &records);
            if let Some(listed) = &mut listed {
                look_for(address, listed, &records, suspects);
            }
            if !reading.over {
                self.read_contents(address, &records, deadline_ms, &mut reading, suspects, page).await?;
            }
            if listed.is_none() && reading.over {
                break;
            }
        }
        let Some(mut listed) = listed else { return Ok(reading.goes_on) };
        for reference in head.buffer.iter().chain(&head.segments) {
            name(&mut listed, address, |namespace| keys::segment(namespace, address.partition, &reference.digest));
        }
        let orphans = listed.values().filter(|(_, is_named)| !is_named);
        page.orphans += orphans.clone().count() as u64;
        page.orphan_bytes += orphans.map(|(size, _)| size).sum::<u64>();
        page.entries += totals.entries;
        if is_whole && totals != head.totals {
            let what = format!("it counts {}, and there is {}", told(head.totals), told(totals));
            suspects.insert(address.key(), Suspect { part: Part::Totals, what, entries: Vec::new(), total: 0 });
        }
        Ok(reading.goes_on)
    }

    /// The records of a segment in the store; none when it cannot be read, which is suspicious.
    async fn examined_segment(
        &self,
        address: Address<'_>,
        reference: &SegmentReference,
        next: Option<&SegmentReference>,
        suspects: &mut Suspects,
    ) -> Result<Option<Vec<Record>>> {
        let key = keys::segment(address.namespace, address.partition, &reference.digest);
        let error = match self.stored_segment(address, reference).await {
            Ok(records) => match reference_fault(reference, next, &records) {
                None => return Ok(Some(records)),
                Some(fault) => Error::corrupt(&key, fault),
            },
            Err(error) if error.is_damage() => error,
            Err(error) => return Err(error),
        };
        let what = if error.is_not_found() { "it does not exist" } else { error.damage() }.to_owned();
        let total = reference.records;
        suspects.insert(key, Suspect { part: Part::Segment, what, entries: Vec::new(), total });
        Ok(None)
    }

    /// Reads the content of these records that was not read yet, as far as there is time.
    async fn read_contents(
        &self,
        address: Address<'_>,
        records: &[Record],
        deadline_ms: u64,
        reading: &mut Reads,
        suspects: &mut Suspects,
        page: &mut CheckPage,
    ) -> Result<()> {
        let after = reading.after.clone();
        let is_left = |entry: &&EntryRecord| {
            after.as_ref().is_none_or(|(name, version)| (&entry.name, entry.version) > (name, *version))
        };
        let entries: Vec<&EntryRecord> = records.iter().filter_map(Record::entry).filter(is_left).collect();
        let mut rest = entries.as_slice();
        while !rest.is_empty() {
            if self.world.elapsed_ms() >= deadline_ms {
                reading.over = true;
                reading.goes_on = Some(reading.after.clone().unwrap_or_default());
                return Ok(());
            }
            let mut bytes = 0_u64;
            let fits = rest.iter().take(CHECK_BATCH_ENTRIES).take_while(|entry| {
                let is_first = bytes == 0;
                bytes = bytes.saturating_add(entry.size);
                is_first || bytes <= CHECK_BATCH_BYTES
            });
            let (batch, left) = rest.split_at(fits.count().max(1));
            page.bytes_read += batch.iter().map(|entry| entry.size).sum::<u64>();
            for Unsound { key, entry, what } in self.unsound(address, batch).await? {
                suspect_content(suspects, key, &entry, what);
            }
            reading.after = batch.last().map(|entry| (entry.name.clone(), entry.version));
            rest = left;
        }
        Ok(())
    }

    /// Those that the head of now still names, and a namespace that can still be read.
    async fn confirmed_suspects(
        &self,
        address: Address<'_>,
        head: &Head,
        etag: &str,
        mut suspects: Suspects,
    ) -> Result<Suspects> {
        if suspects.is_empty() {
            return Ok(suspects);
        }
        match self.check_readable(address.namespace).await {
            Err(error) if error.kind != ErrorKind::Corrupt => return Err(error),
            _ => {}
        }
        let current = match self.read_root(address, None).await {
            Ok(Reading::Found(found)) if found.etag == etag => return Ok(suspects),
            Ok(Reading::Found(found)) => match found.root {
                Root::Head(current) => current,
                Root::Meta(_) => return Ok(suspects),
            },
            // It was lost meanwhile, and the next check says so.
            Ok(_) => head.clone(),
            Err(error) if error.kind == ErrorKind::Corrupt => return Ok(suspects),
            Err(error) => return Err(error),
        };
        let mut segments = Segments::default();
        let named: Vec<String> = current
            .buffer
            .iter()
            .chain(&current.segments)
            .map(|segment| keys::segment(address.namespace, address.partition, &segment.digest))
            .collect();
        suspects.retain(|key, suspect| suspect.part != Part::Segment || named.contains(key));
        for suspect in suspects.values_mut().filter(|suspect| suspect.part == Part::Content) {
            let mut still = Vec::new();
            for entry in std::mem::take(&mut suspect.entries) {
                // Where the index cannot be read it is damaged itself, and nothing speaks for the entry.
                let is_named = match self.records_of(address, &mut segments, &current, &entry.name, false).await {
                    Ok(records) => {
                        let now = records.get(&entry.version).and_then(Record::entry);
                        now.is_some_and(|now| now.place == entry.place)
                    }
                    Err(error) if error.is_damage() => true,
                    Err(error) => return Err(error),
                };
                if is_named {
                    still.push(entry);
                }
            }
            suspect.total = still.len() as u64;
            suspect.entries = still;
        }
        suspects.retain(|_, suspect| suspect.part != Part::Content || suspect.total > 0);
        Ok(suspects)
    }
}

/// How far content was read.
#[derive(Debug)]
struct Reads {
    after: Option<(String, u64)>,
    /// No more is to be read now.
    over: bool,
    /// Where it goes on.
    goes_on: Option<(String, u64)>,
}

impl Reads {
    /// Everything before the unit `next` was read.
    fn is_behind(&self, head: &Head, next: usize) -> bool {
        match (&self.after, head.segments.get(next)) {
            (Some((name, version)), Some(segment)) => {
                (segment.first.as_str(), segment.first_version) <= (name.as_str(), *version)
            }
            _ => false,
        }
    }
}

impl Suspect {
    fn into_damage(self, address: Address<'_>, key: String) -> Damage {
        let versions = self.entries.iter().take(DAMAGED_VERSIONS_TOLD_MAX).map(|entry| DamagedVersion {
            name: entry.name.clone(),
            version: entry.version,
            size: entry.size,
            digest: entry.digest.clone(),
        });
        Damage {
            partition: Some(address.partition.to_owned()),
            part: self.part,
            key,
            what: self.what,
            versions: versions.collect(),
            versions_total: self.total,
        }
    }
}

fn of_head(address: Address<'_>, what: &str) -> Damage {
    let (partition, what) = (Some(address.partition.to_owned()), what.to_owned());
    Damage { partition, part: Part::Head, key: address.key(), what, versions: Vec::new(), versions_total: 0 }
}

/// What the reference says of a segment and is not so.
fn reference_fault(
    reference: &SegmentReference,
    next: Option<&SegmentReference>,
    records: &[Record],
) -> Option<&'static str> {
    let (Some(first), Some(last)) = (records.first(), records.last()) else { return Some("it is empty") };
    if first.key() != (reference.first.as_str(), reference.first_version) || reference.records != records.len() as u64 {
        return Some("it does not hold the records that the head says it does");
    }
    if next.is_some_and(|next| last.key() >= (next.first.as_str(), next.first_version)) {
        return Some("it reaches into the keys of the next segment");
    }
    None
}

/// Adds what is among these records.
pub(in crate::maintenance) fn count<'a>(totals: &mut Totals, records: impl IntoIterator<Item = &'a Record>) {
    for record in records {
        match record {
            Record::Entry(entry) => {
                totals.entries += 1;
                totals.bytes = totals.bytes.saturating_add(entry.size);
            }
            Record::Gone(gone) => {
                if let Some(rest) = &gone.rest {
                    totals.tombstones += 1;
                    totals.tombstone_bytes = totals.tombstone_bytes.saturating_add(rest.size);
                }
            }
        }
    }
}

/// Marks what the records name, and suspects what is not there, or too small.
fn look_for(address: Address<'_>, listed: &mut Listed, records: &[Record], suspects: &mut Suspects) {
    for record in records {
        let (place, entry) = match record {
            Record::Entry(entry) => (&entry.place, Some(entry)),
            Record::Gone(gone) => match &gone.rest {
                Some(rest) => (&rest.place, None),
                None => continue,
            },
        };
        let found =
            name(listed, address, |namespace| place_key(namespace, address.partition, place).unwrap_or_default());
        let Some(entry) = entry else { continue };
        let needed = match place {
            Place::Inline(_) => continue,
            Place::Pack { offset, .. } => offset.saturating_add(entry.size),
            Place::Object { .. } => entry.size,
        };
        let what = match found {
            None => "it does not exist".to_owned(),
            Some(size) if size < needed => format!("it has {size} bytes, and at least {needed} belong there"),
            Some(_) => continue,
        };
        let key = place_key(address.namespace, address.partition, place).unwrap_or_default();
        suspect_content(suspects, key, entry, what);
    }
}

/// Marks an object as named and answers its size; none where it is in no listing.
fn name(listed: &mut Listed, address: Address<'_>, key: impl Fn(&str) -> String) -> Option<u64> {
    let own = key(address.namespace);
    let found = match keys::parent_of(address.namespace) {
        Some(parent) if !listed.contains_key(&own) => listed.get_mut(&key(parent)),
        _ => listed.get_mut(&own),
    };
    found.map(|(size, is_named)| {
        *is_named = true;
        *size
    })
}

fn suspect_content(suspects: &mut Suspects, key: String, entry: &EntryRecord, what: String) {
    let suspect = suspects.entry(key).or_insert(Suspect { part: Part::Content, what, entries: Vec::new(), total: 0 });
    // Found by the listing and by reading.
    if !suspect.entries.iter().any(|other| other.version == entry.version && other.name == entry.name) {
        suspect.entries.push(entry.clone());
        suspect.total += 1;
    }
}

fn told(totals: Totals) -> String {
    let Totals { entries, bytes, tombstones, tombstone_bytes } = totals;
    format!("{entries} versions of {bytes} bytes and {tombstones} to delete of {tombstone_bytes} bytes")
}
