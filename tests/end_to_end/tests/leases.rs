//! Leases of real processes: kept under a busy guest, lost by a holder that stood still, taken over from one that died.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use peat_end_to_end_tests::{Checkout, Outcome, Scratch, in_pid_namespace};
use rustix::process::{Pid, Signal, kill_process};

/// Time to live of the leases here: long for a busy machine, short enough to wait for.
const TTL: Duration = Duration::from_secs(5);

/// Whatever is waited for has come by then.
const PATIENCE: Duration = Duration::from_secs(120);

/// Two machines on one shared datastore, with a model `m` that runs `script`.
fn two_machines(scratch: &Scratch, script: &str) -> (Checkout, Checkout) {
    let first = scratch.machine().repository("checkout");
    first.shell_model("m", script);
    first.share_with(scratch, &["--lease-ttl", &format!("{}s", TTL.as_secs())]);
    let second = scratch.machine().clone_of(&first, "checkout");
    (first, second)
}

/// A script that says where it is and ends when it may.
fn until_allowed(scratch: &Scratch) -> (String, PathBuf, PathBuf) {
    let (begun, allowed) = (scratch.path().join("begun"), scratch.path().join("allowed"));
    let script =
        format!("touch {}; until [ -e {} ]; do sleep 0.1; done; echo done", begun.display(), allowed.display());
    (script, begun, allowed)
}

