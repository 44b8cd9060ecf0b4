//! Where the content of a commit goes: into the index, into one pack, or into objects of their own.

use crate::chain::Chain;
use crate::error::Result;
use crate::keys;
use crate::limits::{
    COMMIT_INLINE_BYTES_MAX, COMMIT_INLINE_ENTRIES_MAX, INLINE_BYTES_MAX, PACK_BYTES_MAX, PACK_PARTS_MAX,
    PACKED_BYTES_MAX, UNKNOWN_ATTEMPTS_MAX,
};
use crate::ports::{Blob, Condition, World};
use crate::record::Place;
use crate::root::Address;
use crate::types::NewEntry;

/// What is to be uploaded, decided before the first request.
#[derive(Debug, Default)]
struct Plan {
    inline: Vec<usize>,
    packs: Vec<Vec<usize>>,
    objects: Vec<usize>,
}

impl<W: World> Chain<W> {
    /// Uploads the content of `entries` and answers the place of each, in order. One request a pack and a large object,
    /// none for what is inlined. What was uploaded and is never committed is an orphan that a sweep deletes.
    pub(crate) async fn upload(&self, address: Address<'_>, entries: &[NewEntry<W::Blob>]) -> Result<Vec<Place>> {
        let plan = plan(entries);
        let mut places: Vec<Option<Place>> = entries.iter().map(|_| None).collect();
        for index in plan.inline {
            let content = &entries[index].content;
            let bytes = self.read_all(&entries[index].description.name, content, INLINE_BYTES_MAX as usize).await?;
            places[index] = Some(Place::Inline(bytes));
        }
        let packs = plan.packs.iter().map(|pack| self.upload_pack(address, entries, pack)).collect();
        for (pack, id) in plan.packs.iter().zip(self.all(packs).await?) {
            let total = pack.iter().map(|index| entries[*index].description.size).sum();
            let mut offset = 0;
            for index in pack {
                places[*index] = Some(Place::Pack { id: id.clone(), offset, total });
                offset += entries[*index].description.size;
            }
        }
        let objects = plan.objects.iter().map(|index| self.upload_object(address, &entries[*index].content)).collect();
        for (index, id) in plan.objects.iter().zip(self.all(objects).await?) {
            places[*index] = Some(Place::Object { id });
        }
        Ok(places.into_iter().map(|place| place.expect("every entry is in one part of the plan")).collect())
    }

    /// Joins `parts` into a new pack and answers its id.
    pub(crate) async fn write_pack(&self, address: Address<'_>, parts: &[&W::Blob]) -> Result<String> {
        let id = self.new_id();
        let key = keys::pack(address.namespace, address.partition, &id);
        let mut attempt = 0;
        loop {
            match self.world.put_concatenated(&key, parts, Condition::Always).await {
                Err(error) if error.is_ambiguous() && attempt + 1 < UNKNOWN_ATTEMPTS_MAX => {
                    attempt += 1;
                    self.pause(attempt, Some(&error)).await;
                }
                answer => return answer.map(|_| id),
            }
        }
    }

    /// Writes an object that never changes under a key that is its own; trying again is harmless.
    pub(crate) async fn write_immutable(&self, key: &str, content: &W::Blob) -> Result<()> {
        let mut attempt = 0;
        loop {
            match self.world.put(key, content, Condition::Always).await {
                Err(error) if error.is_ambiguous() && attempt + 1 < UNKNOWN_ATTEMPTS_MAX => {
                    attempt += 1;
                    self.pause(attempt, Some(&error)).await;
                }
                answer => return answer.map(drop),
            }
        }
    }

    async fn upload_pack(&self, address: Address<'_>, entries: &[NewEntry<W::Blob>], pack: &[usize]) -> Result<String> {
        let parts: Vec<&W::Blob> = pack.iter().map(|index| &entries[*index].content).collect();
        self.write_pack(address, &parts).await
    }

    async fn upload_object(&self, address: Address<'_>, content: &W::Blob) -> Result<String> {
        let id = self.new_id();
        self.write_immutable(&keys::object(address.namespace, address.partition, &id), content).await?;
        Ok(id)
    }
}

fn plan<B: Blob>(entries: &[NewEntry<B>]) -> Plan {
    let mut plan = Plan::default();
    let mut room = if entries.len() <= COMMIT_INLINE_ENTRIES_MAX { COMMIT_INLINE_BYTES_MAX } else { 0 };
    let (mut pack, mut pack_bytes) = (Vec::new(), 0);
    for (index, entry) in entries.iter().enumerate() {
        let size = entry.description.size;
        if size <= INLINE_BYTES_MAX.min(room) {
            room -= size;
            plan.inline.push(index);
        } else if size > PACKED_BYTES_MAX {
            plan.objects.push(index);
        } else {
            if pack.len() == PACK_PARTS_MAX || pack_bytes + size > PACK_BYTES_MAX {
                plan.packs.push(std::mem::take(&mut pack));
                pack_bytes = 0;
            }
            pack_bytes += size;
            pack.push(index);
        }
    }
    if !pack.is_empty() {
        plan.packs.push(pack);
    }
    plan
}
