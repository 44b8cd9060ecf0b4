//! Who changed what, as everybody who uses the datastore sees it.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::thread;
use std::time::Duration;

use peat_end_to_end_tests::{Checkout, Machine, Scratch, TestBucket};
use peat_test_support::s3::{Fault, Operation, Rule};
use serde_json::Value;

const RUN: [&str; 5] = ["model", "method", "run", "m", "execute"];

fn user(machine: Machine, name: &str) -> Machine {
    machine.with_variables(&[("PEAT_USER".to_owned(), name.to_owned())])
}

fn audit(checkout: &Checkout, arguments: &[&str]) -> Vec<Value> {
    let words: Vec<&str> = ["audit", "list", "--json"].iter().chain(arguments).copied().collect();
    checkout.peat(&words).ok().json()["entries"].as_array().unwrap().clone()
}

/// User and command of each entry.
fn told(entries: &[Value]) -> Vec<(String, String)> {
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_owned();
    entries.iter().map(|entry| (text(entry, "user"), text(entry, "command"))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(user, command)| ((*user).to_owned(), (*command).to_owned())).collect()
}

fn everybody_sees_who_changed_what(machine: &dyn Fn() -> Machine, share: &dyn Fn(&Checkout)) {
    let first = user(machine(), "ada").repository("checkout");
    first.shell_model("m", "echo hello");
    first.shell_model("other", "true");
    share(&first);
    let second = user(machine(), "grace").clone_of(&first, "checkout");
    first.peat(&RUN).ok();
    second.peat(&["datastore", "lock", "run", "--model", "m", "--", "true"]).ok();
    second.peat(&["datastore", "lock", "run", "--", "sh", "-c", "exit 3"]).ended_with(1);
    second.peat(&["model", "method", "run", "other", "execute"]).ok();

    let expected = pairs(&[
        ("grace", "model method run other execute"),
        ("grace", "datastore lock run"),
        ("grace", "datastore lock run"),
        ("ada", "model method run m execute"),
    ]);
    for checkout in [&first, &second] {
        checkout.peat(&["datastore", "sync"]).ok();
        let entries = audit(checkout, &[]);
        assert_eq!(told(&entries), expected, "{entries:#?}");
        assert_eq!(entries[1]["partitions"], serde_json::json!(["structural"]));
        assert!(entries[1]["summary"].as_str().unwrap().contains("ran sh: exit status: 3"), "{:#}", entries[1]);
        for entry in &entries {
            assert_eq!(entry["committed"], true, "{entry:#}");
            assert!(entry["heldMs"].is_u64() && entry["waitedMs"].is_u64() && entry["pid"].is_u64(), "{entry:#}");
        }
        assert_eq!((&entries[3]["kind"], &entries[3]["model"]), (&"run".into(), &"m".into()));
        let of_model = audit(checkout, &["--model", "m"]);
        assert_eq!(told(&of_model), [expected[2].clone(), expected[3].clone()], "{of_model:#?}");
        assert_eq!(told(&audit(checkout, &["--limit", "1"])), expected[..1]);
        assert_eq!(audit(checkout, &["--since", "0s"]), [Value::Null; 0]);
    }
    // It is nobody's data, and no run.
    assert!(!first.peat(&["data", "list"]).ok().stdout.contains("audit"));
    assert_eq!(first.peat(&["run", "list", "--json"]).ok().json()["total"], 2);
    let page = first.peat(&["audit", "list"]).ok();
    page.shows(&["USER", "ada", "grace", "m execute: exit status 0", "ran sh: exit status: 3"]);
}

#[test]
fn everybody_sees_who_changed_what_through_a_directory() {
    let scratch = Scratch::new();
    let shared = scratch.shared_directory();
    everybody_sees_who_changed_what(&|| scratch.machine(), &|first| first.share_through(&shared));
}

#[test]
fn everybody_sees_who_changed_what_through_a_bucket() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::new());
    everybody_sees_who_changed_what(&|| bucket.machine(&scratch), &|first| bucket.share(first, &[]));
}

#[test]
fn an_entry_that_cannot_be_sent_fails_nothing_and_goes_with_the_next_sync() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
    let first = bucket.machine(&scratch).repository("checkout");
    first.shell_model("m", "echo hello");
    bucket.share(&first, &[]);
    let second = bucket.machine(&scratch).clone_of(&first, "checkout");
    let refused = Fault::Refused { status: 403, code: "AccessDenied", retry_after: None };
    bucket.server().fail(Rule::next(refused).on(Operation::Put).key("/_index/audit.json").times(1_000));
    first.peat(&["datastore", "lock", "run", "--", "true"]).ok();
    assert_eq!(audit(&first, &[])[0]["committed"], false);
    let status = first.peat(&["datastore", "status", "--json"]).ok().json();
    assert_eq!(status["datastore"]["uncommitted"][0]["partition"], "audit", "{status:#}");
    bucket.server().heal();
    first.peat(&["datastore", "sync"]).ok();
    assert_eq!(audit(&first, &[])[0]["committed"], true);
    second.peat(&["datastore", "sync"]).ok();
    assert_eq!(audit(&second, &[]), audit(&first, &[]));
}

#[test]
fn entries_are_kept_as_long_as_the_repository_says() {
    let scratch = Scratch::new();
    let first = scratch.machine().repository("checkout");
    first.write("peat.yaml", format!("{}retention: {{audit: 1ms}}\n", first.read("peat.yaml")));
    first.share(&scratch);
    first.peat(&["datastore", "lock", "run", "--", "true"]).ok();
    let gone = || {
        let collection = first.peat(&["data", "gc", "--json"]).ok().json()["collection"].take();
        collection["partitions"][0]["partition"] == "audit" && collection["expired"] == 1
    };
    let goes = (0..100).any(|_| {
        thread::sleep(Duration::from_millis(100));
        gone()
    });
    assert!(goes, "it stays");
    let left = told(&audit(&first, &[]));
    assert!(!left.iter().any(|(_, command)| command == "datastore lock run"), "{left:?}");
    first.write("peat.yaml", first.read("peat.yaml").replace("1ms", "run"));
    first.peat(&["audit", "list"]).ended_with(2).says(&["retention.audit", "write a duration or infinite"]);
}

#[test]
fn the_local_datastore_has_an_audit_too() {
    let scratch = Scratch::new();
    let checkout = user(scratch.machine(), "ada").repository("checkout");
    checkout.shell_model("m", "echo hello");
    checkout.peat(&RUN).ok();
    std::fs::remove_file(checkout.path().join("models/m.yaml")).unwrap();
    checkout.peat(&["data", "prune", "--yes"]).ok();
    let entries = audit(&checkout, &[]);
    assert_eq!(told(&entries), pairs(&[("ada", "data prune")]), "{entries:#?}");
    assert_eq!((&entries[0]["kind"], &entries[0]["partitionsCount"]), (&"command".into(), &1.into()));
    let again = checkout.peat(&["data", "prune", "--yes"]).ok();
    assert_eq!(audit(&checkout, &[]).len(), 1, "what changed nothing leaves no entry: {again}");
}
