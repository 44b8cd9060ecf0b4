//! The whole namespace gets another name, and what is left of the old one goes.

use peat_test_support::s3::Logged;

use crate::figures::{Figures, Target};
use crate::process::run;
use crate::traffic::Traffic;
use crate::world::{World, peat};

/// The new name.
const NAME: &str = "moved";

/// Bytes of what is copied by the store alone.
const LARGE: u64 = 1024 * 1024 + 4096;

pub(crate) fn measure(world: &World, figures: &mut Figures) {
    let here = world.machine();
    run(peat(&here, "datastore sync"));
    let before = here.peat(&["datastore", "namespace", "list", "--json"]).ok().json();
    let before = before["current"].as_str().unwrap().to_owned();
    let (ran, traffic) = Traffic::of(world, || run(peat(&here, &format!("datastore namespace migrate {NAME}"))));
    figures.row(&format!("the namespace gets another name, {} data items", world.size.objects()));
    figures.add("requests", "requests", Target::None, traffic.count());
    // What is smaller goes through the machine, which is no slower and looks at what is at the target.
    let is_large = |request: &&Logged| request.bytes_in.max(request.bytes_out) > LARGE;
    let large = traffic.requests.iter().filter(is_large).count();
    figures.add("of them with more than 1 MiB: the store copies that", "requests", Target::Counted(0.0), large as f64);
    let seen = (traffic.sent_kib() + traffic.received_kib()) / 1024.0;
    figures.add("sent and received", "MiB", Target::None, seen);
    figures.add("resident at most", "MiB", Target::Counted(256.0), ran.peak_mib);
    figures.add("whole process", "s", Target::None, ran.wall.as_secs_f64());
    let (ran, traffic) = Traffic::of(world, || run(peat(&here, &format!("datastore namespace delete {before}"))));
    figures.add("what is left of it is deleted", "requests", Target::None, traffic.count());
    figures.add("whole process of it", "s", Target::None, ran.wall.as_secs_f64());
    // Everything is there, for a machine that never saw the old name.
    let other = here.machine().clone_of(&here, "afterwards");
    run(peat(&other, "datastore sync"));
    run(peat(&other, "model method run thousand execute"));
}
