//! Namespaces among the actors: moves, moves that are given up, run scopes that are folded or dropped. As many at once as
//! the seed likes, each killed or cut off at any request, and gone on with by whoever comes.

use std::sync::Arc;

use peat_chain::types::Step;
use peat_chain::{Chain, ErrorKind, Result};

use super::Simulation;
use super::host::Host;
use super::trouble::operate;
use super::world::ProcessWorld;

/// The namespace in which every schedule begins.
pub(super) const NAMESPACE: &str = "default";

/// Where operators move it to.
pub(super) const TARGET: &str = "moved";

/// What a refusal says of a namespace that is somewhere else now.
pub(super) const MOVED: &str = "was moved to moved";

/// Both, the one in which every schedule begins first.
pub(super) const NAMESPACES: &[&str] = &[NAMESPACE, TARGET];

/// Steps of an operation that are tried again before its operator gives up, and the pause before each, milliseconds.
const RETRIES: u32 = 5;
const RETRY_PAUSE_MS: u64 = 500;

/// How often the last operator begins again in calm weather: it may meet what late requests of others left behind.
const CALM_TRIES: u32 = 4;

/// `peat datastore namespace migrate`.
pub(super) async fn move_namespace(chain: Chain<ProcessWorld>) {
    let world = chain.world().clone();
    world.simulation.oracle().begin_move();
    let moved = to_the_end(&world, async |state| chain.migrate(NAMESPACE, TARGET, state).await).await;
    world.simulation.note(|| format!("p{} moved the namespace: {:?}", world.process, moved.as_ref().err()));
}

/// `peat datastore namespace delete` of the target, which gives a move up that is not done.
pub(super) async fn give_up(chain: Chain<ProcessWorld>) {
    let world = chain.world().clone();
    let deleted = to_the_end(&world, async |state| chain.delete_namespace(TARGET, false, state).await).await;
    world.simulation.note(|| format!("p{} gave the move up: {:?}", world.process, deleted.as_ref().err()));
}

/// Takes steps until the last, as the host does: patient with leases, less so with a store that does not answer.
pub(super) async fn to_the_end(
    world: &ProcessWorld,
    mut step: impl AsyncFnMut(Option<&str>) -> Result<Step>,
) -> Result<()> {
    let mut state: Option<String> = None;
    let mut failures = 0;
    let wait_ms = 6 * world.simulation.scenario.ttl_ms;
    let mut waiting_since_ms = None;
    loop {
        let now_ms = world.simulation.scheduler.now_ms();
        let held = match step(state.as_deref()).await {
            Ok(taken) if taken.done => return Ok(()),
            Ok(taken) => {
                failures = 0;
                state = Some(taken.state);
                taken.waiting
            }
            Err(error) if error.kind == ErrorKind::Held && now_ms - waiting_since_ms.unwrap_or(now_ms) < wait_ms => {
                true
            }
            Err(error)
                if matches!(error.kind, ErrorKind::Unavailable(_) | ErrorKind::LeaseLost) && failures < RETRIES =>
            {
                failures += 1;
                false
            }
            Err(error) => return Err(error),
        };
        if held {
            waiting_since_ms.get_or_insert(now_ms);
        } else {
            waiting_since_ms = None;
        }
        if held || failures > 0 {
            world.simulation.scheduler.sleep(RETRY_PAUSE_MS).await;
        }
    }
}

/// In calm weather a move that somebody began comes to its end, wherever it was left.
pub(super) async fn settle(simulation: &Arc<Simulation>, host: &Arc<Host>) {
    if !simulation.oracle().is_move_begun() {
        return;
    }
    for _ in 0..CALM_TRIES {
        if is_deleting(simulation) {
            operate(simulation, host, give_up).await;
        }
        operate(simulation, host, move_namespace).await;
        if simulation.oracle().is_moved() {
            return;
        }
    }
    simulation.violate("a move never ends in calm weather".to_owned());
}

/// Somebody gave the move up, and was stopped in the middle: the name is free when that is done.
fn is_deleting(simulation: &Simulation) -> bool {
    let bucket = simulation.bucket();
    let root = bucket.truth(&format!("{TARGET}/_index/_meta.json"));
    let meta = root.and_then(|root| super::index::read_sealed(&root.bytes).ok());
    meta.is_some_and(|meta| meta["state"].get("deleting").is_some())
}
