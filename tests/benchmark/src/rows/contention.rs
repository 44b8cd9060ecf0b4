//! Many writers.

use std::process::Command;
use std::time::{Duration, Instant};

use peat_end_to_end_tests::Checkout;

use crate::figures::{Figures, Target};
use crate::process::{Running, cpu_of_ended, run, start, wait_for};
use crate::traffic::Traffic;
use crate::world::{LATENCY, SLOW, SLOWLY, WRITERS, World, head, peat, writer};

/// Processes that want one partition.
const QUEUED: usize = 16;

/// Between two that join the queue: places are told by the store's clock, which shows whole seconds.
const JOINING: Duration = Duration::from_millis(1_200);

/// A partition each.
pub(crate) fn many_partitions(world: &World, figures: &mut Figures) {
    let here = world.machine();
    run(peat(&here, "datastore sync"));
    let slowly = world.file(SLOWLY);
    std::fs::write(&slowly, "").unwrap();
    let slow = Together::measure(&here, 1);
    std::fs::remove_file(slowly).unwrap();
    let at_once = Together::measure(&here, 5);
    figures.row(&format!("{WRITERS} writers, {WRITERS} partitions, one namespace"));
    figures.add("processes that succeeded", "", Target::None, 2.0 * WRITERS as f64);
    let takes = format!("with a method that takes {} s", SLOW.as_secs());
    figures.add(&format!("{takes}: one process"), "s", Target::None, slow.alone_s);
    figures.add(&format!("{takes}: all / one"), "", Target::Timed(2.0), slow.ratio());
    figures.add("with a method that takes no time: one process", "s", Target::None, at_once.alone_s);
    figures.add("all processes at once", "s", Target::None, at_once.together_s);
    figures.add("all / one", "", Target::Timed(2.0), at_once.ratio());
    let cpu_ms = at_once.cpu_s / WRITERS as f64 * 1000.0;
    figures.add("processor time of one of them, its method's processes included", "ms", Target::None, cpu_ms);
    let started_s = all_at_once(|_| peat(&here, "version"));
    let started = format!("as many processes of `peat version` / one of these {WRITERS}");
    figures.add(&started, "", Target::None, started_s / at_once.alone_s);
}

/// All writers, and one of them.
struct Together {
    alone_s: f64,
    together_s: f64,
    cpu_s: f64,
}

impl Together {
    /// On one machine. The median of `times` runs of one alone; then all at once.
    fn measure(machine: &Checkout, times: usize) -> Self {
        let write = |number: usize| peat(machine, &format!("model method run {} execute", writer(number)));
        let mut alone: Vec<Duration> = (0..times).map(|_| run(write(0)).wall).collect();
        alone.sort_unstable();
        let cpu_before = cpu_of_ended();
        let together_s = all_at_once(write);
        Self { alone_s: alone[times / 2].as_secs_f64(), together_s, cpu_s: cpu_of_ended() - cpu_before }
    }

    fn ratio(&self) -> f64 {
        self.together_s / self.alone_s
    }
}

/// How long it takes to run as many processes as there are writers, in seconds.
fn all_at_once(command: impl Fn(usize) -> Command) -> f64 {
    let began = Instant::now();
    let running: Vec<Running> = (0..WRITERS).map(|number| start(command(number))).collect();
    running.into_iter().for_each(Running::end);
    began.elapsed().as_secs_f64()
}

/// One partition, from as many machines.
pub(crate) fn one_partition(world: &World, figures: &mut Figures) {
    let machines: Vec<_> = (0..QUEUED).map(|_| world.machine()).collect();
    for machine in &machines {
        run(peat(machine, "datastore sync"));
    }
    let (order, go) = (world.file("order"), world.file("go"));
    let run_queue = "model method run queue execute --lock-timeout 300s";
    let (arrived, traffic) = Traffic::of(world, || {
        let mut running = Vec::new();
        for machine in &machines {
            running.push(start(peat(machine, run_queue)));
            wait_for(&order);
            std::thread::sleep(JOINING);
        }
        std::fs::write(&go, "").unwrap();
        let arrived: Vec<u32> = running.iter().map(Running::id).collect();
        running.into_iter().for_each(Running::end);
        arrived
    });
    let served: Vec<u32> = std::fs::read_to_string(&order).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    let in_order = arrived.iter().zip(&served).filter(|(arrived, served)| arrived == served).count();
    let mut handovers = handovers(&traffic);
    // Whoever has waited for long asks less often: after a sixteenth of that time, at least every second.
    let first = handovers.remove(0);
    handovers.sort_by(f64::total_cmp);
    figures.row(&format!("{QUEUED} writers on {QUEUED} machines, one partition"));
    figures.add("processes that succeeded", "", Target::None, served.len() as f64);
    figures.add("served in the order of their arrival", "", Target::TimedAtLeast(QUEUED as f64), in_order as f64);
    let middle = handovers[handovers.len() / 2];
    figures.add("handover, median", "round trips", Target::Timed(5.0), middle);
    figures.add("handover, longest", "round trips", Target::Timed(5.0), handovers[handovers.len() - 1]);
    let waited = format!("handover of the first, who had worked for {:.0} s", (JOINING * QUEUED as u32).as_secs_f64());
    figures.add(&waited, "round trips", Target::None, first);
}

/// From each swap that gave the lease up to the next one that took it, in round trips of the network.
fn handovers(traffic: &Traffic) -> Vec<f64> {
    let key = head("queue");
    let swaps: Vec<Instant> = traffic.swaps(&key).map(|swap| swap.carried_out).collect();
    assert_eq!(swaps.len(), 2 * QUEUED, "each writer takes the lease once and gives it up once");
    let between = swaps[1..].chunks_exact(2).map(|pair| pair[1] - pair[0]);
    between.map(|time| time.as_secs_f64() / LATENCY.as_secs_f64()).collect()
}
