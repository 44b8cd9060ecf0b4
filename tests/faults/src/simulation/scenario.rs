//! Everything that a seed decides before the schedule begins: who works where, and which misfortunes may happen how often.
//!
//! Each misfortune is switched on or off by itself (swarm testing): a schedule in which everything fails at once gets
//! nowhere, and hides what two faults do together.

use super::scheduler::Scheduler;

/// How often something happens to a request, in millionths.
#[derive(Debug, Clone, Default)]
pub struct RequestFaults {
    /// It gets lost on the way; the client waits for its timeout.
    pub lost: u64,
    /// It is done; the answer gets lost.
    pub reply_lost: u64,
    /// The client gives up; the request arrives later, up to three times to live of a lease.
    pub late: u64,
    /// It is done and answered; a copy of it arrives later.
    pub repeated_late: u64,
    /// Something below the client repeats it: the answer is the second one's.
    pub repeated: u64,
    /// The connection breaks before it is done.
    pub reset_before: u64,
    /// The connection breaks after it was done.
    pub reset_after: u64,
    /// 409 without a reason (a conditional write that the store could not decide).
    pub conflict: u64,
    /// 429 or 503 with a time to come back.
    pub throttled: u64,
    /// 500, done or not.
    pub internal: u64,
    /// The answer drips in for up to twice the time to live.
    pub slow: u64,
    /// A read ends too early.
    pub truncated: u64,
    /// A read has wrong bytes.
    pub garbled: u64,
    /// A listing is one change behind.
    pub stale_listing: u64,
}

/// How often something happens to a machine, once in so many milliseconds on average; zero: never.
#[derive(Debug, Clone, Default)]
pub struct MachineFaults {
    /// A process is killed.
    pub kill_every_ms: u64,
    /// A process is paused for up to three and a half times to live.
    pub pause_every_ms: u64,
    /// A host loses its power: its processes, and what its local store wrote last.
    pub power_loss_every_ms: u64,
    /// A wall clock steps by up to ten minutes.
    pub clock_step_every_ms: u64,
    /// A disk is full for a while.
    pub disk_full_every_ms: u64,
    /// The credentials of a host are refused for a while.
    pub denied_every_ms: u64,
    /// The bucket is gone for a while: nothing is found, nothing can be written.
    pub vanished_every_ms: u64,
    /// The store does not answer for a while.
    pub outage_every_ms: u64,
    /// An object is overwritten with garbage, and restored after a while.
    pub damage_every_ms: u64,
    /// An operator ends somebody's lease.
    pub break_every_ms: u64,
    /// Somebody takes the structural lock for a while.
    pub structural_every_ms: u64,
    /// An operator moves the namespace, or gives a move up.
    pub move_every_ms: u64,
    /// An operator interrupts a command.
    pub interrupt_every_ms: u64,
    /// A process dies at a call of the local store, in millionths of the calls.
    pub dies_in_store: u64,
    /// What an extension caches is gone before it is written, in millionths of the calls.
    pub loses_cached: u64,
}

/// One scenario.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Machines.
    pub hosts: u64,
    /// People or jobs on each machine; each runs one command after the other.
    pub sessions: u64,
    /// Models that all of them work on.
    pub models: u64,
    /// Commands of each session while things go wrong.
    pub commands: u64,
    /// Time to live of leases.
    pub ttl_ms: u64,
    /// How long a command waits for a lease.
    pub lock_timeout_ms: u64,
    /// Longest normal time of a request, there and back.
    pub latency_ms: u64,
    /// How much longer it takes to send content: more than a lease lasts, perhaps.
    pub upload_ms: u64,
    /// After so long a client gives a request up in which nothing moves.
    pub timeout_ms: u64,
    /// Longest time of a method.
    pub method_ms: u64,
    /// Bytes of a data item at most.
    pub item_bytes: u64,
    /// Content comes when it is needed.
    pub lazy: bool,
    /// The datastore offers leases.
    pub locks: bool,
    /// How long collectors leave content where it is after it left the index.
    pub grace_ms: u64,
    /// Some items live so long; none: all of them for good.
    pub item_lifetime_ms: Option<u64>,
    /// The real SQLite store instead of the one in memory.
    pub sqlite: bool,
    /// What happens to requests.
    pub requests: RequestFaults,
    /// What happens to machines.
    pub machines: MachineFaults,
}

