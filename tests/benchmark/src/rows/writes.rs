//! Locked writes of a kilobyte.

use peat_conformance_tests::samples::{append, new_entry};

use crate::figures::{Figures, Target};
use crate::native::Native;
use crate::process::{Ran, run};
use crate::traffic::Traffic;
use crate::world::{World, head, model, partition, peat};

/// Writes after each of which somebody else writes: every fifth or so also moves records into segments.
const FRESH_WRITES: u64 = 5;

/// In a process that has written before.
pub(crate) fn warm(world: &World, figures: &mut Figures) {
    let native = world.runtime.block_on(Native::new(world));
    let write = || world.runtime.block_on(native.write_1_kib(model("warm", "true")));
    write();
    write();
    let ((), traffic) = Traffic::of(world, write);
    figures.row("locked 1 KB write, warm process");
    figures.add("requests", "requests", Target::Counted(4.0), traffic.count());
    figures.add("of them one after the other", "round trips", Target::Counted(2.0), traffic.round_trips());
}

/// In a new process, after others have written.
pub(crate) fn fresh(world: &World, figures: &mut Figures) {
    let here = world.machine();
    run(peat(&here, "datastore sync"));
    run(peat(&here, "model method run big execute"));
    let other = world.runtime.block_on(Native::new(world));
    let key = head("big");
    let mut runs: Vec<(Ran, Traffic)> = Vec::new();
    for number in 0..FRESH_WRITES {
        let entry = new_entry("by-others", format!("written by others: {number}").as_bytes());
        world.runtime.block_on(other.push(append(1 << 60 | number, partition("big").as_str(), vec![entry])));
        runs.push(Traffic::of(world, || run(peat(&here, "model method run big execute"))));
    }
    let most = |value: &dyn Fn(&(Ran, Traffic)) -> f64| runs.iter().map(value).fold(0.0, f64::max);
    figures.row(&format!(
        "locked 1 KB write, fresh process, {} objects, own partition with {} entries: most of {FRESH_WRITES}",
        world.size.objects(),
        world.size.big
    ));
    figures.add("requests", "requests", Target::Counted(6.0), most(&|(_, traffic)| traffic.count()));
    figures.add("sent", "KiB", Target::Counted(128.0), most(&|(_, traffic)| traffic.sent_kib()));
    figures.add("received", "KiB", Target::Counted(128.0), most(&|(_, traffic)| traffic.received_kib()));
    let held = most(&|(_, traffic)| traffic.round_trips_held(&key));
    figures.add("lease held beyond the method", "round trips", Target::Counted(4.0), held);
    figures.add("resident at most", "MiB", Target::Counted(80.0), most(&|(ran, _)| ran.peak_mib));
    figures.add("whole process", "ms", Target::None, most(&|(ran, _)| ran.wall.as_secs_f64() * 1000.0));
}
