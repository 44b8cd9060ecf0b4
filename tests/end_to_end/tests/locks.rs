//! `peat datastore lock`: who holds and who waits, ending somebody's lease, the lock of the whole namespace; and the queue.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use peat_end_to_end_tests::{Checkout, Outcome, Scratch, peat_binary};
use serde_json::Value;

/// Whatever is waited for has come by then.
const PATIENCE: Duration = Duration::from_secs(120);

/// Processes that want one model at the same time.
const WRITERS: usize = 16;

const RUN: [&str; 5] = ["model", "method", "run", "m", "execute"];

/// A machine on a shared datastore, with a model `m` that says that it has begun and ends when it may.
struct World {
    scratch: Scratch,
    first: Checkout,
    begun: PathBuf,
    allowed: PathBuf,
}

impl World {
    fn new() -> Self {
        let scratch = Scratch::new();
        let (begun, allowed) = (scratch.path().join("begun"), scratch.path().join("allowed"));
        let wait = format!("touch {}; until [ -e {} ]; do sleep 0.1; done", begun.display(), allowed.display());
        let first = scratch.machine().repository("checkout");
        let run = format!("run={wait}; echo $MARKER");
        let create = ["model", "create", "m", "--type", "command/shell", "--argument", &run];
        first.peat(&[&create[..], &["--argument", "environment=[\"MARKER\"]"]].concat()).ok();
        first.share(&scratch);
        Self { scratch, first, begun, allowed }
    }

    fn holder(&self) -> Child {
        let holder = start(&self.first, &RUN);
        wait_until("the holder has begun", || self.begun.exists());
        holder
    }

    fn allow(&self) {
        std::fs::write(&self.allowed, "").unwrap();
    }
}

