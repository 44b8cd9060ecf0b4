//! First uses of a repository by a machine, and the next ones.

use peat_end_to_end_tests::Checkout;

use crate::figures::{Figures, Target};
use crate::process::{Ran, run};
use crate::traffic::Traffic;
use crate::world::{World, peat};

/// A lazy clone, and a first run of one model in it.
pub(crate) fn lazy(world: &World, figures: &mut Figures) {
    let here = world.machine();
    let (clone, traffic) = Traffic::of(world, || run(peat(&here, "datastore sync")));
    figures.row(&format!("lazy clone of {} objects", world.size.objects()));
    figures.add("requests", "requests", Target::Counted(3.0 + pages(world)), traffic.count());
    figures.add("whole process", "s", Target::Timed(1.0), clone.wall.as_secs_f64());
    figures.add("resident at most", "MiB", Target::None, clone.peak_mib);
    let (first, traffic) = Traffic::of(world, || run(peat(&here, "model method run thousand execute")));
    figures.add("first run of a model of 1,000 entries", "requests", Target::Counted(8.0), traffic.count());
    figures.add("whole process of it", "s", Target::None, first.wall.as_secs_f64());
}

/// Syncs when nothing is new.
pub(crate) fn nothing_changed(world: &World, figures: &mut Figures) {
    let here = world.machine();
    run(peat(&here, "datastore sync"));
    run(peat(&here, "datastore sync --model thousand"));
    figures.row("nothing changed");
    let (ran, traffic) = Traffic::of(world, || run(peat(&here, "datastore sync")));
    figures.add("whole namespace", "requests", Target::Counted(1.0 + pages(world)), traffic.count());
    figures.add("whole process", "ms", Target::None, ran.wall.as_secs_f64() * 1000.0);
    let (_, traffic) = Traffic::of(world, || run(peat(&here, "datastore sync --model thousand")));
    figures.add("one model", "requests", Target::Counted(1.0), traffic.count());
}

/// A full clone.
pub(crate) fn full(world: &World, figures: &mut Figures) -> Ran {
    let here = world.machine();
    make_full(&here);
    let (ran, traffic) = Traffic::of(world, || run(peat(&here, "datastore sync")));
    figures.row(&format!("full clone of {} objects of 600 B", world.size.objects()));
    // The target is for 262,000 objects. What is beside them here (large objects, what the other rows wrote) is not counted.
    let target = (3_000 * world.size.objects()).div_ceil(262_000);
    let many = traffic.requests.iter().filter(|request| !request.key.contains("/_objects/")).count();
    figures.add("requests", "requests", Target::Counted(target as f64), many as f64);
    figures.add("resident at most", "MiB", Target::Counted(256.0), ran.peak_mib);
    figures.add("whole process", "s", Target::None, ran.wall.as_secs_f64());
    figures.add("processor time", "s", Target::None, ran.cpu_s);
    ran
}

fn make_full(checkout: &Checkout) {
    let text = checkout.read("peat.yaml");
    assert!(text.contains("hydrationStrategy: lazy"), "{text}");
    checkout.write("peat.yaml", text.replace("hydrationStrategy: lazy", "hydrationStrategy: full"));
}

/// Listing pages of the namespace.
fn pages(world: &World) -> f64 {
    world.size.partitions().div_ceil(1000) as f64
}
