//! Namespaces of a shared datastore with the real binary: made, chosen, moved while others write, deleted.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use peat_end_to_end_tests::{Checkout, Outcome, Scratch, TestBucket};
use peat_test_support::s3::Operation;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Whatever is waited for has come by then.
const PATIENCE: Duration = Duration::from_secs(120);

const RUN: [&str; 5] = ["model", "method", "run", "m", "execute"];

/// Two machines with a clone each of a repository that has the models `m` and `n`.
fn two_machines(scratch: &Scratch) -> (Checkout, Checkout) {
    let first = scratch.machine().repository("checkout");
    for model in ["m", "n"] {
        first.shell_model(model, "echo written; head -c 3000000 /dev/zero");
    }
    first.share(scratch);
    let second = scratch.machine().clone_of(&first, "checkout");
    (first, second)
}

fn namespaces(checkout: &Checkout) -> Vec<(String, String)> {
    let json = checkout.peat(&["datastore", "namespace", "list", "--json"]).ok().json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    json["namespaces"].as_array().unwrap().iter().map(|found| (text(&found["name"]), text(&found["state"]))).collect()
}

fn versions(checkout: &Checkout, model: &str) -> usize {
    checkout.peat(&["datastore", "sync"]).ok();
    let versions = checkout.peat(&["data", "versions", model, "stdout", "--json"]);
    if versions.code == Some(3) { 0 } else { versions.ok().json()["versions"].as_array().unwrap().len() }
}

