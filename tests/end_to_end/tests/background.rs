//! The process that brings the rest of a lazy repository: seen, stopped, killed, and in nobody's way.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use peat_end_to_end_tests::{Checkout, Outcome, Scratch, TestBucket};
use peat_test_support::s3::{Fault, Operation, Rule};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Models, each with one content that is an object of its own and more than half of what the background asks for at once.
const MODELS: [&str; 4] = ["four", "one", "three", "two"];
const LARGE: usize = 3_000_000;

/// How long a batch of the background waits for commands that are under way, as documented.
const GIVE_WAY: Duration = Duration::from_secs(5);

/// Far longer than any test lasts.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Whatever is waited for has come by then.
const PATIENCE: Duration = Duration::from_secs(120);

/// A lazy clone that knows everything and has no content, on a bucket.
struct World {
    scratch: Scratch,
    bucket: TestBucket,
    clone: Checkout,
    /// Keys of the large contents.
    objects: Vec<String>,
}

impl World {
    fn new() -> Self {
        let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
        let first = bucket.machine(&scratch).repository("checkout");
        for model in MODELS {
            first.shell_model(model, &format!("head -c {LARGE} /dev/zero | tr '\\0' {}; echo {model}", &model[..1]));
        }
        let (script, _, _) = until_allowed(&scratch);
        first.shell_model("slow", &script);
        bucket.share(&first, &["--hydration", "lazy"]);
        for model in MODELS {
            first.peat(&["model", "method", "run", model, "execute"]).ok();
        }
        let mut objects = bucket.server().keys();
        objects.retain(|key| key.contains("/_objects/"));
        assert_eq!(objects.len(), MODELS.len(), "{objects:?}");
        let clone = bucket.machine(&scratch).clone_of(&first, "checkout");
        alone(&clone, &["datastore", "sync"]).ok();
        alone(&clone, &["data", "list"]).ok();
        assert_eq!(hydration(&clone)["missing"]["entries"], MODELS.len(), "small contents come with the index");
        Self { scratch, bucket, clone, objects }
    }

    /// The next requests for these contents are never answered.
    fn hang(&self, keys: &[String], times: u32) {
        for key in keys {
            self.bucket.server().fail(Rule::next(Fault::LateReply(FOR_EVER)).on(Operation::Get).key(key).times(times));
        }
    }

    /// Contents that were asked for since the log was cleared.
    fn asked_for(&self) -> Vec<String> {
        let log = self.bucket.server().log();
        log.into_iter().map(|logged| logged.key).filter(|key| key.contains("/_objects/")).collect()
    }
}

/// A script that says where it is and ends when it may.
fn until_allowed(scratch: &Scratch) -> (String, PathBuf, PathBuf) {
    let (begun, allowed) = (scratch.path().join("begun"), scratch.path().join("allowed"));
    let script = format!("touch {}; until [ -e {} ]; do sleep 0.1; done", begun.display(), allowed.display());
    (script, begun, allowed)
}

/// Runs a command that leaves nothing behind in the background.
#[track_caller]
fn alone(checkout: &Checkout, arguments: &[&str]) -> Outcome {
    let output = checkout.command(arguments).env("PEAT_BACKGROUND", "off").output().unwrap();
    Outcome::of(arguments.join(" "), output)
}

fn hydration(checkout: &Checkout) -> Value {
    alone(checkout, &["datastore", "status", "--json"]).ok().json()["datastore"]["hydration"].clone()
}

