//! What `peat doctor` and `peat datastore status` say of a repository.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::os::unix::fs::PermissionsExt as _;

use peat_end_to_end_tests::{Checkout, Scratch, TestBucket};
use peat_test_support::s3::{Fault, Operation, Rule};
use serde_json::Value;

fn finding(seen: &Value, subject: &str) -> Value {
    let findings = seen["findings"].as_array().unwrap();
    findings
        .iter()
        .find(|finding| finding["subject"] == subject)
        .unwrap_or_else(|| panic!("{subject}: {seen:#}"))
        .clone()
}

fn doctor(checkout: &Checkout, more: &[&str], code: i32) -> Value {
    checkout.peat(&[&["doctor", "--json"], more].concat()).ended_with(code).json()
}

fn run(checkout: &Checkout) {
    checkout.peat(&["model", "method", "run", "m", "execute"]).ok();
}

#[test]
fn the_doctor_looks_at_the_repository_too() {
    let scratch = Scratch::new();
    let checkout = scratch.machine().repository("checkout");
    checkout.shell_model("m", "echo m");
    checkout.share_through(&scratch.shared_directory());
    run(&checkout);
    let seen = doctor(&checkout, &["--online"], 0);
    for subject in ["PEAT_HOME", "repository", "clock", "local store", "datastore", "extension @peat/directory"] {
        assert_eq!(finding(&seen, subject)["state"], "good", "{subject}: {seen:#}");
    }
    assert!(finding(&seen, "datastore")["detail"].as_str().unwrap().contains("clock"), "{seen:#}");

    // The component was built anew, and not added.
    let file = checkout.path().join("extensions/peat-directory.wasm");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.push(0);
    std::fs::write(&file, bytes).unwrap();
    let seen = doctor(&checkout, &[], 0);
    let outdated = finding(&seen, "extension @peat/directory");
    assert_eq!(outdated["state"], "absent", "{seen:#}");
    assert_eq!(outdated["remedy"], "peat extension add extensions/peat-directory.wasm", "{seen:#}");

    // The datastore is gone: told only where it is asked.
    std::fs::rename(scratch.shared_directory(), scratch.path().join("away")).unwrap();
    assert_eq!(finding(&doctor(&checkout, &[], 0), "datastore")["state"], "good");
    assert_eq!(finding(&doctor(&checkout, &["--online"], 70), "datastore")["state"], "broken");

    let home = checkout.machine().home();
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o777)).unwrap();
    let seen = doctor(&checkout, &[], 70);
    assert_eq!(finding(&seen, "PEAT_HOME")["state"], "broken", "{seen:#}");
    assert!(finding(&seen, "PEAT_HOME")["remedy"].as_str().unwrap().starts_with("chmod go-w"), "{seen:#}");
}

#[test]
fn the_doctor_finds_a_damaged_local_store_and_what_was_not_sent() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
    let checkout = bucket.machine(&scratch).repository("checkout");
    checkout.shell_model("m", "head -c 100000 /dev/zero");
    bucket.share(&checkout, &[]);
    let busy = Fault::Refused { status: 503, code: "SlowDown", retry_after: None };
    bucket.server().fail(Rule::next(busy).on(Operation::Put).key("/_packs/").times(1_000));
    checkout.peat(&["model", "method", "run", "m", "execute"]).ended_with(6);
    let seen = doctor(&checkout, &[], 0);
    assert_eq!(finding(&seen, "uncommitted")["remedy"], "peat datastore push", "{seen:#}");
    let status = checkout.peat(&["datastore", "status", "--json"]).ok().json();
    let store = std::path::PathBuf::from(status["datastore"]["localStore"].as_str().unwrap()).join("store.db");
    let mut bytes = std::fs::read(&store).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xff);
    std::fs::write(&store, bytes).unwrap();
    let seen = doctor(&checkout, &[], 70);
    assert_eq!(finding(&seen, "local store")["state"], "broken", "{seen:#}");
}

#[test]
fn status_tells_sizes_without_a_request_and_measures_when_asked() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
    let checkout = bucket.machine(&scratch).repository("checkout");
    checkout.shell_model("m", "head -c 100000 /dev/zero");
    bucket.share(&checkout, &[]);
    run(&checkout);
    run(&checkout);
    bucket.server().clear_log();
    let status = checkout.peat(&["datastore", "status", "--json"]).ok().json();
    assert_eq!(bucket.server().log().len(), 0, "it asks nobody");
    let size = &status["datastore"]["sizes"][0];
    assert!(size["versions"].as_u64().unwrap() >= 6, "{status:#}");
    assert!(size["bytes"].as_u64().unwrap() >= 200_000, "{status:#}");
    assert!(status["datastore"]["measured"].is_null(), "{status:#}");
    let status = checkout.peat(&["datastore", "status", "--measure", "--json"]).ok().json();
    let measured = &status["datastore"]["measured"];
    assert_eq!(measured["partitions"][0]["versions"], status["datastore"]["sizes"][0]["versions"], "{status:#}");
    assert_eq!(measured["leases"].as_array().unwrap().len(), 0, "{status:#}");
    checkout.peat(&["datastore", "status", "--measure"]).ok().shows(&["In the datastore", "VERSIONS"]);
}
