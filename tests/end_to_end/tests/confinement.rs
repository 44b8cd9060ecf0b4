//! What a runner can do once it has confined itself, and what `peat doctor` says of this machine.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use peat_end_to_end_tests::{Checkout, Outcome, Scratch, runner};
use serde_json::Value;

/// What each protection keeps a runner from.
const REFUSED: [(&str, &[&str]); 2] = [
    ("seccomp", &["connect", "socketPair", "startProgram", "signalOthers", "trace"]),
    ("landlock", &["readOutside", "writeGranted", "writeOutside"]),
];

/// What a runner must still be able to do.
const NEEDED: [&str; 2] = ["readGranted", "startThread"];

fn probe(scratch: &Scratch, protections: &[&str]) -> Value {
    let mut command = Command::new(runner());
    command.arg("--probe").args(protections).env_clear().current_dir(scratch.path());
    let output = command.output().unwrap();
    let outcome = Outcome::of(format!("peat-runner --probe {}", protections.join(" ")), output);
    outcome.ok().json()
}

#[test]
fn a_confined_runner_can_do_what_it_needs_and_nothing_else() {
    let scratch = Scratch::new();
    let seen = probe(&scratch, &[]);
    let active: Vec<&str> = seen["active"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(active.contains(&"limits") && active.contains(&"privileges"), "{seen:#}");
    for needed in NEEDED {
        assert_eq!(seen["attempts"][needed], "done", "{seen:#}");
    }
    for (protection, refused) in REFUSED {
        if !active.contains(&protection) {
            eprintln!("not tested: this kernel has no {protection}");
            continue;
        }
        for attempt in refused {
            assert_ne!(seen["attempts"][attempt], "done", "{protection}: {attempt}\n{seen:#}");
        }
    }
}

#[test]
fn each_protection_holds_by_itself() {
    let scratch = Scratch::new();
    for (protection, refused) in REFUSED {
        let seen = probe(&scratch, &[protection]);
        if seen["active"].as_array().unwrap().iter().any(|name| name == protection) {
            for attempt in refused {
                assert_ne!(seen["attempts"][attempt], "done", "{protection}: {attempt}\n{seen:#}");
            }
        }
    }
    let seen = probe(&scratch, &["namespaces"]);
    if seen["active"].as_array().unwrap().iter().any(|name| name == "namespaces") {
        assert_ne!(seen["attempts"]["connect"], "done", "{seen:#}");
    }
}

/// So the attempts are such that can succeed.
#[test]
fn a_runner_that_is_not_confined_can_do_everything() {
    let scratch = Scratch::new();
    let seen = probe(&scratch, &["nothing"]);
    for attempt in REFUSED.iter().flat_map(|(_, refused)| refused.iter()).chain(&NEEDED) {
        assert_eq!(seen["attempts"][attempt], "done", "{attempt}\n{seen:#}");
    }
}

fn finding<'a>(seen: &'a Value, subject: &str) -> &'a Value {
    let findings = seen["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["subject"] == subject).unwrap_or_else(|| panic!("no {subject}: {seen:#}"))
}

fn doctor(repository: &Checkout, variables: &[(&str, &str)]) -> Outcome {
    let mut command = repository.command(&["doctor", "--json"]);
    Outcome::of("doctor".to_owned(), command.envs(variables.iter().copied()).output().unwrap())
}

#[test]
fn the_doctor_finds_the_runner_and_what_it_gives_up_here() {
    let scratch = Scratch::new();
    let repository = scratch.machine().repository("r");
    let seen = doctor(&repository, &[]).ok().json();
    assert_eq!(finding(&seen, "runner")["state"], "good", "{seen:#}");
    assert_eq!(finding(&seen, "cache")["state"], "good", "{seen:#}");
    let protections = ["namespaces", "landlock", "seccomp"].map(|name| finding(&seen, &format!("sandbox: {name}")));
    for finding in &protections {
        assert!(finding["state"] == "good" || finding["remedy"].is_string(), "{seen:#}");
    }
    if protections.iter().all(|finding| finding["state"] == "good") {
        assert_eq!(finding(&seen, "sandbox")["state"], "good", "{seen:#}");
    }
    repository.peat(&["doctor"]).ok().shows(&["runner", "sandbox", "cache"]);
}

#[test]
fn what_is_missing_is_broken_only_where_it_is_asked_for() {
    let scratch = Scratch::new();
    let repository = scratch.machine().repository("r");
    let missing = [("PEAT_RUNNER", "/nowhere/peat-runner")];
    let seen = doctor(&repository, &missing).ok().json();
    assert_eq!(finding(&seen, "runner")["state"], "absent", "{seen:#}");
    repository.write("peat.yaml", format!("{}driver: process\n", repository.read("peat.yaml")));
    let outcome = doctor(&repository, &missing).ended_with(70);
    let seen = outcome.json();
    assert_eq!(finding(&seen, "runner")["state"], "broken", "{seen:#}");
    assert_eq!(seen["error"]["kind"], "internal", "{seen:#}");
}

#[test]
fn a_runner_that_is_none_is_found_out() {
    let scratch = Scratch::new();
    let repository = scratch.machine().repository("r");
    let version = r#"{"version":"0.0.1","active":[],"missing":[],"attempts":{}}"#;
    for (script, word) in
        [("echo hello", "something else"), ("exit 3", "exit status 3"), (&format!("echo '{version}'"), "0.0.1")]
    {
        let file = scratch.path().join("runner");
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        let seen = doctor(&repository, &[("PEAT_RUNNER", file.to_str().unwrap())]).ended_with(70).json();
        let finding = finding(&seen, "runner");
        assert_eq!(finding["state"], "broken", "{seen:#}");
        assert!(finding["detail"].as_str().unwrap().contains(word), "{word}: {seen:#}");
    }
}
