//! What the server saw of a piece of work.

use std::time::Instant;

use peat_test_support::s3::{Logged, Operation};

use crate::world::World;

/// Requests, in the order in which they took effect.
#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) requests: Vec<Logged>,
}

impl Traffic {
    /// Does `work` and tells what came of it.
    pub(crate) fn of<T>(world: &World, work: impl FnOnce() -> T) -> (T, Self) {
        world.server().clear_log();
        let answer = work();
        (answer, Self { requests: world.server().log() })
    }

    pub(crate) fn count(&self) -> f64 {
        self.requests.len() as f64
    }

    /// KiB of bodies to the store.
    pub(crate) fn sent_kib(&self) -> f64 {
        kib(self.requests.iter().map(|request| request.bytes_in).sum())
    }

    /// KiB of bodies from it.
    pub(crate) fn received_kib(&self) -> f64 {
        kib(self.requests.iter().map(|request| request.bytes_out).sum())
    }

    /// Requests of which each began when the one before was answered: round trips.
    pub(crate) fn round_trips(&self) -> f64 {
        chain(self.requests.iter()) as f64
    }

    /// Round trips from the reply to the swap that took the lease of the head `key` to the swap that gave it back.
    pub(crate) fn round_trips_held(&self, key: &str) -> f64 {
        let swaps: Vec<&Logged> = self.swaps(key).collect();
        let (Some(taken), Some(released)) = (swaps.first(), swaps.last()) else { return 0.0 };
        let within =
            |request: &&Logged| request.received >= taken.answered && request.carried_out <= released.carried_out;
        chain(self.requests.iter().filter(within)) as f64
    }

    /// Writes of the head `key` that were accepted.
    pub(crate) fn swaps<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Logged> {
        let is_swap = move |request: &&Logged| {
            request.operation == Operation::Put && request.status == 200 && request.key.ends_with(key)
        };
        self.requests.iter().filter(is_swap)
    }
}

/// Length of the longest row of requests that do not overlap: those that end first are taken first.
fn chain<'a>(requests: impl Iterator<Item = &'a Logged>) -> usize {
    let mut spans: Vec<(Instant, Instant)> = requests.map(|request| (request.answered, request.received)).collect();
    spans.sort_unstable();
    let mut free: Option<Instant> = None;
    let mut length = 0;
    for (answered, received) in spans {
        if free.is_none_or(|free| received >= free) {
            free = Some(answered);
            length += 1;
        }
    }
    length
}

fn kib(bytes: u64) -> f64 {
    (bytes as f64 / 1024.0 * 10.0).round() / 10.0
}
