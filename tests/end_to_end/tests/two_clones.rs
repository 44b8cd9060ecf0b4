//! Two checkouts of one repository on two machines, on one shared directory; and two processes at the same time.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::process::Stdio;
use std::time::{Duration, Instant};

use peat_end_to_end_tests::{Checkout, Outcome, Scratch, two_clones_share_what_they_write};

/// How long the slow models of these tests work: far longer than starting a process takes.
const WORK_SECONDS: u64 = 2;

/// Starts commands at the same time and waits for all.
fn at_once(commands: &[(&Checkout, &[&str])]) -> Vec<Outcome> {
    let started: Vec<_> = commands
        .iter()
        .map(|(checkout, arguments)| {
            let mut command = checkout.command(arguments);
            let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            (arguments.join(" "), child)
        })
        .collect();
    started.into_iter().map(|(words, child)| Outcome::of(words, child.wait_with_output().unwrap())).collect()
}

#[test]
fn what_one_clone_writes_the_other_reads_after_a_sync() {
    let scratch = Scratch::new();
    two_clones_share_what_they_write(&|| scratch.machine(), &|first| first.share_through(&scratch.shared_directory()));
}

#[test]
fn a_sync_brings_the_runs_of_others_with_their_logs() {
    let scratch = Scratch::new();
    let first = scratch.machine().repository("checkout");
    first.shell_model("noisy", "echo to the log >&2");
    first.share_through(&scratch.shared_directory());
    let second = scratch.machine().clone_of(&first, "checkout");
    first.peat(&["model", "method", "run", "noisy", "execute"]).ok();
    second.peat(&["datastore", "sync"]).ok();
    let runs = second.peat(&["run", "list", "--json"]).ok().json();
    let id = runs["runs"][0]["id"].as_str().unwrap();
    assert!(second.peat(&["run", "logs", id]).ok().stdout.contains("to the log"));
}

#[test]
fn two_models_at_the_same_time_do_not_wait_for_each_other() {
    let scratch = Scratch::new();
    let first = scratch.machine().repository("checkout");
    // Each ends only when the other has begun: one that waited for the other would never see it.
    let meet = scratch.path().join("meeting");
    std::fs::create_dir(&meet).unwrap();
    let script = |own: &str, other: &str| {
        let (own, other) = (meet.join(own), meet.join(other));
        format!("touch {}; until [ -e {} ]; do sleep 0.05; done", own.display(), other.display())
    };
    first.shell_model("left", &script("left", "right"));
    first.shell_model("right", &script("right", "left"));
    first.share_through(&scratch.shared_directory());
    let second = scratch.machine().clone_of(&first, "checkout");
    let run = |model| ["model", "method", "run", model, "execute", "--timeout", "120s"];
    for (one, other) in [(&first, &first), (&first, &second)] {
        let outcomes = at_once(&[(one, &run("left")), (other, &run("right"))]);
        outcomes.into_iter().for_each(|outcome| drop(outcome.ok()));
        std::fs::remove_file(meet.join("left")).unwrap();
        std::fs::remove_file(meet.join("right")).unwrap();
    }
}

#[test]
fn two_runs_of_the_same_model_queue_and_both_succeed() {
    let scratch = Scratch::new();
    let first = scratch.machine().repository("checkout");
    let busy = scratch.path().join("busy");
    // `mkdir` fails when the other run is inside.
    first.shell_model("slow", &format!("mkdir {0} && sleep {WORK_SECONDS} && rmdir {0}", busy.display()));
    first.share_through(&scratch.shared_directory());
    let second = scratch.machine().clone_of(&first, "checkout");
    let run = ["model", "method", "run", "slow", "execute"];
    for (pair, versions) in [((&first, &first), 2), ((&first, &second), 4)] {
        let started = Instant::now();
        let outcomes = at_once(&[(pair.0, &run), (pair.1, &run)]);
        outcomes.into_iter().for_each(|outcome| drop(outcome.ok()));
        assert!(started.elapsed() >= Duration::from_secs(2 * WORK_SECONDS), "they did not queue");
        first.peat(&["datastore", "sync"]).ok();
        let found = first.peat(&["data", "versions", "slow", "result", "--json"]).ok().json();
        assert_eq!(found["versions"].as_array().unwrap().len(), versions, "{found:#}");
    }
}

#[test]
fn who_waits_too_long_is_told_for_whom() {
    let scratch = Scratch::new();
    let first = scratch.machine().repository("checkout");
    let started = scratch.path().join("started");
    let enough = scratch.path().join("enough");
    let script = format!("touch {}; until [ -e {} ]; do sleep 0.05; done", started.display(), enough.display());
    first.shell_model("slow", &script);
    first.share_through(&scratch.shared_directory());
    let second = scratch.machine().clone_of(&first, "checkout");
    let run = ["model", "method", "run", "slow", "execute"];
    let mut holder = first.command(&run).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !started.exists() {
        assert!(holder.try_wait().unwrap().is_none(), "the holder ended before it began");
        std::thread::sleep(Duration::from_millis(20));
    }
    let holder_id = holder.id().to_string();
    for waiter in [&first, &second] {
        let outcome = waiter.peat(&["model", "method", "run", "slow", "execute", "--lock-timeout", "500ms"]);
        outcome.ended_with(4).says(&[&holder_id, "model method run slow execute", "--lock-timeout"]);
    }
    std::fs::write(enough, "").unwrap();
    assert!(holder.wait().unwrap().success());
}
