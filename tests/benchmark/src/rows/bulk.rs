//! Large objects through the extension, and natively.

use std::time::{Duration, Instant};

use peat_core::repository::HydrationStrategy;

use crate::data_set::BULK_OBJECT_BYTES;
use crate::figures::{Figures, Target, median};
use crate::native::Native;
use crate::process::{Ran, run};
use crate::world::{World, partition, peat};

/// Each way is gone so often, side by side: what a disk takes fast at first and slowly then meets both ways of a round.
const ROUNDS: usize = 9;

/// Downloads all large objects to a new machine.
pub(crate) fn measure(world: &World, figures: &mut Figures) {
    let mib = (world.size.bulk * BULK_OBJECT_BYTES) as f64 / (1024.0 * 1024.0);
    let (mut component, mut native, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut peak_mib: f64 = 0.0;
    for round in 0..ROUNDS {
        let (ours, theirs) = if round % 2 == 0 {
            let ours = through_the_extension(world);
            (ours, natively(world))
        } else {
            let theirs = natively(world);
            (through_the_extension(world), theirs)
        };
        peak_mib = peak_mib.max(ours.peak_mib);
        component.push(mib / ours.wall.as_secs_f64());
        native.push(mib / theirs.as_secs_f64());
        ratios.push(theirs.as_secs_f64() / ours.wall.as_secs_f64());
        world.server().clear_log();
    }
    figures.row(&format!("bulk transfer, {mib:.0} MiB in objects of 8 MiB, median of {ROUNDS}"));
    figures.add("through the extension, whole process", "MiB/s", Target::None, median(component));
    figures.add("natively, the same host code", "MiB/s", Target::None, median(native));
    figures.add("through the extension / natively, of each round", "", Target::TimedAtLeast(0.9), median(ratios));
    figures.add("resident at most", "MiB", Target::Counted(256.0), peak_mib);
}

fn through_the_extension(world: &World) -> Ran {
    let here = world.machine();
    run(peat(&here, "datastore sync"));
    run(peat(&here, "datastore hydrate bulk"))
}

fn natively(world: &World) -> Duration {
    world.runtime.block_on(async {
        let machine = Native::new(world).await;
        machine.sync(HydrationStrategy::Lazy).await;
        let began = Instant::now();
        let report = machine.hydrate(partition("bulk")).await;
        let took = began.elapsed();
        assert_eq!(report.brought.contents, world.size.bulk as u64);
        took
    })
}