/// Asks until the answer is as wanted.
#[track_caller]
fn until(checkout: &Checkout, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let found = hydration(checkout);
        if wanted(&found) {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{what} did not come: {found:#}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn is_running(found: &Value) -> bool {
    found["background"]["state"] == "running"
}

fn is_whole_and_idle(found: &Value) -> bool {
    found["missing"]["entries"] == 0 && found["background"]["state"] == "idle"
}

#[test]
fn a_running_one_is_shown_and_stopped_and_goes_on_when_it_is_asked_to() {
    let world = World::new();
    world.hang(&world.objects, 1_000);
    world.clone.peat(&["data", "list"]).ok();
    let found = until(&world.clone, "the background", is_running);
    let process = found["background"]["process"].as_u64().unwrap();
    let shown = format!("running in the background, process {process}");
    alone(&world.clone, &["datastore", "status"]).ok().shows(&[&shown, "the content of 4 entries"]);

    let stopped = alone(&world.clone, &["datastore", "hydrate", "--stop", "--json"]).ok().json();
    assert_eq!((&stopped["hydration"]["wasRunning"], &stopped["hydration"]["stopped"]), (&true.into(), &true.into()));
    let found = hydration(&world.clone);
    assert_eq!((&found["background"]["state"], &found["background"]["process"]), (&"stopped".into(), &Value::Null));
    // Commands begin no other one.
    world.clone.peat(&["data", "list"]).ok();
    assert_eq!(hydration(&world.clone)["background"]["state"], "stopped");
    world.bucket.server().heal();
    alone(&world.clone, &["datastore", "hydrate"]).ok();
    assert!(is_whole_and_idle(&hydration(&world.clone)));
}

#[test]
fn one_that_is_killed_leaves_what_it_brought_and_the_next_one_brings_the_rest() {
    let world = World::new();
    let (last, others) = world.objects.split_last().unwrap();
    world.hang(std::slice::from_ref(last), 1_000);
    world.clone.peat(&["data", "list"]).ok();
    let found =
        until(&world.clone, "all but the last content", |found| is_running(found) && found["missing"]["entries"] == 1);
    let process = found["background"]["process"].as_i64().unwrap();
    kill_process(Pid::from_raw(i32::try_from(process).unwrap()).unwrap(), Signal::KILL).unwrap();
    until(&world.clone, "its end", |found| found["background"]["state"] == "idle");

    world.bucket.server().heal();
    world.bucket.server().clear_log();
    world.clone.peat(&["data", "list"]).ok();
    until(&world.clone, "the rest", is_whole_and_idle);
    assert_eq!(world.asked_for(), [last.as_str()], "{others:?} were here");
}

#[test]
fn commands_do_not_wait_for_one_that_stands_still() {
    let world = World::new();
    world.hang(&world.objects[..1], 1_000);
    world.bucket.server().clear_log();
    world.clone.peat(&["data", "list"]).ok();
    let found = until(&world.clone, "its first request", |found| is_running(found) && !world.asked_for().is_empty());
    let process = Pid::from_raw(i32::try_from(found["background"]["process"].as_i64().unwrap()).unwrap()).unwrap();
    kill_process(process, Signal::STOP).unwrap();
    let model_of = |key: &str| {
        let id =
            |model: &&&str| alone(&world.clone, &["model", "get", model, "--json"]).ok().json()["model"]["id"].clone();
        MODELS.iter().find(|model| key.contains(id(model).as_str().unwrap())).copied().unwrap()
    };
    let hanging = model_of(&world.objects[0]);
    for model in MODELS.into_iter().filter(|model| *model != hanging) {
        world.clone.peat(&["model", "method", "run", model, "execute"]).ok();
        let words = ["data", "get", model, "stdout", "--version", "1", "--output", "-"];
        assert_eq!(world.clone.peat(&words).ok().stdout.len(), LARGE + model.len() + 1);
    }
    assert!(is_running(&hydration(&world.clone)), "it was to stand still all the time");
    kill_process(process, Signal::KILL).unwrap();
}

#[test]
fn it_gives_way_to_a_command_that_is_under_way() {
    let world = World::new();
    let (_, begun, allowed) = until_allowed(&world.scratch);
    let run = ["model", "method", "run", "slow", "execute", "--timeout", "10m"];
    let mut command = world.clone.command(&run);
    let mut running =
        command.env("PEAT_BACKGROUND", "off").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let waiting = Instant::now();
    while !begun.exists() {
        assert!(waiting.elapsed() < PATIENCE && running.try_wait().unwrap().is_none(), "the command did not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    world.bucket.server().clear_log();
    let started = Instant::now();
    let mut background = world.clone.command(&["datastore", "hydrate", "--in-background", "--quiet"]).spawn().unwrap();
    while world.asked_for().len() < 2 {
        assert!(started.elapsed() < PATIENCE, "it never comes: {:?}", world.asked_for());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(started.elapsed() >= 2 * GIVE_WAY, "it did not wait: two batches after {:?}", started.elapsed());
    std::fs::write(allowed, "").unwrap();
    assert!(running.wait().unwrap().success());
    assert!(background.wait().unwrap().success());
    assert!(is_whole_and_idle(&hydration(&world.clone)));
}
