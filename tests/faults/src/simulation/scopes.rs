//! Sessions that work in a run scope and fold it, or drop it, or are killed and leave it open.

use std::sync::Arc;

use peat_chain::Chain;

use super::host::Host;
use super::moves::{move_namespace, to_the_end};
use super::sessions::command;
use super::trouble::{Targets, operate};
use super::work::Command;
use super::world::ProcessWorld;
use super::{Simulation, lock};

/// Numbers of the machines that scopes are worked on: nobody else's.
const FIRST_NUMBER: u64 = 1_000;

/// How often a scope is closed again in calm weather.
const CALM_TRIES: u32 = 4;

/// A scope that may be there.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    name: String,
    /// Folding was begun, so that is what comes next.
    folds: bool,
}

/// Opens a scope, runs something in it, and closes it.
pub(super) async fn session(simulation: &Arc<Simulation>, host: &Arc<Host>, running: &Targets) {
    let scheduler = &simulation.scheduler;
    let (number, scope) = {
        let mut scopes = lock(&simulation.scopes);
        let number = scopes.len();
        let name = format!("{}.scope-{number}", host.namespace());
        scopes.push(Scope { name: name.clone(), folds: false });
        (number, name)
    };
    let made = Arc::new(std::sync::Mutex::new(false));
    let (name, answer) = (scope.clone(), Arc::clone(&made));
    operate(simulation, host, async move |chain: Chain<ProcessWorld>| {
        let parent = chain.world().namespace.to_string();
        *lock(&answer) = chain.create_namespace(&name, Some(&parent), None).await.is_ok();
    })
    .await;
    if !*lock(&made) {
        return;
    }
    let worker = Arc::new(Host::new(FIRST_NUMBER + number as u64, &scope, scheduler, simulation.scenario.sqlite));
    for _ in 0..=scheduler.below(2) {
        let model = scheduler.below(simulation.scenario.models);
        command(simulation, &worker, Command::Run { model }, Some(running)).await;
    }
    if !worker.store().pending(None).is_ok_and(|pending| pending.is_empty()) {
        // `fold` asks to send them first, or to drop the scope.
        command(simulation, &worker, Command::Sync { full: false }, Some(running)).await;
    }
    if !worker.store().pending(None).is_ok_and(|pending| pending.is_empty()) || scheduler.below(4) == 0 {
        discard(simulation, host, &scope).await;
    } else {
        lock(&simulation.scopes)[number].folds = true;
        fold(simulation, host, &scope).await;
    }
}

/// `peat run-scope fold`; whether it came to its end.
async fn fold(simulation: &Arc<Simulation>, host: &Arc<Host>, scope: &str) {
    let scope = scope.to_owned();
    operate(simulation, host, async move |chain: Chain<ProcessWorld>| {
        let world = chain.world().clone();
        let folded = to_the_end(&world, async |state| chain.fold(&scope, state).await).await;
        world.simulation.note(|| format!("p{} folded {scope}: {:?}", world.process, folded.as_ref().err()));
        if folded.is_ok() {
            world.simulation.oracle().acknowledge_fold(&scope);
        }
    })
    .await;
}

/// `peat run-scope discard`.
async fn discard(simulation: &Arc<Simulation>, host: &Arc<Host>, scope: &str) {
    let scope = scope.to_owned();
    operate(simulation, host, async move |chain: Chain<ProcessWorld>| {
        let world = chain.world().clone();
        let dropped = to_the_end(&world, async |state| chain.delete_namespace(&scope, false, state).await).await;
        world.simulation.note(|| format!("p{} dropped {scope}: {:?}", world.process, dropped.as_ref().err()));
    })
    .await;
}

/// In calm weather every scope that was left is closed, as it was begun.
pub(super) async fn settle(simulation: &Arc<Simulation>, host: &Arc<Host>) {
    let scopes = lock(&simulation.scopes).clone();
    for scope in scopes {
        let mut tries = 0;
        while is_open(simulation, &scope.name) {
            if tries == CALM_TRIES {
                return simulation.violate(format!("run scope {} is not closed in calm weather", scope.name));
            }
            tries += 1;
            if scope.folds {
                fold(simulation, host, &scope.name).await;
            } else {
                discard(simulation, host, &scope.name).await;
            }
            if tries == 1 && is_open(simulation, &scope.name) && simulation.oracle().is_move_begun() {
                // Its parent takes no commits: a move was stopped before it saw the scope. Now it does, and is given up.
                operate(simulation, host, move_namespace).await;
            }
        }
    }
}

fn is_open(simulation: &Simulation, scope: &str) -> bool {
    let bucket = simulation.bucket();
    let root = bucket.truth(&format!("{scope}/_index/_meta.json"));
    root.and_then(|root| super::index::read_sealed(&root.bytes).ok()).is_some_and(|meta| meta["state"] != "deleted")
}
