//! Every state that can be reached, breadth first: the first state in which a property does not hold is told with the
//! shortest way to it.
//!
//! Written here because it is this little: a library for it would bring a web server and its features into every build.

use std::collections::HashMap;
use std::collections::VecDeque;

use crate::model::{Participants, Property, Step};
use crate::state::State;

/// States after which a search is given up: it must end within seconds.
const STATES_MAX: usize = 6_000_000;

/// What a search came to.
#[derive(Debug)]
pub struct Found {
    /// Different states.
    pub states: usize,
    /// All participants got through in one of them.
    pub all_through: bool,
    /// The first property that did not hold, and the steps that led there.
    pub broken: Option<(Property, Vec<Step>)>,
}

/// Visits all states, or those up to the first in which one of `properties` does not hold.
pub fn search(participants: &Participants, properties: &[Property]) -> Found {
    // Each state with the one before it and the step between them.
    let mut seen: HashMap<State, Option<(u32, Step)>> = HashMap::new();
    let mut order: Vec<State> = Vec::new();
    let mut waiting = VecDeque::new();
    let mut all_through = false;
    seen.insert(State::new(), None);
    order.push(State::new());
    waiting.push_back(0_u32);
    let mut steps = Vec::new();
    while let Some(place) = waiting.pop_front() {
        let state = order[place as usize].clone();
        if let Some(broken) = properties.iter().find(|property| !participants.holds(**property, &state)) {
            let broken = Some((*broken, way_to(&seen, &order, &state)));
            return Found { states: order.len(), all_through, broken };
        }
        all_through |= participants.are_all_through(&state);
        participants.steps(&state, &mut steps);
        for step in steps.drain(..) {
            let Some(next) = participants.next(&state, step) else { continue };
            if !participants.is_within_bounds(&next) || seen.contains_key(&next) {
                continue;
            }
            assert!(order.len() < STATES_MAX, "more than {STATES_MAX} states: the bounds are too wide");
            waiting.push_back(u32::try_from(order.len()).expect("fewer states than that"));
            seen.insert(next.clone(), Some((place, step)));
            order.push(next);
        }
    }
    Found { states: order.len(), all_through, broken: None }
}

fn way_to(seen: &HashMap<State, Option<(u32, Step)>>, order: &[State], state: &State) -> Vec<Step> {
    let mut way = Vec::new();
    let mut at = state;
    while let Some(Some((before, step))) = seen.get(at) {
        way.push(*step);
        at = &order[*before as usize];
    }
    way.reverse();
    way
}
