//! What is in the bucket, committed by the real protocol. All of it follows from the seed, but for the ids and times that
//! the protocol itself chooses.

use peat_conformance_tests::samples::{append, bytes, new_entry};
use peat_core::entry::NewEntry;
use peat_core::identifiers::PartitionName;

use crate::native::Native;
use crate::world::{OBJECT_BYTES, Size, World, partition};

/// Entries of one commit, as many as the protocol takes.
const COMMIT_ENTRIES: usize = 20_000;

/// Bytes of one object of the partition `bulk`.
pub(crate) const BULK_OBJECT_BYTES: usize = 8 * 1024 * 1024;

/// Fills the bucket.
pub(crate) async fn fill(world: &World) {
    let filling = Filling { machine: Native::new(world).await, seed: world.seed };
    filling.partition(&partition("big"), 0, world.size.big).await;
    filling.partition(&partition("thousand"), 1, Size::THOUSAND).await;
    for number in 0..world.size.others {
        filling.partition(&partition(&format!("other-{number:04}")), 2 + number as u64, Size::EACH).await;
    }
    filling.bulk(world.size.bulk).await;
}

/// Content of the `index`th entry of the `number`th partition.
pub(crate) fn content(seed: u64, number: u64, index: usize) -> Vec<u8> {
    bytes(seed << 48 | number << 24 | (index as u64 + 1), OBJECT_BYTES)
}

struct Filling {
    machine: Native,
    seed: u64,
}

impl Filling {
    /// The `number`th partition, in commits whose names lie between each other: neighbours in name lie in different packs.
    async fn partition(&self, partition: &PartitionName, number: u64, entries: usize) {
        let commits = entries.div_ceil(COMMIT_ENTRIES);
        for commit in 0..commits {
            let indexes = (commit..entries).step_by(commits);
            let entry = |index: usize| new_entry(&format!("data-{index:06}"), &content(self.seed, number, index));
            let entries: Vec<NewEntry> = indexes.map(entry).collect();
            self.machine.push(append(number << 8 | commit as u64, partition.as_str(), entries)).await;
        }
    }

    /// Large objects.
    async fn bulk(&self, objects: usize) {
        let entry = |index: usize| {
            let seed = self.seed << 48 | 1 << 47 | (index as u64 + 1);
            new_entry(&format!("bulk-{index:03}"), &bytes(seed, BULK_OBJECT_BYTES))
        };
        let entries = (0..objects).map(entry).collect();
        self.machine.push(append(u64::from(u32::MAX), partition("bulk").as_str(), entries)).await;
    }
}
