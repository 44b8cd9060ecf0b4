//! What is done to machines, objects and leases while the sessions work.

use std::sync::{Arc, Mutex};

use peat_chain::Chain;

use super::host::Host;
use super::moves::{self, NAMESPACES};
use super::scheduler::{Answer, OUTSIDE, Process};
use super::sessions::Running;
use super::world::ProcessWorld;
use super::{Rule, Simulation, lock};

/// How far a wall clock may step, milliseconds.
const CLOCK_STEP_MS: u64 = 600_000;

/// How long a structural command waits for the lock, in times to live.
const STRUCTURAL_WAIT_TTLS: u64 = 3;

/// Commands that trouble may hit.
#[derive(Debug, Clone, Default)]
pub(super) struct Targets(Arc<Mutex<Vec<Running>>>);

impl Targets {
    pub(super) fn add(&self, running: Running) {
        lock(&self.0).push(running);
    }

    pub(super) fn remove(&self, process: Process) {
        lock(&self.0).retain(|running| running.process != process);
    }

    fn draw(&self, simulation: &Simulation) -> Option<Running> {
        let running = lock(&self.0);
        let place = simulation.scheduler.below(running.len() as u64) as usize;
        running.get(place).cloned()
    }
}

#[derive(Debug, Clone, Copy)]
enum Trouble {
    Kill,
    Pause,
    PowerLoss,
    ClockStep,
    DiskFull,
    Denied,
    Vanished,
    Outage,
    Damage,
    Break,
    Structural,
    Interrupt,
    Move,
    GiveUpMove,
}

/// Starts all kinds of trouble that the scenario has. Dropping the answers ends it.
pub(super) fn begin(simulation: &Arc<Simulation>, targets: &Targets) -> Vec<Answer<()>> {
    let machines = &simulation.scenario.machines;
    let kinds = [
        (machines.kill_every_ms, Trouble::Kill),
        (machines.pause_every_ms, Trouble::Pause),
        (machines.power_loss_every_ms, Trouble::PowerLoss),
        (machines.clock_step_every_ms, Trouble::ClockStep),
        (machines.disk_full_every_ms, Trouble::DiskFull),
        (machines.denied_every_ms, Trouble::Denied),
        (machines.vanished_every_ms, Trouble::Vanished),
        (machines.outage_every_ms, Trouble::Outage),
        (machines.damage_every_ms, Trouble::Damage),
        (machines.break_every_ms, Trouble::Break),
        (if simulation.scenario.locks { machines.structural_every_ms } else { 0 }, Trouble::Structural),
        (machines.interrupt_every_ms, Trouble::Interrupt),
        (machines.move_every_ms, Trouble::Move),
        (machines.move_every_ms, Trouble::GiveUpMove),
    ];
    let kinds = kinds.into_iter().filter(|(every_ms, _)| *every_ms > 0);
    kinds
        .map(|(every_ms, kind)| {
            let (simulation, targets) = (Arc::clone(simulation), targets.clone());
            let scheduler = simulation.scheduler.clone();
            scheduler.spawn(OUTSIDE, async move {
                loop {
                    simulation.scheduler.sleep(1 + simulation.scheduler.below(2 * every_ms)).await;
                    simulation.count(|counts| counts.troubles += 1);
                    cause(&simulation, &targets, kind).await;
                }
            })
        })
        .collect()
}

/// Ends everything that is wrong now. What is on its way still arrives.
pub(super) async fn calm_down(simulation: &Arc<Simulation>) {
    {
        let mut weather = simulation.weather();
        weather.calm = true;
        weather.vanished_until_ms = 0;
        weather.outage_until_ms = 0;
    }
    simulation.scheduler.resume_all();
    for host in simulation.hosts() {
        host.deny_until(0);
        host.fill_until(0);
    }
    let damaged = simulation.bucket().damaged();
    damaged.iter().for_each(|key| restore(simulation, key));
    simulation.note(|| "calm weather".to_owned());
}

async fn cause(simulation: &Arc<Simulation>, targets: &Targets, kind: Trouble) {
    let scheduler = &simulation.scheduler;
    let ttl_ms = simulation.scenario.ttl_ms;
    let until_ms = scheduler.now_ms() + scheduler.below(2 * ttl_ms);
    let hosts = simulation.hosts();
    let host = &hosts[scheduler.below(hosts.len() as u64) as usize];
    let target = targets.draw(simulation);
    simulation.note(|| format!("{kind:?} ({:?}, host {})", target.as_ref().map(|target| target.process), host.number));
    match (kind, target) {
        (Trouble::Kill, Some(target)) => target.host.kill(simulation, target.process),
        (Trouble::Pause, Some(target)) => pause(simulation, target.process),
        (Trouble::Interrupt, Some(target)) => target.interrupt.trigger(),
        (Trouble::PowerLoss, _) => host.lose_power(simulation),
        (Trouble::ClockStep, _) => host.set_skew(scheduler.below(2 * CLOCK_STEP_MS).cast_signed() - 600_000),
        (Trouble::DiskFull, _) => host.fill_until(until_ms),
        (Trouble::Denied, _) => host.deny_until(until_ms),
        (Trouble::Vanished, _) => simulation.weather().vanished_until_ms = until_ms,
        (Trouble::Outage, _) => simulation.weather().outage_until_ms = until_ms,
        (Trouble::Damage, _) => damage(simulation),
        (Trouble::Break, _) => operate(simulation, host, break_lease).await,
        (Trouble::Structural, _) => operate(simulation, host, structural).await,
        (Trouble::Move, _) => operate(simulation, host, moves::move_namespace).await,
        (Trouble::GiveUpMove, _) => operate(simulation, host, moves::give_up).await,
        (Trouble::Kill | Trouble::Pause | Trouble::Interrupt, None) => {}
    }
}

