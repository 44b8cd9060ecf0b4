//! The course of a schedule: the store is set up, sessions work while things go wrong, then the weather calms down, and
//! everybody must get through within a bound, with nothing lost; so must a machine that was never there before.

use std::sync::Arc;

use futures::future::join_all;
use peat_chain::Chain;
use peat_core::interrupt::Interrupt;

use super::host::Host;
use super::moves::{self, NAMESPACE};
use super::scheduler::{OUTSIDE, Process};
use super::scopes;
use super::trouble;
use super::work::{self, Command};
use super::world::ProcessWorld;
use super::{Rule, Simulation, lock};

/// Longest pause of a session between two commands, milliseconds.
const PAUSE_MS: u64 = 3_000;

/// Tries of one command in calm weather. One may meet what was left behind (a late request, a lease that is about to be
/// lost); more must not be needed.
const CALM_TRIES: u64 = 3;

/// Virtual time for one command in calm weather, beyond what leases take, milliseconds.
const CALM_COMMAND_MS: u64 = 20_000;

/// A command under way, for whoever wants to interrupt it.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) process: Process,
    pub(super) host: Arc<Host>,
    pub(super) interrupt: Interrupt,
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Succeeded,
    Failed(String),
    Killed,
}

/// The whole schedule.
pub(super) async fn everything(simulation: Arc<Simulation>) {
    let (scheduler, scenario) = (&simulation.scheduler, &simulation.scenario);
    simulation.weather().calm = true;
    let founder = Arc::new(Host::new(0, NAMESPACE, scheduler, false));
    set_up(&simulation, &founder).await;
    if simulation.without == Some(Rule::Conditions) {
        // Not before: a store that is set up is examined.
        simulation.bucket().ignore_conditions();
    }
    let hosts: Vec<_> =
        (1..=scenario.hosts).map(|number| Arc::new(Host::new(number, NAMESPACE, scheduler, scenario.sqlite))).collect();
    lock(&simulation.hosts).extend(hosts.iter().cloned());
    simulation.weather().calm = false;

    let running = trouble::Targets::default();
    let misfortunes = trouble::begin(&simulation, &running);
    let sessions = hosts.iter().flat_map(|host| (0..scenario.sessions).map(move |_| Arc::clone(host)));
    let sessions = sessions.map(|host| stormy_session(&simulation, host, &running)).collect::<Vec<_>>();
    join_all(sessions).await;
    drop(misfortunes);
    trouble::calm_down(&simulation).await;
    scopes::settle(&simulation, &founder).await;
    moves::settle(&simulation, &founder).await;

    let began_ms = scheduler.now_ms();
    let sessions = hosts.iter().flat_map(|host| (0..scenario.sessions).map(move |_| Arc::clone(host)));
    let finished = join_all(sessions.map(|host| calm_session(&simulation, host))).await;
    if let Some(problem) = finished.into_iter().find_map(Result::err) {
        return simulation.violate(problem);
    }
    let took_ms = scheduler.now_ms() - began_ms;
    let bound_ms = calm_bound_ms(&simulation);
    if took_ms > bound_ms {
        return simulation.violate(format!("in calm weather all sessions together took {took_ms} ms, not {bound_ms}"));
    }
    // What one session wrote after the last sync of another: once more, then all must agree.
    let namespace = simulation.oracle().namespace();
    for host in hosts.iter().filter(|host| *host.namespace() != *namespace) {
        // What processes of before the move left behind.
        host.follow(namespace);
    }
    let newcomer = Arc::new(Host::new(99, namespace, scheduler, scenario.sqlite));
    lock(&simulation.hosts).push(Arc::clone(&newcomer));
    for host in hosts.iter().chain([&newcomer]) {
        let ended = command(&simulation, host, Command::Sync { full: true }, None).await;
        if ended != Ended::Succeeded {
            return simulation.violate(format!("the last sync of host {} ended with {ended:?}", host.number));
        }
        let who = format!("host {}", host.number);
        if let Err(problem) = work::check_replica(&simulation, &who, host.store()) {
            return simulation.violate(problem);
        }
        if !host.store().pending(None).is_ok_and(|pending| pending.is_empty()) {
            return simulation.violate(format!("{who} still has something to send after a sync"));
        }
    }
    scheduler.end();
}

/// Everybody's commands one after the other, each after the leases of all others have run out twice.
fn calm_bound_ms(simulation: &Simulation) -> u64 {
    let scenario = &simulation.scenario;
    let commands = scenario.hosts * scenario.sessions * 4 * CALM_TRIES;
    3 * scenario.ttl_ms + commands * (CALM_COMMAND_MS + scenario.timeout_ms)
}