fn start(checkout: &Checkout, arguments: &[&str]) -> Child {
    checkout.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn outcome(child: Child) -> Outcome {
    Outcome::of("…".to_owned(), child.wait_with_output().unwrap())
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn status(checkout: &Checkout) -> Value {
    checkout.peat(&["datastore", "lock", "status", "--json"]).ok().json()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().unwrap_or_else(|| panic!("no {name} in {value:#}"))
}

#[test]
fn the_status_names_holder_and_waiters_and_takes_no_lock() {
    let world = World::new();
    assert!(list(&status(&world.first), "locks").is_empty());
    world.first.peat(&["datastore", "lock", "status"]).ok().shows(&["nobody"]);
    let holder = world.holder();
    let second = world.scratch.machine().clone_of(&world.first, "checkout");
    let neighbour = start(&world.first, &RUN);
    let stranger = start(&second, &RUN);
    let mut found = Value::Null;
    wait_until("both wait", || {
        found = status(&world.first);
        list(&found["locks"][0], "waiting").len() == 1 && list(&found["local"][0], "waiting").len() == 1
    });
    let lock = &found["locks"][0];
    assert_eq!((lock["state"].as_str(), lock["holder"]["pid"].as_u64()), (Some("live"), Some(holder.id().into())));
    assert_eq!(lock["holder"]["command"], "model method run m execute");
    assert_eq!(lock["waiting"][0]["pid"].as_u64(), Some(stranger.id().into()));
    assert_eq!(found["local"][0]["holder"]["pid"].as_u64(), Some(holder.id().into()));
    assert_eq!(found["local"][0]["waiting"][0]["pid"].as_u64(), Some(neighbour.id().into()));
    let page = second.peat(&["datastore", "lock", "status"]).ok();
    page.shows(&["model--command+shell--", "live", &format!("process {}", holder.id()), "WAITING"]);
    world.allow();
    for child in [holder, neighbour, stranger] {
        outcome(child).ok();
    }
    assert!(list(&status(&second), "locks").is_empty());
}

#[test]
fn a_living_holder_is_ended_by_force_alone_and_commits_nothing_then() {
    let world = World::new();
    let holder = world.holder();
    let lock = status(&world.first)["locks"][0].clone();
    let (partition, nonce) = (lock["partition"].as_str().unwrap(), lock["nonce"].as_str().unwrap());
    let release = ["datastore", "lock", "release", partition, "--holder"];
    let with = |more: &[&str]| world.first.peat(&[&release[..], more].concat());
    with(&[nonce]).ended_with(2).says(&["alive", "--force", "model method run m execute"]);
    with(&["another", "--force"]).ended_with(3).says(&["changed hands", nonce]);
    world.first.peat(&["datastore", "lock", "release", "model--a--b", "--holder", nonce]).ended_with(3);
    let released = with(&[nonce, "--force", "--json"]).ok().json();
    assert_eq!(released["released"]["nonce"], nonce);
    assert!(list(&status(&world.first), "locks").is_empty());
    world.allow();
    outcome(holder).ended_with(5).says(&["lease", "uncommitted"]);
    let history = world.first.peat(&["datastore", "lock", "history", "--json"]).ok().json();
    assert_eq!(history["holds"][0]["ending"], "taken-over", "{history:#}");
    let audit = world.first.peat(&["audit", "list", "--json"]).ok().json();
    let ended = &audit["entries"][0];
    assert_eq!(ended["command"], format!("datastore lock release {partition}"), "{audit:#}");
    assert_eq!(ended["partitions"], serde_json::json!([partition]), "{audit:#}");
    world.scratch.machine().clone_of(&world.first, "other").peat(&["data", "get", "m", "stdout"]).ended_with(3);
}

#[test]
fn the_lease_of_a_dead_holder_is_stale_and_is_released_without_force() {
    let world = World::new();
    let mut holder = world.holder();
    holder.kill().unwrap();
    holder.wait().unwrap();
    let lock = status(&world.first)["locks"][0].clone();
    assert_eq!(lock["state"], "stale", "{lock:#}");
    let (partition, nonce) = (lock["partition"].as_str().unwrap(), lock["nonce"].as_str().unwrap());
    world.first.peat(&["datastore", "lock", "status"]).ok().shows(&["stale", "lock release"]);
    world.first.peat(&["datastore", "lock", "release", partition, "--holder", nonce]).ok().shows(&["released"]);
    assert!(list(&status(&world.first), "locks").is_empty());
    world.allow();
    world.first.peat(&RUN).ok();
}

#[test]
fn the_lock_of_the_namespace_waits_for_holders_and_keeps_new_ones_out() {
    let world = World::new();
    let holder = world.holder();
    let lock = |more: &[&str]| world.first.peat(&[&["datastore", "lock", "run"][..], more].concat());
    lock(&["--lock-timeout", "1s", "--", "true"]).ended_with(4).says(&["held by", "model method run m execute"]);
    let draining = start(&world.first, &["datastore", "lock", "run", "--", "touch", "drained"]);
    wait_until("the structural lease is taken", || {
        list(&status(&world.first), "locks").iter().any(|lock| lock["partition"] == "structural")
    });
    assert!(!world.first.path().join("drained").exists(), "it did not wait for the holder");
    world.allow();
    outcome(holder).ok();
    outcome(draining).ok();
    assert!(world.first.path().join("drained").exists());

    let script = "touch locked; until [ -e unlock ]; do sleep 0.1; done";
    let locked = start(&world.first, &["datastore", "lock", "run", "--", "sh", "-c", script]);
    wait_until("the command runs", || world.first.path().join("locked").exists());
    let refused = world.first.peat(&[&RUN[..], &["--lock-timeout", "1s"]].concat()).ended_with(4);
    refused.says(&["structural", "datastore lock run"]);
    // What changes nothing needs no lease.
    world.first.peat(&["data", "get", "m", "stdout"]).ok();
    world.first.write("unlock", "");
    outcome(locked).ok();
    world.first.peat(&RUN).ok();
}

#[test]
fn a_wait_that_timed_out_is_in_the_history() {
    let world = World::new();
    let holder = world.holder();
    let brief = ["--lock-timeout", "1s"];
    let second = world.scratch.machine().clone_of(&world.first, "other");
    for checkout in [&world.first, &second] {
        checkout.peat(&[&RUN[..], &brief].concat()).ended_with(4);
        checkout.peat(&[&["datastore", "lock", "run"][..], &brief, &["--", "true"]].concat()).ended_with(4);
        // Not a wait, only a try.
        checkout.peat(&[&RUN[..], &["--lock-timeout", "0s"]].concat()).ended_with(4);
        let plot = ["datastore", "lock", "history", "--plot", "holds.svg", "--json"];
        let history = checkout.peat(&plot).ok().json();
        let holds = list(&history, "holds");
        let waits: Vec<_> = holds.iter().filter(|hold| hold["ending"] == "timed-out").collect();
        let of: Vec<_> = waits.iter().map(|wait| wait["model"].as_str()).collect();
        assert_eq!(of, [Some("m"), None], "{history:#}");
        assert_eq!(waits[1]["partition"], "structural", "{history:#}");
        for wait in waits {
            assert!(wait["waitedMs"].as_u64() >= Some(1_000) && wait["heldMs"] == 0, "{history:#}");
        }
        let drawn = std::fs::read_to_string(checkout.path().join("holds.svg")).unwrap();
        let bars = |class: &str| drawn.matches(&format!("class=\"{class}\"")).count();
        assert_eq!(bars("hold"), holds.len() - 2, "{drawn}");
        assert!(bars("wait") >= 2 && drawn.contains("held never"), "{drawn}");
    }
    world.allow();
    outcome(holder).ok();
}

#[test]
fn the_command_under_the_lock_of_the_namespace_says_how_it_ended() {
    let world = World::new();
    let run = |more: &[&str]| world.first.peat(&[&["datastore", "lock", "run"][..], more].concat());
    assert_eq!(run(&["--", "echo", "hello"]).ok().stdout, "hello\n");
    run(&["--", "sh", "-c", "exit 7"]).ended_with(1).says(&["exit status 7"]);
    run(&["--", "no-such-command-anywhere"]).ended_with(3).says(&["no-such-command-anywhere"]);
    let json = run(&["--json", "--", "sh", "-c", "echo out; exit 3"]).ended_with(1);
    assert_eq!(json.json()["lock"]["exitStatus"], 3, "{json}");
    assert!(json.stderr.contains("out"), "{json}");
    assert!(list(&status(&world.first), "locks").is_empty());
}

/// Two machines on one shared datastore, with models `a` and `b`.
fn two_models(scratch: &Scratch) -> (Checkout, Checkout) {
    let first = scratch.machine().repository("checkout");
    first.shell_model("a", "true");
    first.shell_model("b", "true");
    first.share(scratch);
    let second = scratch.machine().clone_of(&first, "checkout");
    (first, second)
}

/// `lock run` for two models, in this order.
fn lock_both(models: [&str; 2], script: &str) -> Vec<String> {
    let [one, other] = models;
    ["datastore", "lock", "run", "--lock-timeout", "5m", "--model", one, "--model", other, "--", "sh", "-c", script]
        .map(str::to_owned)
        .to_vec()
}

fn spawn(checkout: &Checkout, arguments: &[String]) -> Child {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    start(checkout, &arguments)
}

#[test]
fn two_models_in_opposite_orders_are_held_by_one_after_the_other_and_everybody_gets_through() {
    let scratch = Scratch::new();
    let (first, second) = two_models(&scratch);
    let inside = scratch.path().join("inside");
    let script = format!("mkdir {0} || exit 8; sleep 0.2; rmdir {0}", inside.display());
    let orders = [["a", "b"], ["b", "a"]];
    let takers: Vec<Child> = [&first, &second, &first, &second]
        .iter()
        .zip(orders.iter().chain(orders.iter().rev()))
        .map(|(checkout, order)| spawn(checkout, &lock_both(*order, &script)))
        .collect();
    for taker in takers {
        outcome(taker).ok();
    }
    assert!(list(&status(&first), "locks").is_empty());
}

#[test]
fn models_that_are_held_are_run_by_the_command_alone_and_others_by_everybody() {
    let scratch = Scratch::new();
    let (first, second) = two_models(&scratch);
    first.shell_model("c", "true");
    let (begun, allowed) = (scratch.path().join("begun"), scratch.path().join("allowed"));
    let peat = peat_binary();
    let peat = peat.display();
    let script = format!(
        "touch {}; until [ -e {} ]; do sleep 0.1; done; {peat} model method run b execute && {peat} model method run a \
         execute",
        begun.display(),
        allowed.display()
    );
    let holder = spawn(&first, &lock_both(["a", "b"], &script));
    wait_until("the command has begun", || begun.exists());
    let json = status(&second);
    let held: Vec<&str> = list(&json, "locks").iter().map(|lock| lock["state"].as_str().unwrap()).collect();
    assert_eq!(held, ["live", "live"], "{json:#}");
    for model in ["a", "b"] {
        let run = ["model", "method", "run", model, "execute", "--lock-timeout", "1s"];
        second.peat(&run).ended_with(4).says(&["held by", "datastore lock run"]);
    }
    first.peat(&["model", "method", "run", "c", "execute"]).ok();
    std::fs::write(&allowed, "").unwrap();
    outcome(holder).ok();
    second.peat(&["datastore", "sync"]).ok();
    for model in ["a", "b"] {
        second.peat(&["data", "get", model, "stdout", "--output", "-"]).ok();
    }
}

#[test]
fn a_killed_holder_of_two_models_is_taken_over() {
    let scratch = Scratch::new();
    let (first, second) = two_models(&scratch);
    let begun = scratch.path().join("begun");
    let script = format!("touch {}; sleep 600", begun.display());
    let mut holder = spawn(&first, &lock_both(["b", "a"], &script));
    wait_until("the command has begun", || begun.exists());
    holder.kill().unwrap();
    holder.wait().unwrap();
    for checkout in [&first, &second] {
        outcome(spawn(checkout, &lock_both(["a", "b"], "true"))).ok();
    }
    first.peat(&["datastore", "lock", "run", "--model", "nobody", "--", "true"]).ended_with(3).says(&["nobody"]);
}

#[test]
fn a_local_datastore_has_a_queue_and_no_leases() {
    let scratch = Scratch::new();
    let machine = scratch.machine().repository("r");
    let found = status(&machine);
    assert!(list(&found, "locks").is_empty() && list(&found, "local").is_empty(), "{found:#}");
    machine.peat(&["datastore", "lock", "run", "--", "true"]).ended_with(2).says(&["local"]);
    let release = ["datastore", "lock", "release", "model--a--b", "--holder", "x"];
    machine.peat(&release).ended_with(2).says(&["local", "kernel"]);
}

#[test]
fn sixteen_writers_in_a_queue_all_succeed_in_the_order_they_came() {
    let world = World::new();
    let holder = world.holder();
    let start_writer = |marker: usize| {
        let mut command = world.first.command(&[&RUN[..], &["--lock-timeout", "5m"]].concat());
        command.env("MARKER", format!("writer-{marker:02}"));
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut writers = Vec::new();
    for marker in 1..=WRITERS {
        writers.push(start_writer(marker));
        wait_until("it waits", || list(&status(&world.first)["local"][0], "waiting").len() == marker);
    }
    world.allow();
    outcome(holder).ok();
    for writer in writers {
        outcome(writer).ok();
    }
    let printed: Vec<String> = (2..=WRITERS + 1).map(|version| stdout(&world.first, version)).collect();
    let expected: Vec<String> = (1..=WRITERS).map(|marker| format!("writer-{marker:02}\n")).collect();
    assert_eq!(printed, expected);
    assert!(leftovers(world.scratch.path()).is_empty(), "{:?}", leftovers(world.scratch.path()));
}

fn stdout(checkout: &Checkout, version: usize) -> String {
    let version = version.to_string();
    checkout.peat(&["data", "get", "m", "stdout", "--version", &version, "--output", "-"]).ok().stdout
}

/// Tickets that nobody holds any more.
fn leftovers(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(leftovers(&path));
        } else if path.file_name().is_some_and(|name| name.len() == 20 && name.to_str().unwrap().parse::<u64>().is_ok())
        {
            found.push(path);
        }
    }
    found
}