/// A process stands still for up to three and a half times to live, while its requests go on.
fn pause(simulation: &Arc<Simulation>, process: Process) {
    simulation.count(|counts| counts.pauses += 1);
    simulation.scheduler.pause(process);
    let pause_ms = simulation.scheduler.below(simulation.scenario.ttl_ms * 7 / 2);
    let scheduler = simulation.scheduler.clone();
    simulation.scheduler.later(pause_ms, move || scheduler.resume(process));
}

/// An object is overwritten with garbage, as by a hand or a tool, and later restored from a backup of what it was.
fn damage(simulation: &Arc<Simulation>) {
    let scheduler = &simulation.scheduler;
    let folder = ["_index/model", "_segments", "_packs"][scheduler.below(3) as usize];
    let mut bucket = simulation.bucket();
    let namespaces = if scheduler.below(4) == 0 { NAMESPACES } else { &NAMESPACES[..1] };
    let keys: Vec<String> =
        namespaces.iter().flat_map(|namespace| bucket.keys(&format!("{namespace}/{folder}"))).collect();
    let Some(key) = keys.get(scheduler.below(keys.len() as u64) as usize).cloned() else { return };
    simulation.note(|| format!("{key} is damaged"));
    bucket.damage(&key, scheduler.now_ms(), |good| match scheduler.below(3) {
        0 => good[..good.len() / 2].to_vec(),
        1 => b"<html>not found</html>".to_vec(),
        _ => vec![0; good.len()],
    });
    let again = Arc::clone(simulation);
    let repair_ms = scheduler.below(2 * simulation.scenario.ttl_ms);
    scheduler.later(repair_ms, move || restore(&again, &key));
}

fn restore(simulation: &Simulation, key: &str) {
    simulation.note(|| format!("{key} is restored"));
    simulation.bucket().restore(key, simulation.scheduler.now_ms());
}

/// A command of an operator, in a process of its own.
pub(super) async fn operate<F>(
    simulation: &Arc<Simulation>,
    host: &Arc<Host>,
    work: impl FnOnce(Chain<ProcessWorld>) -> F,
) where
    F: Future<Output = ()> + 'static,
{
    let process = host.begin(simulation);
    let world = ProcessWorld::new(simulation, host, process);
    let answer = simulation.scheduler.spawn(process, work(Chain::new(world)));
    // It may be killed with its host.
    let _ = answer.await;
    simulation.scheduler.stop(process);
    host.end(simulation, process);
}

/// `peat lock release`: looks who holds what, and ends one of the leases.
async fn break_lease(chain: Chain<ProcessWorld>) {
    let world = chain.world().clone();
    let Ok(page) = chain.inspect(&world.namespace, None).await else { return };
    let place = world.simulation.scheduler.below(page.leases.len() as u64) as usize;
    if let Some(lease) = page.leases.get(place) {
        world.simulation.oracle().set_free(&lease.nonce);
        // It may be refused, lost or late: all of it is harmless.
        let _ = chain.break_lease(&world.namespace, &lease.partition, &lease.nonce).await;
    }
}

/// A command that needs the namespace for itself, for a while.
async fn structural(chain: Chain<ProcessWorld>) {
    let world = chain.world().clone();
    let (simulation, process) = (&world.simulation, world.process);
    let ttl_ms = simulation.scenario.ttl_ms;
    let taken = chain.acquire_structural(&world.namespace, ttl_ms, STRUCTURAL_WAIT_TTLS * ttl_ms).await;
    let Ok(mut lease) = taken else { return };
    if simulation.without == Some(Rule::Marks) {
        simulation.bucket().unmark_heads(&world.namespace, simulation.scheduler.now_ms());
    }
    simulation.note(|| format!("p{process} has the structural lock"));
    simulation.oracle().set_structural(Some(process));
    for _ in 0..simulation.scheduler.below(4) {
        simulation.scheduler.sleep(ttl_ms / 3).await;
        match chain.renew(&world.namespace, &lease).await {
            Ok(renewed) => lease = renewed,
            Err(_) => break,
        }
    }
    simulation.oracle().set_structural(None);
    simulation.note(|| format!("p{process} gives the structural lock up"));
    // Refused or lost, it ends by itself.
    let _ = chain.release(&world.namespace, &lease).await;
}
