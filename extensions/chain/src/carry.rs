//! Bringing the content of a partition into another namespace of the same store: every object that its head names is copied
//! inside the store, under the same name, and looked for in a listing afterwards.

use std::collections::{BTreeMap, BTreeSet};

use crate::chain::Chain;
use crate::error::{Error, ErrorKind, Result};
use crate::head::Head;
use crate::keys;
use crate::limits::{COPY_BATCH, UNKNOWN_ATTEMPTS_MAX};
use crate::ports::World;
use crate::record::{Place, Record};
use crate::root::Address;

/// The objects a head names, each by the part of its key that is the same in every namespace, with the bytes it must have.
type Named = BTreeMap<String, u64>;

impl<W: World> Chain<W> {
    /// Copies what `head` names to `to`, but for what is there, and looks whether it is. False when the time was over before.
    pub(crate) async fn carry_content(
        &self,
        from: Address<'_>,
        to: Address<'_>,
        head: &Head,
        deadline_ms: u64,
    ) -> Result<bool> {
        let named = self.named_by(from, head).await?;
        if named.is_empty() {
            return Ok(true);
        }
        let there = self.sizes(to, &named).await?;
        let missing: Vec<&String> = named.keys().filter(|name| !there.contains_key(*name)).collect();
        for batch in missing.chunks(COPY_BATCH) {
            if self.is_over(deadline_ms) {
                return Ok(false);
            }
            self.all(batch.iter().map(|name| self.copy_object(from, to, name)).collect()).await?;
        }
        let there = if missing.is_empty() { there } else { self.sizes(to, &named).await? };
        for (name, bytes) in &named {
            match there.get(name) {
                Some(size) if size >= bytes => {}
                size => {
                    let key = key_of(to, name);
                    let what = match size {
                        Some(size) => format!("it has {size} bytes instead of {bytes} after it was copied"),
                        None => "it was copied and is not there".to_owned(),
                    };
                    return Err(Error::corrupt(&key, what));
                }
            }
        }
        Ok(true)
    }

    /// Copies what lies at these places of one namespace to another.
    pub(crate) async fn copy_places(&self, from: Address<'_>, to: Address<'_>, places: &[Place]) -> Result<()> {
        let names: BTreeSet<String> =
            places.iter().filter_map(|place| name_of(place, 0)).map(|(name, _)| name).collect();
        self.all(names.iter().map(|name| self.copy_object(from, to, name)).collect()).await.map(drop)
    }

    /// What a head names: its segments, and the content of the entries in them.
    async fn named_by(&self, address: Address<'_>, head: &Head) -> Result<Named> {
        let mut named = Named::new();
        for reference in head.buffer.iter().chain(&head.segments) {
            named.insert(format!("_segments/{}", reference.digest), reference.bytes);
            // One at a time: together they may be more than fits into memory.
            add_content(&mut named, &self.read_segment(address, reference).await?);
        }
        add_content(&mut named, &head.recent);
        Ok(named)
    }

    /// The objects of a partition that are there, of the kinds that are named.
    async fn sizes(&self, address: Address<'_>, named: &Named) -> Result<Named> {
        let kinds = [
            ("_segments/", keys::segment_prefix(address.namespace, address.partition)),
            ("_packs/", keys::pack_prefix(address.namespace, address.partition)),
            ("_objects/", keys::object_prefix(address.namespace, address.partition)),
        ];
        let mut there = Named::new();
        for (kind, prefix) in kinds.iter().filter(|(kind, _)| named.keys().any(|name| name.starts_with(kind))) {
            let mut cursor = None;
            loop {
                let listing = self.world.list(prefix, cursor.as_deref()).await?;
                for object in &listing.objects {
                    if let Some(id) = object.key.strip_prefix(prefix) {
                        there.insert(format!("{kind}{id}"), object.size);
                    }
                }
                match listing.cursor {
                    Some(next) => cursor = Some(next),
                    None => break,
                }
            }
        }
        Ok(there)
    }

    /// Copies one object that never changes; that it is there already is as good.
    async fn copy_object(&self, from: Address<'_>, to: Address<'_>, name: &str) -> Result<()> {
        let (source, target) = (key_of(from, name), key_of(to, name));
        let mut attempt = 0;
        loop {
            match self.world.copy(&source, &target).await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind == ErrorKind::Conflict => return Ok(()),
                Err(error) if error.is_unavailable() && attempt + 1 < UNKNOWN_ATTEMPTS_MAX => {
                    attempt += 1;
                    self.pause(attempt, Some(&error)).await;
                }
                Err(error) if error.is_not_found() => {
                    return Err(Error::corrupt(&source, "the index names it, but it does not exist"));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Where an object of that name lies in a partition: `_packs/ID` is `NAMESPACE/_packs/PARTITION/ID`.
fn key_of(address: Address<'_>, name: &str) -> String {
    let (kind, id) = name.split_once('/').unwrap_or_default();
    format!("{}/{kind}/{}/{id}", address.namespace, address.partition)
}

fn add_content(named: &mut Named, records: &[Record]) {
    for (name, bytes) in records.iter().filter_map(Record::entry).filter_map(|entry| name_of(&entry.place, entry.size))
    {
        let known = named.entry(name).or_default();
        *known = (*known).max(bytes);
    }
}

/// The name of the object that content of so many bytes lies in, and how many bytes that must have at least.
fn name_of(place: &Place, size: u64) -> Option<(String, u64)> {
    match place {
        Place::Inline(_) => None,
        Place::Pack { id, offset, .. } => Some((format!("_packs/{id}"), offset.saturating_add(size))),
        Place::Object { id } => Some((format!("_objects/{id}"), size)),
    }
}
