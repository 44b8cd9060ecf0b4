//! Orphans: objects that no index names. Uploads whose commit never came, and segments that were replaced.
//!
//! Objects are listed first, and the head is read afterwards: what was committed meanwhile is in it. What is committed later
//! cannot be one of them either, for the head is changed before anything is deleted (`sweeps`): an upload that began before
//! that is done again under other names.

use std::collections::BTreeSet;

use crate::chain::Chain;
use crate::error::Result;
use crate::head::Head;
use crate::keys;
use crate::ports::World;
use crate::record::{Place, Record};
use crate::root::Address;

/// An object that may be an orphan.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) key: String,
    pub(super) bytes: u64,
}

impl<W: World> Chain<W> {
    /// The objects of a partition that are at least `grace_ms` old, by the store's clock. Three listings, one more for each
    /// further thousand objects.
    pub(super) async fn old_objects(&self, address: Address<'_>, grace_ms: u64) -> Result<Vec<Candidate>> {
        let mut found = Vec::new();
        for prefix in keys::content_prefixes(address.namespace, address.partition) {
            let mut cursor = None;
            loop {
                let listing = self.world.list(&prefix, cursor.as_deref()).await?;
                let is_old = |modified_ms: u64| listing.store_time_ms.saturating_sub(modified_ms) >= grace_ms;
                let old = listing.objects.into_iter().filter(|object| is_old(object.modified_ms));
                found.extend(old.map(|object| Candidate { key: object.key, bytes: object.size }));
                cursor = listing.cursor;
                if cursor.is_none() {
                    break;
                }
            }
        }
        Ok(found)
    }
}

/// Those that neither `head` nor one of its records (all of them) names.
pub(super) fn orphans(
    address: Address<'_>,
    candidates: &[Candidate],
    head: &Head,
    records: &[Record],
) -> Vec<Candidate> {
    let segments = head.buffer.iter().chain(&head.segments);
    let segments = segments.map(|segment| keys::segment(address.namespace, address.partition, &segment.digest));
    let contents = records.iter().filter_map(|record| {
        let place = match record {
            Record::Entry(entry) => &entry.place,
            Record::Gone(gone) => &gone.rest.as_ref()?.place,
        };
        match place {
            Place::Inline(_) => None,
            Place::Pack { id, .. } => Some(keys::pack(address.namespace, address.partition, id)),
            Place::Object { id } => Some(keys::object(address.namespace, address.partition, id)),
        }
    });
    let named: BTreeSet<String> = segments.chain(contents).collect();
    candidates.iter().filter(|candidate| !named.contains(&candidate.key)).cloned().collect()
}
