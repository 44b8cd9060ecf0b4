//! Large objects through the extension, and natively.

use std::time::{Duration, Instant};

use peat_core::repository::HydrationStrategy;

use crate::data_set::BULK_OBJECT_BYTES;
use crate::figures::{Figures, Target};
use crate::native::Native;
use crate::process::run;
use crate::world::{World, partition, peat};

/// Each way is gone so often; the best counts, so that nobody's bad luck is compared.
const ROUNDS: usize = 3;

/// Downloads all large objects to a new machine.
pub(crate) fn measure(world: &World, figures: &mut Figures) {
    let mib = (world.size.bulk * BULK_OBJECT_BYTES) as f64 / (1024.0 * 1024.0);
    let (mut component, mut native) = (Duration::MAX, Duration::MAX);
    let mut peak_mib: f64 = 0.0;
    for _ in 0..ROUNDS {
        let here = world.machine();
        run(peat(&here, "datastore sync"));
        let ran = run(peat(&here, "datastore hydrate bulk"));
        component = component.min(ran.wall);
        peak_mib = peak_mib.max(ran.peak_mib);
        native = native.min(natively(world));
        world.server().clear_log();
    }
    let rate = |took: Duration| mib / took.as_secs_f64();
    figures.row(&format!("bulk transfer, {mib:.0} MiB in objects of 8 MiB, best of {ROUNDS}"));
    figures.add("through the extension, whole process", "MiB/s", Target::None, rate(component));
    figures.add("natively, the same host code", "MiB/s", Target::None, rate(native));
    let ratio = native.as_secs_f64() / component.as_secs_f64();
    figures.add("through the extension / natively", "", Target::TimedAtLeast(0.9), ratio);
    figures.add("resident at most", "MiB", Target::Counted(256.0), peak_mib);
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
