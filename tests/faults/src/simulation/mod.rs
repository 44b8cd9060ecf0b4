//! Deterministic simulation of many hosts on one faulty store. The protocol (`peat-chain`) and the host's orchestration
//! (`peat_core::run`, `sync`, `hold`, `hydrate`) run as they are; what is simulated is everything around them: time, the
//! network, the store, disks, kernels and people. `docs/simulation.md` says what that covers and what not.
//!
//! One seed decides everything, so a failure is repeated by its seed.

mod bucket;
mod cost;
mod datastore;
mod host;
mod index;
mod lane;
mod local_store;
mod locks;
mod moves;
mod namespaces;
mod network;
mod oracle;
mod scenario;
mod scheduler;
mod scopes;
mod sessions;
mod trouble;
mod work;
mod world;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bucket::{Bucket, Change};
pub use cost::{WriteCost, warm_write};
use host::Host;
use oracle::Oracle;
pub use scenario::Scenario;
use scheduler::{Ending, Scheduler};

/// Wall clock and store clock at the beginning, milliseconds since the Unix epoch: any date will do.
const BEGINNING_MS: u64 = 1_800_000_000_000;

/// Lines of a trace that are kept: what led to a failure, not the whole schedule.
const TRACE_LINES: usize = 4_000;

/// Everything that the parts of one schedule share.
#[derive(Debug)]
pub(crate) struct Simulation {
    scheduler: Scheduler,
    scenario: Scenario,
    without: Option<Rule>,
    bucket: Mutex<Bucket>,
    oracle: Mutex<Oracle>,
    hosts: Mutex<Vec<Arc<Host>>>,
    weather: Mutex<Weather>,
    counts: Mutex<Counts>,
    next_process: Mutex<u64>,
    /// Run scopes that may be there.
    scopes: Mutex<Vec<scopes::Scope>>,
    trace: Option<Mutex<VecDeque<String>>>,
}

/// What is wrong with the world at the moment.
#[derive(Debug, Default)]
struct Weather {
    /// Nothing goes wrong any more.
    calm: bool,
    /// The bucket is gone until then.
    vanished_until_ms: u64,
    /// The store does not answer until then.
    outage_until_ms: u64,
}

/// What happened in a schedule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests sent.
    pub requests: u64,
    /// Requests that something happened to.
    pub faults: u64,
    /// Processes that were killed.
    pub kills: u64,
    /// Processes that stood still for a while.
    pub pauses: u64,
    /// Everything else that was done to machines and objects.
    pub troubles: u64,
    /// Commands that were begun.
    pub commands: u64,
    /// Commands that succeeded.
    pub successes: u64,
}

impl Counts {
    /// Adds those of another schedule.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.faults += other.faults;
        self.kills += other.kills;
        self.pauses += other.pauses;
        self.troubles += other.troubles;
        self.commands += other.commands;
        self.successes += other.successes;
    }
}

/// A schedule that kept every rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// What happened.
    pub counts: Counts,
    /// Commits in the store at the end.
    pub commits: u64,
    /// What somebody was told is durable.
    pub acknowledgements: u64,
    /// Steps of tasks and events.
    pub steps: u64,
    /// Virtual time it took.
    pub virtual_ms: u64,
}

/// A schedule that broke a rule.
#[derive(Debug)]
pub struct Failure {
    /// What repeats it.
    pub seed: u64,
    /// Whether the real SQLite store was in it.
    pub sqlite: bool,
    /// The rule, and what was seen.
    pub violation: String,
    /// When, in steps.
    pub step: u64,
    /// What led to it; empty unless it was asked for.
    pub trace: Vec<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "seed {} after {} steps: {}\nrepeat it with: PEAT_SIMULATION_SEED={}{} cargo nextest run -p peat-fault-tests \
             the_schedule_of_a_seed",
            self.seed,
            self.step,
            self.violation,
            self.seed,
            if self.sqlite { " PEAT_SIMULATION_SQLITE=1" } else { "" }
        )
    }
}

/// How a schedule is run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Keep what happened, for a failure.
    pub trace: bool,
    /// The real SQLite store on every host.
    pub sqlite: bool,
    /// A rule that everybody breaks: what would be seen?
    pub without: Option<Rule>,
}

/// A rule of the protocol that a schedule can do without, to show that it is missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Whoever takes the structural lock marks every head.
    Marks,
    /// The store looks at the condition of a write.
    Conditions,
}

/// Runs the schedule of `seed`.
pub fn run(seed: u64, options: Options) -> Result<Report, Failure> {
    let scheduler = Scheduler::new(seed, BEGINNING_MS);
    let scenario = Scenario::draw(&scheduler, options.sqlite);
    let simulation = Arc::new(Simulation::new(scheduler.clone(), scenario, options));
    simulation.note(|| format!("{:#?}", simulation.scenario));
    let whole = scheduler.spawn(scheduler::OUTSIDE, sessions::everything(Arc::clone(&simulation)));
    let ending = scheduler.run(|| match simulation.oracle().violation() {
        Some(violation) => Err(violation.0),
        None => Ok(()),
    });
    drop(whole);
    let violation = match ending {
        Ok(Ending::Ended) => None,
        Ok(Ending::Stuck) => Some("everybody waits for something that never comes".to_owned()),
        Ok(Ending::Endless) => Some("the schedule does not come to an end".to_owned()),
        Err(violation) => Some(violation),
    };
    let step = scheduler.steps();
    if let Some(violation) = violation {
        let trace = simulation.trace.as_ref().map(|trace| lock(trace).drain(..).collect()).unwrap_or_default();
        return Err(Failure { seed, sqlite: options.sqlite, violation, step, trace });
    }
    let counts = *lock(&simulation.counts);
    let oracle = simulation.oracle();
    Ok(Report {
        counts,
        commits: oracle.commits(),
        acknowledgements: oracle.acknowledgements(),
        steps: step,
        virtual_ms: scheduler.now_ms() - BEGINNING_MS,
    })
}

impl Simulation {
    fn new(scheduler: Scheduler, scenario: Scenario, options: Options) -> Self {
        Self {
            scheduler,
            scenario,
            without: options.without,
            bucket: Mutex::default(),
            oracle: Mutex::default(),
            hosts: Mutex::default(),
            weather: Mutex::default(),
            counts: Mutex::default(),
            next_process: Mutex::new(1),
            scopes: Mutex::default(),
            trace: options.trace.then(Mutex::default),
        }
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        lock(&self.bucket)
    }

    fn oracle(&self) -> MutexGuard<'_, Oracle> {
        lock(&self.oracle)
    }

    fn hosts(&self) -> Vec<Arc<Host>> {
        lock(&self.hosts).clone()
    }

    fn weather(&self) -> MutexGuard<'_, Weather> {
        lock(&self.weather)
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut lock(&self.counts));
    }

    fn is_calm(&self) -> bool {
        self.weather().calm
    }

    /// Lets the oracle look at what was changed.
    fn observe(&self, changes: &[Change]) {
        let bucket = self.bucket();
        let mut oracle = self.oracle();
        for change in changes {
            oracle.observe(&bucket, change);
        }
    }

    fn violate(&self, what: String) {
        self.oracle().violate(what);
    }

    /// Adds a line to the trace, if one is kept.
    fn note(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            let mut trace = lock(trace);
            if trace.len() == TRACE_LINES {
                trace.pop_front();
            }
            trace.push_back(format!("{:>9} ms  {}", self.scheduler.now_ms() - BEGINNING_MS, line()));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// SHA-256, hexadecimal.
fn digest_of(bytes: &[u8]) -> String {
    peat_core::digest::Digest::of(bytes).to_string()
}
