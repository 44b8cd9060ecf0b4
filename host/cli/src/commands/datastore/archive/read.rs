//! Reading an archive, which anybody may have made: every member is expected by name, place and size, and nothing is believed
//! before it was compared with its digest. Nothing in it decides where a file is written.

use std::collections::BTreeMap;
use std::io::{self, Read};

use peat_core::content::CHUNK_BYTES;
use peat_core::digest::Digest;
use peat_core::entry::{Entry, Lifetime};
use peat_core::identifiers::{DataName, PartitionName, Version};
use peat_core::interrupt::Interrupt;
use peat_core::ports::{
    DeltaMode, LocalStore as _, Objects, Observer, PartitionDelta, Progress, ProgressUnit, PulledEntry, Spool as _,
    StoreError,
};
use peat_store::SqliteStore;
use tar::{Archive, EntryType};

use super::format::{
    CONTENTS_MAX, FORMAT, MANIFEST, MANIFEST_BYTES_MAX, Manifest, PIECE_BYTES_MAX, PIECE_VERSIONS_MAX, Piece,
    content_name, piece_name,
};
use crate::failure::Failure;

/// The version of a partition whose index was read from an archive.
const ARCHIVED: &str = "archived";

/// Reads an archive into an empty local store.
pub(super) fn read(
    archive: impl Read,
    store: &SqliteStore,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<Manifest, Failure> {
    let mut archive = Archive::new(archive);
    // Raw: what other tools add for long names and holes is a member of its own then, and is not expected.
    let members = archive.entries().map_err(|error| unreadable(&error))?.raw(true);
    let mut reading = Reading { members, store, observer, interrupt, contents: BTreeMap::new() };
    let manifest = reading.manifest()?;
    reading.index(&manifest)?;
    reading.contents(&manifest)?;
    Ok(manifest)
}

struct Reading<'a, R: Read> {
    members: tar::Entries<'a, R>,
    store: &'a SqliteStore,
    observer: &'a dyn Observer,
    interrupt: &'a Interrupt,
    /// Every content that the index names, and its size.
    contents: BTreeMap<Digest, u64>,
}

impl<'a, R: Read> Reading<'a, R> {
    fn manifest(&mut self) -> Result<Manifest, Failure> {
        let manifest: Manifest = self.document(MANIFEST, MANIFEST_BYTES_MAX)?;
        if manifest.format != FORMAT {
            let message = format!(
                "its format is {}, this peat reads format {FORMAT}; use the peat that wrote it",
                manifest.format
            );
            return Err(refused(MANIFEST, message));
        }
        if manifest.contents > CONTENTS_MAX {
            return Err(refused(MANIFEST, format!("more than {CONTENTS_MAX} contents")));
        }
        let in_order = manifest.partitions.is_sorted_by(|one, other| one.partition < other.partition);
        if !in_order || manifest.partitions.iter().any(|total| total.versions == 0) {
            return Err(refused(MANIFEST, "its partitions are not in order, each once, none empty"));
        }
        Ok(manifest)
    }

    /// The index, as the manifest counts it.
    fn index(&mut self, manifest: &Manifest) -> Result<(), Failure> {
        let mut number = 0;
        for total in &manifest.partitions {
            let mut left = total.versions;
            let mut last: Option<(DataName, Version)> = None;
            while left > 0 {
                let name = piece_name(number);
                let piece: Piece = self.document(&name, PIECE_BYTES_MAX)?;
                number += 1;
                let versions = piece.versions.len() as u64;
                if piece.partition != total.partition || versions == 0 || versions > left.min(PIECE_VERSIONS_MAX as u64)
                {
                    return Err(refused(&name, "it is not what the manifest says"));
                }
                left -= versions;
                let entries: Vec<Entry> = piece.versions.into_iter().map(Entry::from).collect();
                for entry in &entries {
                    last = Some(self.check(&name, entry, last)?);
                }
                self.apply(&total.partition, entries)?;
            }
        }
        let (contents, bytes) =
            (self.contents.len() as u64, self.contents.values().fold(0, |sum: u64, size| sum.saturating_add(*size)));
        if (contents, bytes) != (manifest.contents, manifest.bytes) {
            return Err(refused(MANIFEST, "it counts other contents than the index names"));
        }
        Ok(())
    }

