//! Holders that die.

use std::time::{Duration, Instant};

use peat_end_to_end_tests::{Checkout, in_pid_namespace};

use crate::figures::{Figures, Target};
use crate::process::{run, start, wait_for};
use crate::world::{World, peat};

/// Time to live of the leases here.
const TTL: Duration = Duration::from_secs(5);

/// Until those that were started wait.
const WAITING: Duration = Duration::from_millis(700);

const RUN: &str = "model method run queue execute --lock-timeout 120s";

/// On the same host and on another one.
pub(crate) fn measure(world: &World, figures: &mut Figures) {
    figures.row(&format!("holder killed, time to live {} s", TTL.as_secs()));
    let (first, second) = (short_lived(world), short_lived(world));
    let neighbour = || peat(&first, RUN);
    figures.add("next on the same host begins after", "s", Target::Timed(1.0), after_kill(world, &first, neighbour));
    let target = Target::Timed(2.0 * TTL.as_secs_f64() + 1.0);
    match in_pid_namespace(&peat(&second, RUN)) {
        Some(_) => {
            let elsewhere = || in_pid_namespace(&peat(&second, RUN)).unwrap();
            figures.add("next on another host begins after", "s", target, after_kill(world, &first, elsewhere));
        }
        None => println!("  on another host: not measured, this system allows no pid namespaces"),
    }
}

/// Kills a holder, and answers how long the next one took to begin, in seconds.
fn after_kill(world: &World, first: &Checkout, next: impl Fn() -> std::process::Command) -> f64 {
    let (order, go) = (world.file("order"), world.file("go"));
    for file in [&order, &go] {
        let _ = std::fs::remove_file(file);
    }
    let holder = start(peat(first, RUN));
    wait_for(&order);
    std::fs::remove_file(&order).unwrap();
    let waiting = start(next());
    std::thread::sleep(WAITING);
    let killed = Instant::now();
    holder.kill();
    wait_for(&order);
    let waited = killed.elapsed();
    std::fs::write(&go, "").unwrap();
    waiting.end();
    waited.as_secs_f64()
}

fn short_lived(world: &World) -> Checkout {
    let checkout = world.machine();
    let text = checkout.read("peat.yaml");
    let line = text.lines().find(|line| line.trim_start().starts_with("leaseTtl:")).expect("setup writes it");
    let indent = &line[..line.len() - line.trim_start().len()];
    checkout.write("peat.yaml", text.replace(line, &format!("{indent}leaseTtl: {}s", TTL.as_secs())));
    run(peat(&checkout, "datastore sync"));
    checkout
}
