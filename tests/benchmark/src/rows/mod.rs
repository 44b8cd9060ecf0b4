//! What is measured, a file for each kind of work.

mod bulk;
pub(crate) mod clones;
mod contention;
mod killed;
mod machines;
pub(crate) mod moves;
mod plain;
pub(crate) mod writes;

use crate::figures::Figures;
use crate::world::World;

/// Rows that are measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// First and full syncs, and one that finds nothing.
    Clones,
    /// One writer.
    Writes,
    /// Large objects.
    Bulk,
    /// Many writers of a partition each.
    Partitions,
    /// The same as machines of one process.
    Machines,
    /// Many writers of one partition.
    Queue,
    /// A holder that dies.
    Killed,
    /// The namespace gets another name.
    Moves,
}

impl Rows {
    /// In an order in which nothing disturbs what comes later.
    const ALL: [(&str, Self); 8] = [
        ("clones", Self::Clones),
        ("writes", Self::Writes),
        ("bulk", Self::Bulk),
        ("partitions", Self::Partitions),
        ("machines", Self::Machines),
        ("queue", Self::Queue),
        ("killed", Self::Killed),
        ("moves", Self::Moves),
    ];

    pub(crate) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find_map(|(name, rows)| (name == word).then_some(rows))
    }
}

/// All of it.
pub(crate) fn measure_all(world: &World, figures: &mut Figures) {
    for (_, rows) in Rows::ALL {
        measure(rows, world, figures);
    }
}

/// Some of it.
pub(crate) fn measure(rows: Rows, world: &World, figures: &mut Figures) {
    match rows {
        Rows::Clones => {
            clones::lazy(world, figures);
            clones::nothing_changed(world, figures);
            let full = clones::full(world, figures);
            plain::compare(world, figures, full);
        }
        Rows::Writes => {
            writes::warm(world, figures);
            writes::fresh(world, figures);
        }
        Rows::Bulk => bulk::measure(world, figures),
        Rows::Partitions => contention::many_partitions(world, figures),
        Rows::Machines => machines::measure(world, figures),
        Rows::Queue => contention::one_partition(world, figures),
        Rows::Killed => killed::measure(world, figures),
        Rows::Moves => moves::measure(world, figures),
    }
}