    /// An entry that may be there, and comes after the last one.
    fn check(
        &mut self,
        piece: &str,
        entry: &Entry,
        last: Option<(DataName, Version)>,
    ) -> Result<(DataName, Version), Failure> {
        let description = &entry.description;
        let place = (description.name.clone(), entry.version);
        let wrong = |rule: &str| Err(refused(piece, format!("{} version {}: {rule}", place.0, place.1)));
        if entry.version.0 == 0 || i64::try_from(entry.version.0).is_err() {
            return wrong("no number of a version");
        }
        if last.is_some_and(|last| last >= place) {
            return wrong("not in order, or twice");
        }
        if description.lifetime == Lifetime::Run {
            return wrong("it lives no longer than its run");
        }
        let size = *self.contents.entry(description.digest).or_insert(description.size);
        if size != description.size || self.contents.len() as u64 > CONTENTS_MAX {
            return wrong("its content has another size elsewhere, or there are too many contents");
        }
        if i64::try_from(size).is_err() {
            return wrong("no size of a content");
        }
        Ok(place)
    }

    fn apply(&self, partition: &PartitionName, entries: Vec<Entry>) -> Result<(), Failure> {
        let entries = entries.into_iter().map(|entry| PulledEntry { entry, content: None }).collect();
        Ok(self.store.apply(&PartitionDelta {
            partition: partition.clone(),
            mode: DeltaMode::Extend,
            version: ARCHIVED.to_owned(),
            entries,
            removed: Vec::new(),
            continues: false,
        })?)
    }

    /// Every content that the index names, in order of their digests, and nothing else.
    fn contents(&mut self, manifest: &Manifest) -> Result<(), Failure> {
        let mut done = (0, 0);
        for (digest, size) in std::mem::take(&mut self.contents) {
            self.content(&digest, size)?;
            done = (done.0 + 1, size.saturating_add(done.1));
            self.observer.progress(Progress {
                message: "reading the archive".to_owned(),
                done: done.1,
                total: Some(manifest.bytes),
                unit: ProgressUnit::Bytes,
                objects: Some(Objects { done: done.0, total: manifest.contents }),
            });
        }
        match self.members.next() {
            None => Ok(()),
            Some(Ok(member)) => Err(refused(&name_of(&member), "it does not belong to the archive")),
            Some(Err(error)) => Err(unreadable(&error)),
        }
    }

    fn content(&mut self, digest: &Digest, size: u64) -> Result<(), Failure> {
        let name = content_name(digest);
        let mut member = self.member(&name)?;
        if member.size() != size {
            return Err(refused(&name, format!("{} bytes instead of {size}", member.size())));
        }
        let mut writer = self.store.begin()?;
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            if self.interrupt.is_triggered() {
                return Err(Failure::Interrupted);
            }
            let read = member.read(&mut buffer).map_err(|error| unreadable(&error))?;
            if read == 0 {
                break;
            }
            writer.write(&buffer[..read])?;
        }
        let content = writer.finish()?;
        if content.size() != size {
            return Err(refused(&name, "the archive ends within it"));
        }
        self.store.keep(digest, &content).map_err(|error| match error {
            StoreError::Corrupt { .. } => refused(&name, "its bytes are not those that its name says"),
            error => error.into(),
        })
    }

    /// The next member, which must be this one.
    fn member(&mut self, name: &str) -> Result<tar::Entry<'a, R>, Failure> {
        if self.interrupt.is_triggered() {
            return Err(Failure::Interrupted);
        }
        let member = match self.members.next() {
            Some(Ok(member)) => member,
            Some(Err(error)) => return Err(unreadable(&error)),
            None => return Err(refused(name, "the archive ends before it")),
        };
        let is_it = *member.path_bytes() == *name.as_bytes();
        if !is_it || member.header().entry_type() != EntryType::Regular {
            return Err(refused(name, format!("there is {} in its place", name_of(&member))));
        }
        Ok(member)
    }

    fn document<T: serde::de::DeserializeOwned>(&mut self, name: &str, limit: u64) -> Result<T, Failure> {
        let mut member = self.member(name)?;
        if member.size() > limit {
            return Err(refused(name, format!("{} bytes, more than the {limit} that it may have", member.size())));
        }
        let mut text = Vec::new();
        member.read_to_end(&mut text).map_err(|error| unreadable(&error))?;
        serde_json::from_slice(&text).map_err(|error| refused(name, error.to_string()))
    }
}

/// The name of a member, for people.
fn name_of(member: &tar::Entry<'_, impl Read>) -> String {
    String::from_utf8_lossy(&member.path_bytes()).chars().take(100).flat_map(char::escape_default).collect()
}

fn refused(member: &str, what: impl std::fmt::Display) -> Failure {
    Failure::Corrupt(format!("the archive is damaged or no archive of peat: {member}: {what}. Nothing was imported"))
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::Corrupt(format!("the archive cannot be read: {error}. Nothing was imported"))
}
