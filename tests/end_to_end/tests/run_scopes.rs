//! Run scopes with the real binary: opened, used by child processes through the environment, folded, dropped.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use peat_end_to_end_tests::{Checkout, Outcome, Scratch};

/// Scopes that are folded at once.
const SCOPES: usize = 50;

/// Processes at work at once.
const AT_ONCE: usize = 10;

const RUN: [&str; 5] = ["model", "method", "run", "m", "execute"];

fn shared(scratch: &Scratch) -> Checkout {
    let checkout = scratch.machine().repository("checkout");
    checkout.shell_model("m", "echo written");
    checkout.share(scratch);
    checkout
}

fn open(checkout: &Checkout) -> String {
    let opened = checkout.peat(&["run-scope", "open", "--expires", "1h", "--json"]).ok().json();
    opened["scope"]["name"].as_str().unwrap().to_owned()
}

fn within(checkout: &Checkout, scope: &str, arguments: &[&str]) -> Outcome {
    let output = checkout.command(arguments).env("PEAT_NAMESPACE", scope).output().unwrap();
    Outcome::of(format!("peat {}", arguments.join(" ")), output)
}

fn versions(checkout: &Checkout) -> usize {
    checkout.peat(&["datastore", "sync"]).ok();
    let versions = checkout.peat(&["data", "versions", "m", "stdout", "--json"]);
    if versions.code == Some(3) { 0 } else { versions.ok().json()["versions"].as_array().unwrap().len() }
}

#[test]
fn a_scope_reads_its_parent_keeps_its_own_and_is_folded() {
    let scratch = Scratch::new();
    let first = shared(&scratch);
    let second = scratch.machine().clone_of(&first, "checkout");
    first.peat(&RUN).ok();
    let plain = first.peat(&["run-scope", "open"]).ok();
    let scope = plain.stdout.lines().next().unwrap().to_owned();
    assert!(scope.starts_with("default.scope-"), "{scope}");
    within(&second, &scope, &["data", "get", "m", "stdout"]).ok();
    within(&second, &scope, &RUN).ok();
    within(&first, &scope, &RUN).ok();
    within(&second, &scope, &["datastore", "sync"]).ok();
    let inside = within(&second, &scope, &["data", "versions", "m", "stdout", "--json"]).ok().json();
    assert_eq!(inside["versions"].as_array().unwrap().len(), 3, "{inside:#}");
    assert_eq!(versions(&first), 1, "the parent knows of nothing");
    // Somebody else is faster.
    second.peat(&RUN).ok();
    let listed = second.peat(&["run-scope", "list", "--json"]).ok().json();
    assert_eq!(listed["scopes"][0]["name"], scope.as_str());
    first.peat(&["datastore", "namespace", "migrate", "new"]).ended_with(2).says(&["run-scope list"]);
    let folded = first.peat(&["run-scope", "fold", &scope, "--json"]).ok().json();
    let conflicts = folded["fold"]["conflicts"].as_array().unwrap();
    let renumbered = conflicts.iter().filter(|conflict| conflict["name"] == "stdout").count();
    assert_eq!(renumbered, 2, "{folded:#}");
    assert_eq!(versions(&first), 4);
    first.peat(&["run-scope", "fold", &scope]).ended_with(3);
    within(&second, &scope, &RUN).ended_with(3).says(&["does not exist"]);
    assert_eq!(versions(&first), 4);
}

#[test]
fn a_discarded_or_expired_scope_leaves_nothing() {
    let scratch = Scratch::new();
    let checkout = shared(&scratch);
    let scope = open(&checkout);
    within(&checkout, &scope, &RUN).ok();
    checkout.peat(&["run-scope", "discard", &scope]).ok();
    assert_eq!(versions(&checkout), 0);
    let brief = checkout.peat(&["run-scope", "open", "--expires", "1ms", "--json"]).ok().json();
    let brief = brief["scope"]["name"].as_str().unwrap();
    let list = || checkout.peat(&["run-scope", "list", "--json"]).ok().json();
    let (began, mut listed) = (Instant::now(), list());
    // By the store's clock, which may count in seconds.
    while listed["scopes"][0]["expired"] == false {
        assert!(began.elapsed() < Duration::from_secs(10), "{listed:#}");
        listed = list();
    }
    assert_eq!(listed["collected"][0], brief, "{listed:#}");
    assert_eq!(listed["scopes"].as_array().unwrap().len(), 0, "{listed:#}");
    within(&checkout, &scope, &["run-scope", "open"]).ended_with(2).says(&["is a run scope itself"]);
    checkout.peat(&["run-scope", "fold", "default"]).ended_with(2).says(&["is no run scope"]);
}

#[test]
fn a_collection_deletes_scopes_whose_time_is_over() {
    let scratch = Scratch::new();
    let checkout = shared(&scratch);
    let open = open(&checkout);
    let brief = checkout.peat(&["run-scope", "open", "--expires", "1ms", "--json"]).ok().json();
    let brief = brief["scope"]["name"].clone();
    // By the store's clock, which may count in seconds.
    let began = Instant::now();
    loop {
        let planned = checkout.peat(&["data", "gc", "--dry-run", "--json"]).ok().json();
        if planned["collection"]["runScopes"] == serde_json::json!([brief]) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{planned:#}");
    }
    let done = checkout.peat(&["data", "gc", "--json"]).ok().json();
    assert_eq!(done["collection"]["runScopes"], serde_json::json!([brief]), "{done:#}");
    let listed = checkout.peat(&["run-scope", "list", "--json"]).ok().json();
    assert_eq!(listed["scopes"].as_array().unwrap().len(), 1, "{listed:#}");
    assert_eq!(listed["scopes"][0]["name"], open.as_str(), "{listed:#}");
    assert_eq!(listed["collected"].as_array().unwrap().len(), 0, "{listed:#}");
}

#[test]
fn fifty_scopes_are_folded_at_once() {
    let scratch = Scratch::new();
    let checkout = shared(&scratch);
    let scopes: Vec<String> = (0..SCOPES).map(|_| open(&checkout)).collect();
    for group in scopes.chunks(AT_ONCE) {
        let runs = group.iter().map(|scope| {
            let mut command = checkout.command(&RUN);
            command.env("PEAT_NAMESPACE", scope).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        });
        finished(runs.collect());
    }
    let folds = scopes.iter().map(|scope| {
        let mut command = checkout.command(&["run-scope", "fold", scope, "--lock-timeout", "10m"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    finished(folds.collect());
    assert_eq!(versions(&checkout), SCOPES);
    let listed = checkout.peat(&["run-scope", "list", "--json"]).ok().json();
    assert_eq!(listed["scopes"].as_array().unwrap().len(), 0, "{listed:#}");
}

fn finished(children: Vec<Child>) {
    for child in children {
        Outcome::of("peat".to_owned(), child.wait_with_output().unwrap()).ok();
    }
}
