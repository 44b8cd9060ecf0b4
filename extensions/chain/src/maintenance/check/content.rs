//! Content, read and compared with its digest.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::chain::Chain;
use crate::error::{Error, ErrorKind, Result};
use crate::keys;
use crate::ports::{Blob, Lookup, Range, World};
use crate::record::{EntryRecord, Place};
use crate::root::Address;
use crate::segment::hexadecimal;

/// Bytes that are read of a blob at once.
const PIECE_BYTES: u64 = 1024 * 1024;

/// An entry whose content is not what its digest says.
#[derive(Debug)]
pub(in crate::maintenance) struct Unsound {
    /// The object that holds it.
    pub(in crate::maintenance) key: String,
    pub(in crate::maintenance) entry: EntryRecord,
    pub(in crate::maintenance) what: String,
}

impl<W: World> Chain<W> {
    /// Those of `entries` whose content cannot be read, or is another one. One request for each object.
    pub(in crate::maintenance) async fn unsound(
        &self,
        address: Address<'_>,
        entries: &[&EntryRecord],
    ) -> Result<Vec<Unsound>> {
        let mut objects: BTreeMap<String, Vec<&EntryRecord>> = BTreeMap::new();
        for entry in entries {
            let key = place_key(address.namespace, address.partition, &entry.place);
            objects.entry(key.unwrap_or_else(|| address.key())).or_default().push(entry);
        }
        let jobs = objects.iter().map(|(key, entries)| self.unsound_in(address, key, entries));
        Ok(self.all(jobs.collect()).await?.into_iter().flatten().collect())
    }

    async fn unsound_in(&self, address: Address<'_>, key: &str, entries: &[&EntryRecord]) -> Result<Vec<Unsound>> {
        let mut unsound = Vec::new();
        let together = if entries.len() > 1 { self.ranges(address, entries).await.ok() } else { None };
        for (index, entry) in entries.iter().enumerate() {
            let checked = match together.as_ref().and_then(|blobs| blobs.get(index)) {
                Some(blob) => self.compare(key, entry, blob).await,
                // One of them may have spoilt the answer for all.
                None => match self.stored_content(address, entry).await {
                    Ok(blob) => self.compare(key, entry, &blob).await,
                    Err(error) => Err(error),
                },
            };
            match checked {
                Ok(()) => {}
                Err(error) if is_about_object(&error) => {
                    let what = if error.is_not_found() { "it does not exist" } else { error.damage() }.to_owned();
                    unsound.push(Unsound { key: key.to_owned(), entry: (*entry).clone(), what });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(unsound)
    }

    /// The content of one entry as the store has it.
    pub(in crate::maintenance) async fn stored_content(
        &self,
        address: Address<'_>,
        entry: &EntryRecord,
    ) -> Result<W::Blob> {
        let object = match &entry.place {
            Place::Inline(bytes) => return self.world.blob(bytes).await,
            Place::Pack { .. } => {
                let mut blobs = self.ranges(address, &[entry]).await?;
                return blobs.pop().ok_or_else(|| Error::corrupt(&entry.name, "the store answered no range"));
            }
            Place::Object { .. } => |namespace: &str| place_key(namespace, address.partition, &entry.place),
        };
        let key = object(address.namespace).unwrap_or_default();
        let mut answer = self.world.get(&key, None).await;
        if let (Err(error), Some(parent)) = (&answer, keys::parent_of(address.namespace))
            && error.is_not_found()
        {
            answer = self.world.get(&object(parent).unwrap_or_default(), None).await;
        }
        match answer? {
            Lookup::Found { content, .. } => Ok(content),
            Lookup::NotModified => Err(Error::corrupt(&key, "an unconditional read was answered \"not modified\"")),
        }
    }

    /// Parts of one pack.
    async fn ranges(&self, address: Address<'_>, entries: &[&EntryRecord]) -> Result<Vec<W::Blob>> {
        let Some(place) = entries.first().map(|entry| &entry.place) else { return Ok(Vec::new()) };
        let key = |namespace: &str| place_key(namespace, address.partition, place).unwrap_or_default();
        let ranges: Vec<Range> = entries
            .iter()
            .filter_map(|entry| match &entry.place {
                Place::Pack { offset, .. } => Some(Range { offset: *offset, length: entry.size }),
                _ => None,
            })
            .collect();
        let mut answer = self.world.get_ranges(&key(address.namespace), &ranges).await;
        if let (Err(error), Some(parent)) = (&answer, keys::parent_of(address.namespace))
            && error.is_not_found()
        {
            answer = self.world.get_ranges(&key(parent), &ranges).await;
        }
        let blobs = answer?;
        if blobs.len() != entries.len() {
            return Err(Error::corrupt(&key(address.namespace), "the store answered another number of ranges"));
        }
        Ok(blobs)
    }

    /// The blob is the content of this entry.
    pub(in crate::maintenance) async fn compare(&self, key: &str, entry: &EntryRecord, blob: &W::Blob) -> Result<()> {
        let what = if blob.size() == entry.size {
            let digest = self.digest_of(key, blob).await?;
            if digest == entry.digest {
                return Ok(());
            }
            format!("the content of {} version {} has the digest {digest}", entry.name, entry.version)
        } else {
            format!("{} version {} has {} bytes instead of {}", entry.name, entry.version, blob.size(), entry.size)
        };
        Err(Error::corrupt(key, what))
    }

    async fn digest_of(&self, key: &str, blob: &W::Blob) -> Result<String> {
        let mut hash = Sha256::new();
        let mut offset = 0;
        while offset < blob.size() {
            let wanted = (blob.size() - offset).min(PIECE_BYTES);
            let piece = blob.read(offset, u32::try_from(wanted).unwrap_or(u32::MAX)).await?;
            if piece.is_empty() {
                return Err(Error::corrupt(key, format!("it ends after {offset} of {} bytes", blob.size())));
            }
            offset += piece.len() as u64;
            hash.update(&piece);
        }
        Ok(hexadecimal(&hash.finalize()))
    }
}

/// The object that holds what is at this place; none for what is inlined.
pub(in crate::maintenance) fn place_key(namespace: &str, partition: &str, place: &Place) -> Option<String> {
    match place {
        Place::Inline(_) => None,
        Place::Pack { id, .. } => Some(keys::pack(namespace, partition, id)),
        Place::Object { id } => Some(keys::object(namespace, partition, id)),
    }
}

/// The error says something about the object, not about the way to it.
fn is_about_object(error: &Error) -> bool {
    error.is_damage() || error.kind == ErrorKind::InvalidInput
}
