//! The course of the day, and what must hold in its evening.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use peat_end_to_end_tests::{Checkout, Random, Scratch, TestBucket};
use peat_test_support::s3::{Fault, Rule};

use crate::report::{Event, Report};
use crate::worker::{Run, Shared, TARGET, Worker, locked};

/// Machines, each with a checkout that its workers share.
const MACHINES: usize = 4;

/// Periodic jobs, on models of which some are shared by two.
const JOBS: usize = 13;
const JOB_MODELS: usize = 9;

/// Pipelines of three steps; the last one is the same model for all.
const PIPELINES: usize = 8;

/// What a request of the day takes.
const LATENCY: Duration = Duration::from_millis(5);

/// Somebody is killed about so often.
const KILL_EVERY_MS: u64 = 4_000;

/// How often an operator runs a command again.
const OPERATOR_TRIES: u32 = 5;

/// A machine whose holder was killed is waited for that long by others.
const LEASE_TTL: &str = "5s";

/// How long a day is.
#[derive(Debug, Clone)]
pub struct Plan {
    /// From the first run to the last.
    pub length: Duration,
}

/// Lives through it. Panics only where the surroundings fail; what the day shows is in the report.
pub fn live(plan: &Plan) -> Report {
    let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
    let checkouts = morning(&scratch, &bucket);
    bucket.server().habits(|habits| habits.latency = LATENCY);
    bucket.server().clear_log();
    let shared = Shared {
        began: Instant::now(),
        is_over: AtomicBool::new(false),
        markers: AtomicU64::new(0),
        runs: Mutex::default(),
        living: Mutex::default(),
    };
    let events = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let (shared, events, bucket, checkouts) = (&shared, &events, &bucket, &checkouts);
        for worker in workers(checkouts) {
            scope.spawn(move || worker.work(shared));
        }
        scope.spawn(move || kill(shared, events));
        scope.spawn(move || trouble(plan, shared, events, bucket, &checkouts[0]));
        std::thread::sleep(plan.length);
        shared.is_over.store(true, Ordering::Relaxed);
    });
    let requests = bucket.server().log().len() as u64;
    bucket.server().heal();
    let runs = shared.runs.into_inner().unwrap_or_default();
    let problems = evening(&scratch, &bucket, &checkouts, &runs);
    Report::new(plan.length, runs, events.into_inner().unwrap_or_default(), requests, problems)
}

/// A repository with all models, on a bucket, cloned to every machine.
fn morning(scratch: &Scratch, bucket: &TestBucket) -> Vec<Checkout> {
    let first = bucket.machine(scratch).repository("checkout");
    for model in models() {
        // Small ones in the index, large ones in packs.
        let bytes = if model.ends_with('0') { 30_000 } else { 300 };
        let run = format!("run=echo $MARKER; sleep 0.05; head -c {bytes} /dev/zero | tr '\\0' x");
        let create = ["model", "create", &model, "--type", "command/shell", "--argument", &run];
        first.peat(&[&create[..], &["--argument", "environment=[\"MARKER\"]"]].concat()).ok();
    }
    bucket.share(&first, &["--lease-ttl", LEASE_TTL]);
    let others = (1..MACHINES).map(|_| bucket.machine(scratch).clone_of(&first, "checkout"));
    std::iter::once(first.clone()).chain(others).collect()
}

fn models() -> Vec<String> {
    let jobs = (0..JOB_MODELS).map(|model| format!("job-{model}"));
    let steps = (0..PIPELINES).flat_map(|pipeline| [format!("fetch-{pipeline}"), format!("build-{pipeline}")]);
    jobs.chain(steps).chain(["results".to_owned()]).collect()
}

fn workers(checkouts: &[Checkout]) -> Vec<Worker> {
    let jobs = (0..JOBS).map(|job| {
        let pause = Duration::from_millis(1_500 + 500 * (job as u64 % 5));
        (vec![format!("job-{}", job % JOB_MODELS)], pause)
    });
    let pipelines = (0..PIPELINES).map(|pipeline| {
        let models = vec![format!("fetch-{pipeline}"), format!("build-{pipeline}"), "results".to_owned()];
        (models, Duration::from_millis(500))
    });
    let both = jobs.chain(pipelines).enumerate();
    both.map(|(number, (models, pause))| {
        let checkout = checkouts[number % checkouts.len()].clone();
        Worker { number, checkout, models, pause }
    })
    .collect()
}