fn start(checkout: &Checkout, arguments: &[&str]) -> Child {
    checkout.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn wait_for(file: &Path) {
    let began = Instant::now();
    while !file.exists() {
        assert!(began.elapsed() < PATIENCE, "{} never came", file.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn outcome(child: Child) -> Outcome {
    Outcome::of("model method run".to_owned(), child.wait_with_output().unwrap())
}

fn versions(checkout: &Checkout) -> usize {
    checkout.peat(&["datastore", "sync"]).ok();
    let versions = checkout.peat(&["data", "versions", "m", "stdout", "--json"]);
    if versions.code == Some(3) { 0 } else { versions.ok().json()["versions"].as_array().unwrap().len() }
}

const RUN: [&str; 5] = ["model", "method", "run", "m", "execute"];

#[test]
fn a_guest_that_computes_for_longer_than_the_ttl_keeps_its_lease() {
    let scratch = Scratch::new();
    let (first, _) = two_machines(&scratch, "true");
    first.install("test-misbehaving", &["--grant", "files:folder=.", "--grant", "secrets:token=PEAT_TEST_TOKEN"]);
    first.peat(&["model", "create", "bad", "--type", "@test/misbehaving"]).ok();
    let second = scratch.machine().clone_of(&first, "checkout");
    let mut spin = first.command(&["model", "method", "run", "bad", "spin", "--timeout", "10m"]);
    spin.env("PEAT_TEST_TOKEN", "t").stdout(Stdio::piped()).stderr(Stdio::piped());
    let holder = spin.spawn().unwrap();
    let began = Instant::now();
    while !first.peat(&["datastore", "lock", "status"]).ok().stdout.contains("model method run bad spin") {
        assert!(began.elapsed() < PATIENCE, "the guest never began");
    }
    // The other machine watches for longer than it takes to give a silent holder up.
    let mut waiting = second.command(&["model", "method", "run", "bad", "trap", "--lock-timeout", "12s"]);
    let output = waiting.env("PEAT_TEST_TOKEN", "t").output().unwrap();
    let refused = Outcome::of("model method run bad trap".to_owned(), output).ended_with(4);
    refused.says(&["held by", "model method run"]);
    signal(&holder, Signal::INT);
    outcome(holder).ended_with(130);
    let runs = first.peat(&["run", "list", "--model", "bad", "--json"]).ok().json();
    assert!(runs["runs"].as_array().unwrap().iter().any(|run| run["status"] == "interrupted"), "{runs:#}");
}

#[test]
fn a_holder_that_stood_still_for_three_ttl_has_lost_its_lease_and_commits_nothing() {
    let scratch = Scratch::new();
    let (script, begun, allowed) = until_allowed(&scratch);
    let (first, second) = two_machines(&scratch, &script);
    let holder = start(&first, &RUN);
    wait_for(&begun);
    let stopped = Instant::now();
    signal(&holder, Signal::STOP);
    // Its method comes to its end meanwhile: the holder wakes up with a result that it may not commit.
    std::fs::write(&allowed, "").unwrap();
    std::thread::sleep((3 * TTL).saturating_sub(stopped.elapsed()));
    signal(&holder, Signal::CONT);
    let lost = outcome(holder).ended_with(5);
    lost.says(&["lease", "kept on this machine as uncommitted", "peat datastore sync"]);
    assert_eq!(versions(&second), 0, "something was committed");
    let status = first.peat(&["datastore", "status", "--json"]).ok().json();
    assert_eq!(status["datastore"]["uncommitted"].as_array().unwrap().len(), 1, "{status:#}");
    assert_eq!(versions(&first), 1, "a sync sends what was kept");
    let history = first.peat(&["datastore", "lock", "history", "--json"]).ok().json();
    assert_eq!(history["holds"][0]["ending"], "lost", "{history:#}");
}

#[test]
fn another_machine_takes_over_from_a_holder_that_stands_still_and_that_one_cannot_commit() {
    let scratch = Scratch::new();
    let (script, begun, allowed) = until_allowed(&scratch);
    let (first, second) = two_machines(&scratch, &script);
    let holder = start(&first, &RUN);
    wait_for(&begun);
    signal(&holder, Signal::STOP);
    std::fs::write(&allowed, "").unwrap();
    let stopped = Instant::now();
    second.peat(&[&RUN[..], &["--lock-timeout", "60s"]].concat()).ok();
    let waited = stopped.elapsed();
    println!("taken over after {waited:?}, time to live {TTL:?}");
    assert!(waited >= TTL, "a living holder was given up after {waited:?}");
    assert!(waited < 2 * TTL + Duration::from_secs(15), "taken over after {waited:?}");
    signal(&holder, Signal::CONT);
    outcome(holder).ended_with(5).says(&["lease"]);
    assert_eq!(versions(&second), 1);
}

#[test]
fn the_next_on_the_host_of_a_killed_holder_does_not_wait_for_the_ttl() {
    let scratch = Scratch::new();
    let (script, begun, allowed) = until_allowed(&scratch);
    let first = scratch.machine().repository("checkout");
    first.shell_model("m", &script);
    // The default time to live, 60 s: whoever waited for it would be seen.
    first.share(&scratch);
    let mut holder = start(&first, &RUN);
    wait_for(&begun);
    std::fs::remove_file(&begun).unwrap();
    let next = start(&first, &RUN);
    std::thread::sleep(Duration::from_millis(300));
    let killed = Instant::now();
    holder.kill().unwrap();
    holder.wait().unwrap();
    wait_for(&begun);
    let waited = killed.elapsed();
    println!("the next one began {waited:?} after the kill");
    assert!(waited < Duration::from_secs(20), "{waited:?}");
    std::fs::write(&allowed, "").unwrap();
    outcome(next).ok();
}

#[test]
fn another_host_takes_over_from_a_killed_holder_when_its_lease_is_over() {
    let scratch = Scratch::new();
    let (script, begun, allowed) = until_allowed(&scratch);
    let (first, second) = two_machines(&scratch, &script);
    let run = second.command(&[&RUN[..], &["--lock-timeout", "60s"]].concat());
    let Some(mut elsewhere) = in_pid_namespace(&run) else {
        println!("nothing tested: this system allows no pid namespaces");
        return;
    };
    let mut holder = start(&first, &RUN);
    wait_for(&begun);
    holder.kill().unwrap();
    holder.wait().unwrap();
    let killed = Instant::now();
    std::fs::write(&allowed, "").unwrap();
    let output = elsewhere.output().unwrap();
    let waited = killed.elapsed();
    Outcome::of("model method run".to_owned(), output).ok();
    println!("taken over after {waited:?}, time to live {TTL:?}");
    assert!(waited < 2 * TTL + Duration::from_secs(15), "taken over after {waited:?}");
    assert_eq!(versions(&second), 1);
}
