//! Many writers as machines of one process.

use std::sync::Arc;
use std::time::Instant;

use peat_core::repository::Model;
use tokio::task::JoinSet;
use tokio_util::task::LocalPoolHandle;

use super::plain;
use crate::figures::{Figures, Target, median};
use crate::native::Native;
use crate::process::cpu_of_this;
use crate::world::{WRITERS, World, model};

/// How often what takes a tenth of a second is measured.
const ROUNDS: usize = 5;

/// Memory in the place of disks.
const MEMORY: &str = "/dev/shm";

/// The same as machines without processes and without wasm, and what the SDK and the store need for their requests alone.
pub(crate) fn measure(world: &World, figures: &mut Figures) {
    let (alone_s, together_s, cpu_s) = world.runtime.block_on(machines_in_one_process(world));
    figures.row(&format!(
        "{WRITERS} writers, {WRITERS} partitions, as machines of one process, with a method that takes no time"
    ));
    figures.add("one of them", "s", Target::None, alone_s);
    figures.add("all at once", "s", Target::None, together_s);
    figures.add("all / one", "", Target::Timed(2.0), together_s / alone_s);
    let cpu_ms = cpu_s / WRITERS as f64 * 1000.0;
    figures.add("processor time of one of them, the store's included", "ms", Target::None, cpu_ms);
    let (alone_s, together_s) = world.runtime.block_on(plain::writes(world));
    figures.add("plain requests of the SDK in their place: all / one", "", Target::None, together_s / alone_s);
}

/// A machine each, without processes: tells the store's share from that of starting them. As many machines have as many disks:
/// what they write lies in memory where there is some, for here all of them would wait for one. Answers the time of one and of
/// all, each the median of some rounds, and the processor time of all in one round.
async fn machines_in_one_process(world: &World) -> (f64, f64, f64) {
    let place = tempfile::tempdir_in(MEMORY).or_else(|_| tempfile::tempdir_in(world.scratch.path())).unwrap();
    let threads = LocalPoolHandle::new(std::thread::available_parallelism().map_or(1, usize::from));
    let mut machines = Vec::with_capacity(WRITERS);
    for number in 0..WRITERS {
        let machine = Arc::new(Native::among(world, place.path(), &threads).await);
        machine.write_1_kib(task(number)).await;
        machines.push(machine);
    }
    let writes = |machines: &[Arc<Native>]| -> JoinSet<()> {
        let write = |(number, machine): (usize, &Arc<Native>)| {
            let machine = Arc::clone(machine);
            async move { machine.write_1_kib(task(number)).await }
        };
        machines.iter().enumerate().map(write).collect()
    };
    let (mut alone, mut together, mut cpu_s) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..ROUNDS {
        alone.push(took(writes(&machines[..1]).join_all()).await);
        let cpu_before = cpu_of_this();
        together.push(took(writes(&machines).join_all()).await);
        cpu_s += cpu_of_this() - cpu_before;
    }
    (median(alone), median(together), cpu_s / ROUNDS as f64)
}

/// In seconds.
async fn took(work: impl Future) -> f64 {
    let began = Instant::now();
    work.await;
    began.elapsed().as_secs_f64()
}

fn task(number: usize) -> Model {
    model(&format!("task-{number:02}"), "true")
}
