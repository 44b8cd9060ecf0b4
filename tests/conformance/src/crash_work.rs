//! Work that may be killed at any moment, and what must then be there. Everything about a commit follows from its number,
//! so that whoever survives can tell what it should hold.

use peat_core::content;
use peat_core::entry::{ChangeSet, NewEntry};
use peat_core::ports::{LocalStore, SpoolWriter};

use crate::samples::{append, bytes, new_entry};

/// Commits of one worker have numbers from `worker * COMMITS_PER_WORKER` on.
pub const COMMITS_PER_WORKER: u64 = 1_000_000;

/// Lengths around the bounds of rows, memory and files.
const LENGTHS: [usize; 5] = [20, 5_000, 70_000, 200_000, 300_000];

/// What a worker does with a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Commits it here.
    Commit,
    /// Leaves it pending.
    Stage,
    /// Stages and confirms it.
    Confirm,
}

/// The way of a commit.
pub fn way(number: u64) -> Way {
    [Way::Commit, Way::Stage, Way::Confirm, Way::Commit][(number % 4) as usize]
}

/// Where a commit goes: those of one way share a partition.
pub fn partition_of(number: u64) -> &'static str {
    match way(number) {
        Way::Commit => "committed",
        Way::Stage => "staged",
        Way::Confirm => "confirmed",
    }
}

/// Names and contents of a commit.
pub fn items(number: u64) -> Vec<(String, Vec<u8>)> {
    let item = |index: u64| {
        let length = LENGTHS[((number * 3 + index) % LENGTHS.len() as u64) as usize];
        (format!("w{}/{number}-{index}", number / COMMITS_PER_WORKER), bytes(number * 8 + index, length))
    };
    (0..1 + number % 3).map(item).collect()
}

/// The commit, with large content spooled as a run would.
pub fn changes(store: &dyn LocalStore, number: u64) -> ChangeSet {
    let new = |(name, bytes): (String, Vec<u8>)| {
        let mut spool: Box<dyn SpoolWriter> = store.begin().unwrap();
        spool.write(&bytes).unwrap();
        let spooled = spool.finish().unwrap();
        // Every other one comes as foreign content and is copied.
        let content = if number.is_multiple_of(2) { spooled } else { content::in_memory(bytes.clone()) };
        NewEntry { content, ..new_entry(&name, &bytes) }
    };
    append(number, partition_of(number), items(number).into_iter().map(new).collect())
}