pub(super) async fn set_up(simulation: &Arc<Simulation>, host: &Arc<Host>) {
    let process = host.begin(simulation);
    let world = ProcessWorld::new(simulation, host, process);
    let chain = Chain::new(world);
    let answer = simulation.scheduler.spawn(process, async move { chain.setup(NAMESPACE).await.map(drop) });
    if !matches!(answer.await, Ok(Ok(()))) {
        simulation.violate("the store could not be set up".to_owned());
    }
    host.end(simulation, process);
}

/// Commands one after the other, as a person or a job gives them.
async fn stormy_session(simulation: &Arc<Simulation>, host: Arc<Host>, running: &trouble::Targets) {
    let scheduler = &simulation.scheduler;
    for _ in 0..simulation.scenario.commands {
        scheduler.sleep(scheduler.below(PAUSE_MS)).await;
        if scenario_has_scopes(simulation) && scheduler.below(8) == 0 {
            scopes::session(simulation, &host, running).await;
            continue;
        }
        let next = match scheduler.below(10) {
            8 | 9 if simulation.scenario.locks => Command::Collect { compact: scheduler.below(2) == 0 },
            0 | 1 => Command::Sync { full: !simulation.scenario.lazy },
            2 => Command::Hold,
            _ => Command::Run { model: scheduler.below(simulation.scenario.models) },
        };
        command(simulation, &host, next, Some(running)).await;
    }
}

fn scenario_has_scopes(simulation: &Simulation) -> bool {
    // Whoever folds or moves looks at the heads that listings show, under leases.
    simulation.scenario.locks && simulation.scenario.requests.stale_listing == 0
}

/// One more run, a hold of all models, a collection and a sync, which must all get through.
async fn calm_session(simulation: &Arc<Simulation>, host: Arc<Host>) -> Result<(), String> {
    let model = simulation.scheduler.below(simulation.scenario.models);
    let collect = simulation.scenario.locks.then_some(Command::Collect { compact: true });
    let commands = [Some(Command::Run { model }), Some(Command::Hold), collect, Some(Command::Sync { full: true })];
    for next in commands.into_iter().flatten() {
        let mut told = Vec::new();
        for tries in 1.. {
            match command(simulation, &host, next, None).await {
                Ended::Succeeded => break,
                Ended::Killed => return Err("a process died in calm weather".to_owned()),
                // The wait of a user is over, not ours: the session before it may not be through yet.
                Ended::Failed(problem) if is_wait_over(&problem) || problem.contains(moves::MOVED) => {}
                Ended::Failed(problem) => told.push(problem),
            }
            if told.len() as u64 >= CALM_TRIES || tries > 100 {
                return Err(format!("{next:?} on host {} never succeeds in calm weather: {told:?}", host.number));
            }
        }
    }
    Ok(())
}

fn is_wait_over(problem: &str) -> bool {
    problem.contains("--lock-timeout")
}

/// One command in a process of its own.
pub(super) async fn command(
    simulation: &Arc<Simulation>,
    host: &Arc<Host>,
    command: Command,
    running: Option<&trouble::Targets>,
) -> Ended {
    let process = host.begin(simulation);
    let world = ProcessWorld::new(simulation, host, process);
    let interrupt = Interrupt::new();
    simulation.count(|counts| counts.commands += 1);
    simulation.note(|| format!("p{process} begins on host {}: {command:?}", host.number));
    if let Some(running) = running {
        running.add(Running { process, host: Arc::clone(host), interrupt: interrupt.clone() });
    }
    let work = async move { work::carry_out(&world, command, &interrupt).await };
    let answer = simulation.scheduler.spawn(process, work).await;
    let ended = match answer {
        Ok(Ok(())) => Ended::Succeeded,
        Ok(Err(problem)) => Ended::Failed(problem),
        Err(_) => Ended::Killed,
    };
    simulation.note(|| format!("p{process} ends: {ended:?}"));
    if matches!(&ended, Ended::Failed(problem) if problem.contains(moves::MOVED)) {
        // What the message says to do.
        host.follow(moves::TARGET);
    }
    simulation.count(|counts| counts.successes += u64::from(ended == Ended::Succeeded));
    // A process that ends takes what it had begun with it.
    simulation.scheduler.stop(process);
    simulation.scheduler.resume(process);
    host.end(simulation, process);
    if let Some(running) = running {
        running.remove(process);
    }
    debug_assert_ne!(process, OUTSIDE);
    ended
}