impl Scenario {
    /// What the chances of this schedule decide.
    pub(super) fn draw(scheduler: &Scheduler, sqlite: bool) -> Self {
        let one_of = |choices: &[u64]| choices[scheduler.below(choices.len() as u64) as usize];
        let ttl_ms = one_of(&[2_000, 6_000, 20_000, 60_000]);
        let mut scenario = Self {
            hosts: 1 + scheduler.below(3),
            sessions: 1 + scheduler.below(3),
            models: 1 + scheduler.below(2),
            commands: 2 + scheduler.below(3),
            ttl_ms,
            lock_timeout_ms: ttl_ms * (1 + scheduler.below(6)),
            latency_ms: one_of(&[5, 40, 200]),
            upload_ms: one_of(&[0, 0, 0, ttl_ms * 3]),
            timeout_ms: one_of(&[1_000, 3_000, 10_000]),
            method_ms: one_of(&[100, ttl_ms / 2, ttl_ms * 2]),
            item_bytes: one_of(&[100, 4_000, 4_000, 20_000]),
            lazy: scheduler.below(2) == 0,
            locks: scheduler.below(6) > 0,
            grace_ms: one_of(&[0, 1_000, ttl_ms * 2]),
            item_lifetime_ms: (scheduler.below(2) == 0).then(|| one_of(&[1, 1_000, ttl_ms])),
            sqlite,
            requests: RequestFaults::default(),
            machines: MachineFaults::default(),
        };
        if scheduler.below(20) > 0 {
            scenario.draw_faults(scheduler);
        }
        scenario
    }

    /// Nothing goes wrong, and a request takes two milliseconds, there and back.
    pub(super) fn quiet() -> Self {
        Self {
            hosts: 1,
            sessions: 1,
            models: 1,
            commands: 0,
            ttl_ms: 60_000,
            lock_timeout_ms: 60_000,
            latency_ms: 0,
            upload_ms: 0,
            timeout_ms: 10_000,
            method_ms: 0,
            item_bytes: 0,
            lazy: true,
            locks: true,
            grace_ms: 0,
            item_lifetime_ms: None,
            sqlite: false,
            requests: RequestFaults::default(),
            machines: MachineFaults::default(),
        }
    }

    fn draw_faults(&mut self, scheduler: &Scheduler) {
        let rate = || if scheduler.below(3) == 0 { [3_000, 20_000, 80_000][scheduler.below(3) as usize] } else { 0 };
        self.requests = RequestFaults {
            lost: rate(),
            reply_lost: rate(),
            late: rate(),
            repeated_late: rate(),
            repeated: rate(),
            reset_before: rate(),
            reset_after: rate(),
            conflict: rate(),
            throttled: rate(),
            internal: rate(),
            slow: rate(),
            truncated: rate(),
            garbled: rate(),
            stale_listing: rate(),
        };
        let ttl_ms = self.ttl_ms;
        let every = || if scheduler.below(4) == 0 { ttl_ms / 4 + scheduler.below(3 * ttl_ms) } else { 0 };
        self.machines = MachineFaults {
            kill_every_ms: every(),
            pause_every_ms: every(),
            power_loss_every_ms: if self.sqlite { 0 } else { every() },
            clock_step_every_ms: every(),
            disk_full_every_ms: every(),
            denied_every_ms: every(),
            vanished_every_ms: every(),
            outage_every_ms: every(),
            damage_every_ms: every(),
            break_every_ms: every(),
            // Its taker looks at the heads that a listing shows: the store is asked to list what was written.
            structural_every_ms: if self.requests.stale_listing == 0 { every() } else { 0 },
            // As the structural lock does, a move looks at the heads that listings show.
            move_every_ms: if self.requests.stale_listing == 0 && self.locks { every() } else { 0 },
            interrupt_every_ms: every(),
            dies_in_store: if scheduler.below(4) == 0 { 20_000 } else { 0 },
            loses_cached: if scheduler.below(4) == 0 { 200_000 } else { 0 },
        };
    }
}
