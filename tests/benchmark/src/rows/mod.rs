//! What is measured, a file for each kind of work.

mod bulk;
pub(crate) mod clones;
mod contention;
mod killed;
pub(crate) mod moves;
mod plain;
pub(crate) mod writes;

use crate::figures::Figures;
use crate::world::World;

/// All of it, in an order in which nothing disturbs what comes later.
pub(crate) fn measure_all(world: &World, figures: &mut Figures) {
    clones::lazy(world, figures);
    writes::warm(world, figures);
    writes::fresh(world, figures);
    clones::nothing_changed(world, figures);
    let full = clones::full(world, figures);
    plain::compare(world, figures, full);
    bulk::measure(world, figures);
    contention::many_partitions(world, figures);
    contention::one_partition(world, figures);
    killed::measure(world, figures);
    moves::measure(world, figures);
}