/// Kills whoever the chances of the day say.
fn kill(shared: &Shared, events: &Mutex<Vec<Event>>) {
    let mut random = Random::from_environment(20_261_122);
    while !shared.is_over() {
        shared.sleep(Duration::from_millis(KILL_EVERY_MS / 2 + random.below(KILL_EVERY_MS)));
        let living = locked(&shared.living);
        let Some(victim) = living.get(random.below(living.len().max(1) as u64) as usize).map(Arc::clone) else {
            continue;
        };
        drop(living);
        // It may have ended by itself a moment ago.
        let _ = locked(&victim).kill();
        locked(events).push(Event::at(shared.elapsed_ms(), "kill"));
    }
}

/// The store fails; later the namespace is moved, and what is over is collected.
fn trouble(plan: &Plan, shared: &Shared, events: &Mutex<Vec<Event>>, bucket: &TestBucket, checkout: &Checkout) {
    let part = |of: u32| plan.length.mul_f64(f64::from(of) / 100.0);
    let wait_until = |time: Duration| shared.sleep(time.saturating_sub(shared.began.elapsed()));
    let note = |what: &str| locked(events).push(Event::at(shared.elapsed_ms(), what));
    wait_until(part(20));
    note("the store fails");
    let refused = Fault::Refused { status: 503, code: "ServiceUnavailable", retry_after: None };
    bucket.server().fail(Rule::next(refused).times(u32::MAX));
    shared.sleep(plan.length / 15);
    bucket.server().heal();
    note("the store works again");
    wait_until(part(45));
    note("the move begins");
    let moved = again(|| checkout.peat(&["datastore", "namespace", "migrate", TARGET, "--lock-timeout", "60s"]).code);
    note(if moved { "the move is done" } else { "the move failed" });
    wait_until(part(70));
    note("the collection begins");
    let collected = again(|| checkout.peat(&["data", "gc"]).code)
        && again(|| checkout.peat(&["datastore", "compact", "--grace", "0s"]).code);
    note(if collected { "the collection is done" } else { "the collection failed" });
}

/// An operator runs a command again when it says that somebody was in its way.
fn again(mut command: impl FnMut() -> Option<i32>) -> bool {
    (0..OPERATOR_TRIES).any(|_| command() == Some(0))
}

/// Everybody syncs, then a machine that was never there looks at everything. Answers what is not as it should be.
fn evening(scratch: &Scratch, bucket: &TestBucket, checkouts: &[Checkout], runs: &[Run]) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, checkout) in checkouts.iter().enumerate() {
        let _ = checkout.peat(&["datastore", "namespace", "set", TARGET]);
        let synced = checkout.peat(&["datastore", "sync"]);
        if synced.code != Some(0) {
            problems.push(format!("the last sync of machine {number} failed:\n{synced}"));
        }
    }
    let newcomer = bucket.machine(scratch).clone_of(&checkouts[0], "checkout");
    let synced = newcomer.peat(&["datastore", "sync"]);
    if synced.code != Some(0) {
        problems.push(format!("the sync of a new machine failed:\n{synced}"));
    }
    for model in models() {
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for marker in markers(&newcomer, &model) {
            *found.entry(marker).or_default() += 1;
        }
        problems.extend(
            found.iter().filter(|(_, times)| **times > 1).map(|(marker, _)| format!("{model} has {marker} twice")),
        );
        let acknowledged = runs.iter().filter(|run| run.model == model && run.code == Some(0));
        let lost = acknowledged.filter(|run| !found.contains_key(&run.marker.to_string()));
        problems.extend(lost.map(|run| {
            format!("{model}: run {} was acknowledged at {} ms and is lost", run.marker, run.began_ms + run.took_ms)
        }));
    }
    problems
}

/// The first lines of all versions of the model's output.
fn markers(checkout: &Checkout, model: &str) -> Vec<String> {
    let versions = checkout.peat(&["data", "versions", model, "stdout", "--json"]);
    if versions.code == Some(3) {
        return Vec::new();
    }
    let versions = versions.ok().json();
    let numbers = versions["versions"].as_array().cloned().unwrap_or_default();
    let numbers = numbers.iter().filter_map(|entry| entry["version"].as_u64());
    numbers
        .map(|number| {
            let version = number.to_string();
            let get = checkout.peat(&["data", "get", model, "stdout", "--version", &version, "--output", "-"]).ok();
            get.stdout.lines().next().unwrap_or_default().to_owned()
        })
        .collect()
}