fn start(checkout: &Checkout, arguments: &[&str]) -> Child {
    checkout.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn outcome(child: Child) -> Outcome {
    Outcome::of("peat".to_owned(), child.wait_with_output().unwrap())
}

fn wait_for(file: &Path) {
    let began = Instant::now();
    while !file.exists() {
        assert!(began.elapsed() < PATIENCE, "{} never came", file.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_namespace_is_made_chosen_and_deleted() {
    let scratch = Scratch::new();
    let (first, second) = two_machines(&scratch);
    first.peat(&RUN).ok();
    first.peat(&["datastore", "namespace", "set", "staging"]).ended_with(3).says(&["there is no namespace staging"]);
    first.peat(&["datastore", "namespace", "create", "staging"]).ok();
    second.peat(&["datastore", "namespace", "create", "staging"]).ended_with(2).says(&["exists already"]);
    assert_eq!(namespaces(&second), [("default".into(), "active".into()), ("staging".into(), "active".into())]);
    first.peat(&["datastore", "namespace", "set", "staging"]).ok();
    assert!(first.read("peat.yaml").contains("namespace: \"staging\""), "{}", first.read("peat.yaml"));
    assert_eq!(versions(&first, "m"), 0, "another namespace has data of its own");
    first.peat(&RUN).ok();
    assert_eq!(versions(&second, "m"), 1);
    first
        .peat(&["datastore", "namespace", "delete", "staging"])
        .ended_with(2)
        .says(&["the namespace of this repository"]);
    second.peat(&["datastore", "namespace", "delete", "staging"]).ended_with(2).says(&["is in use", "--force"]);
    let deleted = second.peat(&["datastore", "namespace", "delete", "staging", "--force", "--json"]).ok().json();
    assert!(deleted["deleted"]["freed"]["bytes"].as_u64().unwrap() > 3_000_000, "{deleted:#}");
    assert_eq!(namespaces(&second), [("default".into(), "active".into())]);
    first.peat(&RUN).ended_with(3).says(&["namespace staging does not exist"]);
    first.peat(&["datastore", "namespace", "set", "other", "--create"]).ok();
    first.peat(&RUN).ok();
    assert_eq!(versions(&first, "m"), 1);
}

#[test]
fn a_busy_namespace_is_moved_and_everything_is_in_one_place() {
    let scratch = Scratch::new();
    let (first, second) = two_machines(&scratch);
    let third = scratch.machine().clone_of(&first, "checkout");
    first.peat(&RUN).ok();
    first.peat(&["model", "method", "run", "n", "execute"]).ok();
    // Writers that go on until they are told where it went.
    let writers: Vec<_> = [(&second, "m"), (&third, "n")]
        .into_iter()
        .map(|(checkout, model)| {
            let (checkout, model) = (checkout.clone(), model.to_owned());
            std::thread::spawn(move || {
                let mut written = 0;
                loop {
                    let run = checkout.peat(&["model", "method", "run", &model, "execute"]);
                    match run.code {
                        Some(0) => written += 1,
                        _ => return (written, run),
                    }
                }
            })
        })
        .collect();
    std::thread::sleep(Duration::from_secs(2));
    let moved = first.peat(&["datastore", "namespace", "migrate", "inventory", "--lock-timeout", "2m", "--json"]).ok();
    println!("{}", moved.stdout);
    assert!(first.read("peat.yaml").contains("namespace: \"inventory\""));
    let mut written = Vec::new();
    for writer in writers {
        let (count, refused) = writer.join().unwrap();
        refused.ended_with(7).says(&["inventory"]);
        written.push(count);
    }
    println!("written meanwhile: {written:?}");
    assert_eq!(versions(&first, "m"), 1 + written[0]);
    assert_eq!(versions(&first, "n"), 1 + written[1]);
    second.peat(&RUN).ended_with(7).says(&["was moved to inventory", "peat datastore namespace set inventory"]);
    second.peat(&["datastore", "sync"]).ended_with(7).says(&["was moved to inventory"]);
    second.peat(&["datastore", "namespace", "set", "inventory"]).ok();
    second.peat(&RUN).ok();
    assert_eq!(versions(&first, "m"), 2 + written[0]);
    // What is left is deleted, and the sign stays.
    let deleted = first.peat(&["datastore", "namespace", "delete", "default", "--json"]).ok().json();
    assert!(deleted["deleted"]["freed"]["items"].as_u64().unwrap() > 1, "{deleted:#}");
    third.peat(&RUN).ended_with(7).says(&["was moved to inventory"]);
    assert_eq!(namespaces(&first), [("default".into(), "moved".into()), ("inventory".into(), "active".into())]);
}

#[test]
fn a_move_that_was_killed_is_gone_on_with_by_another_machine() {
    let scratch = Scratch::new();
    let (first, second) = two_machines(&scratch);
    for _ in 0..3 {
        first.peat(&RUN).ok();
    }
    let (begun, allowed) = (scratch.path().join("begun"), scratch.path().join("allowed"));
    let script = format!("touch {}; until [ -e {} ]; do sleep 0.1; done", begun.display(), allowed.display());
    second.shell_model("slow", &script);
    // The move waits for this run, and is killed meanwhile.
    let holder = start(&second, &["model", "method", "run", "slow", "execute"]);
    wait_for(&begun);
    let mut mover = start(&first, &["datastore", "namespace", "migrate", "inventory", "--lock-timeout", "5m"]);
    let began = Instant::now();
    while namespaces(&second).len() < 2 {
        assert!(began.elapsed() < PATIENCE, "the move never began");
    }
    kill_process(Pid::from_child(&mover), Signal::KILL).unwrap();
    mover.wait().unwrap();
    let states = [("default".into(), "moving".into()), ("inventory".into(), "filling".into())];
    assert_eq!(namespaces(&second), states);
    // Its target is not to be seen.
    let mut early = first.command(&RUN);
    let early = Outcome::of("run".to_owned(), early.env("PEAT_NAMESPACE", "inventory").output().unwrap());
    early.ended_with(7).says(&["is not in use yet"]);
    // It waits no longer than it is told to, and can be gone on with.
    let waited = second.peat(&["datastore", "namespace", "migrate", "inventory", "--lock-timeout", "0s"]).ended_with(4);
    waited.says(&["model method run slow execute", "same command"]);
    std::fs::write(&allowed, "").unwrap();
    outcome(holder).ok();
    second.peat(&["datastore", "namespace", "migrate", "inventory"]).ok();
    assert_eq!(versions(&second, "m"), 3);
    assert_eq!(versions(&second, "slow"), 1, "who had a lease before was waited for");
    first.peat(&["datastore", "namespace", "migrate", "inventory"]).ok();
    assert_eq!(versions(&first, "m"), 3);
}

#[test]
fn a_move_is_given_up_by_deleting_its_target() {
    let scratch = Scratch::new();
    let (first, second) = two_machines(&scratch);
    first.peat(&RUN).ok();
    let (begun, allowed) = (scratch.path().join("begun"), scratch.path().join("allowed"));
    let script = format!("touch {}; until [ -e {} ]; do sleep 0.1; done", begun.display(), allowed.display());
    second.shell_model("slow", &script);
    let holder = start(&second, &["model", "method", "run", "slow", "execute"]);
    wait_for(&begun);
    first.peat(&["datastore", "namespace", "migrate", "inventory", "--lock-timeout", "0s"]).ended_with(4);
    first.peat(&RUN).ended_with(7).says(&["on its way to inventory"]);
    second.peat(&["datastore", "namespace", "delete", "inventory"]).ok();
    assert_eq!(namespaces(&second), [("default".into(), "active".into())]);
    std::fs::write(&allowed, "").unwrap();
    outcome(holder).ok();
    first.peat(&RUN).ok();
    assert!(!first.read("peat.yaml").contains("inventory"));
}

#[test]
fn a_namespace_in_a_bucket_is_moved() {
    let scratch = Scratch::new();
    let bucket = TestBucket::on_loopback();
    let first = bucket.machine(&scratch).repository("checkout");
    first.shell_model("m", "echo written; head -c 3000000 /dev/zero");
    bucket.share(&first, &[]);
    let second = bucket.machine(&scratch).clone_of(&first, "checkout");
    first.peat(&RUN).ok();
    second.peat(&RUN).ok();
    bucket.server().clear_log();
    first.peat(&["datastore", "namespace", "migrate", "inventory"]).ok();
    let log = bucket.server().log();
    assert!(log.iter().any(|logged| logged.operation == Operation::Copy), "the store copies what is large");
    let sent: u64 = log.iter().map(|logged| logged.bytes_in + logged.bytes_out).sum();
    println!("a move of 2 × 3 MB: {} requests, {sent} bytes", log.len());
    assert!(sent < 1_000_000, "{sent} bytes went through this machine");
    assert_eq!(versions(&first, "m"), 2);
    second.peat(&RUN).ended_with(7).says(&["was moved to inventory"]);
    second.peat(&["datastore", "namespace", "set", "inventory"]).ok();
    second.peat(&["datastore", "sync"]).ok();
    second.peat(&RUN).ok();
    assert_eq!(versions(&first, "m"), 3);
    second.peat(&["datastore", "namespace", "delete", "default"]).ok();
    let mut content = second.command(&["data", "get", "m", "stdout", "--output", "-"]);
    assert!(content.output().unwrap().stdout.len() > 3_000_000);
}

#[test]
fn results_that_were_not_sent_before_a_move_come_along() {
    let scratch = Scratch::new();
    let (first, second) = two_machines(&scratch);
    let (begun, allowed) = (scratch.path().join("begun"), scratch.path().join("allowed"));
    let script = format!("touch {}; until [ -e {} ]; do sleep 0.1; done", begun.display(), allowed.display());
    second.shell_model("slow", &script);
    let holder = start(&second, &["model", "method", "run", "slow", "execute"]);
    wait_for(&begun);
    // Its lease is taken away: what it produces is kept on its machine.
    let status = first.peat(&["datastore", "lock", "status", "--json"]).ok().json();
    let (partition, nonce) = (status["locks"][0]["partition"].clone(), status["locks"][0]["nonce"].clone());
    let release = ["datastore", "lock", "release", partition.as_str().unwrap(), "--force", "--holder"];
    first.peat(&[&release[..], &[nonce.as_str().unwrap()]].concat()).ok();
    first.peat(&["datastore", "namespace", "migrate", "inventory"]).ok();
    std::fs::write(&allowed, "").unwrap();
    let ended = outcome(holder);
    // By what it heard first: that its lease is gone, or where the namespace is.
    assert!(matches!(ended.code, Some(5 | 7)), "{ended:?}");
    ended.says(&["kept on this machine as uncommitted"]);
    second.peat(&["datastore", "sync"]).ended_with(7).says(&["was moved to inventory"]);
    let set = second.peat(&["datastore", "namespace", "set", "inventory", "--json"]).ok().json();
    assert_eq!(set["carriedCommits"], 1, "{set:#}");
    second.peat(&["datastore", "sync"]).ok();
    let status = second.peat(&["datastore", "status", "--json"]).ok().json();
    assert_eq!(status["datastore"]["uncommitted"].as_array().unwrap().len(), 0, "{status:#}");
    assert_eq!(versions(&second, "slow"), 1);
}
