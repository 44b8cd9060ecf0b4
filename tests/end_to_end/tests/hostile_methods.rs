//! Methods that misbehave: each ends with a named error and the documented exit code, the host goes on, and what was
//! stored before is there.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::time::{Duration, Instant};

use peat_end_to_end_tests::{Checkout, Outcome, Scratch};

/// Whatever a method does, its run has ended by then.
const PATIENCE: Duration = Duration::from_secs(60);

fn repository(scratch: &Scratch) -> Checkout {
    let repository = scratch.machine().repository("r");
    repository.write("folder/inside.txt", "inside\n");
    repository.write("outside.txt", "outside\n");
    let grants = ["--grant", "files:folder=folder", "--grant", "secrets:token=PEAT_TEST_TOKEN"];
    repository.install("test-misbehaving", &grants);
    repository.peat(&["model", "create", "bad", "--type", "@test/misbehaving"]).ok();
    repository
}

#[track_caller]
fn run(repository: &Checkout, method: &str, more: &[&str]) -> Outcome {
    let started = Instant::now();
    let mut command = repository.command(&[&["model", "method", "run", "bad", method][..], more].concat());
    let output = command.env("PEAT_TEST_TOKEN", "a-secret-value").output().unwrap();
    let outcome = Outcome::of(format!("model method run bad {method} {}", more.join(" ")), output);
    assert!(started.elapsed() < PATIENCE, "{:?}: {outcome}", started.elapsed());
    assert!(!outcome.stderr.contains("panicked"), "{outcome}");
    outcome
}

#[test]
fn a_trap_ends_the_run_with_the_extension_and_the_reason() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    run(&repository, "trap", &[]).ended_with(1).says(&["@test/misbehaving", "trapped"]);
    run(&repository, "overflow-stack", &[]).ended_with(1).says(&["@test/misbehaving", "trapped"]);
    let json = run(&repository, "trap", &["--json"]).ended_with(1);
    assert_eq!(json.json()["error"]["kind"], "method-failed", "{json}");
}

#[test]
fn a_method_without_end_is_ended_at_its_deadline() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    for method in ["spin", "sleep-for-ever"] {
        let started = Instant::now();
        run(&repository, method, &["--timeout", "1s"]).ended_with(1).says(&["@test/misbehaving", "1000 ms"]);
        assert!(started.elapsed() < Duration::from_secs(10), "{method} took {:?}", started.elapsed());
    }
    // Whoever waits for nothing that could ever come is ended at once.
    let outcome = run(&repository, "wait-for-nothing", &["--timeout", "1s"]).ended_with(1);
    outcome.says(&["@test/misbehaving"]);
}

#[test]
fn a_method_that_takes_without_bound_hits_a_named_limit() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    run(&repository, "allocate", &[]).ended_with(1).says(&["@test/misbehaving", "limit", "bytes of memory"]);
    run(&repository, "hoard-blobs", &[]).ended_with(1).says(&["handles"]);
    let flood = run(&repository, "flood-summary", &[]).ok();
    assert!(flood.stdout.len() < 8 * 1024, "{} bytes of summary", flood.stdout.len());
}

#[test]
fn a_gigabyte_of_log_is_cut_and_said_to_be() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    run(&repository, "flood-log", &[]).ok();
    run(&repository, "flood-progress", &[]).ok();
    let runs = repository.peat(&["run", "list", "--json"]).ok().json();
    let flood = runs["runs"].as_array().unwrap().iter().find(|run| run["method"] == "flood-log").unwrap();
    let log = repository.peat(&["run", "logs", flood["id"].as_str().unwrap()]).ok();
    assert!(log.bytes.len() < 8 * 1024 * 1024, "{} bytes of log", log.bytes.len());
    assert!(log.stdout.contains("cut") || log.stderr.contains("cut"), "nothing says that the log was cut");
}

#[test]
fn a_failure_is_the_methods_own_and_what_it_wrote_is_kept() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    run(&repository, "fail", &[]).ended_with(1).says(&["the widget is broken; replace it and run again"]);
    run(&repository, "fail-after-write", &[]).ended_with(1).says(&["the second half is missing"]);
    repository.peat(&["data", "get", "bad", "half"]).ended_with(3);
    let half = repository.peat(&["data", "get", "bad", "half", "--version", "1", "--output", "-"]).ok();
    assert_eq!(half.stdout, "the first half");
}

#[test]
fn a_guest_cannot_reach_what_it_was_not_given() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let long = "x".repeat(4096);
    let reserved = ".run/0000000000-00000000/record";
    for name in ["..", "../escaped", "/etc/passwd", "a\\b", "C:\\x", "a/../../b", ".hidden", reserved, &long] {
        let input = format!("name={name}");
        let outcome = run(&repository, "write-named", &["--input", &input]).ended_with(1);
        assert!(outcome.stderr.len() < 2000, "{outcome}");
    }
    run(&repository, "write-named", &["--input-file", "-"]).ended_with(2);
    repository.write("nul.json", "{\"name\": \"a\\u0000b\"}");
    run(&repository, "write-named", &["--input-file", "nul.json"]).ended_with(1);

    std::os::unix::fs::symlink("../outside.txt", repository.path().join("folder/link")).unwrap();
    for path in ["../outside.txt", "/etc/passwd", "link", "inside.txt/../../outside.txt", "a\\..\\..", &long] {
        let place = ["--input", "directory=folder", "--input", &format!("path={path}")];
        run(&repository, "read-path", &place).ended_with(1);
    }
    run(&repository, "read-path", &["--input", "directory=folder", "--input", "path=inside.txt"]).ok();
    run(&repository, "open-folder", &["--input", "name=other"]).ended_with(1).says(&["granted", "folder"]);
    run(&repository, "read-secret", &["--input", "name=other"]).ended_with(1).says(&["granted", "token"]);
    let secret = run(&repository, "read-secret", &["--input", "name=token"]).ok();
    assert!(secret.stdout.contains("14 bytes") && !secret.stdout.contains("a-secret-value"), "{secret}");
    repository.shell_model("other", "echo private");
    repository.peat(&["model", "method", "run", "other", "execute"]).ok();
    run(&repository, "read-foreign", &["--input", "name=other"]).ended_with(1).says(&["reads"]);
    // Nothing of all this became data.
    let data = repository.peat(&["data", "list", "bad", "--json"]).ok().json();
    let names: Vec<&str> =
        data["data"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["escaped"], "{data:#}");
    let escaped = repository.peat(&["data", "get", "bad", "escaped", "--output", "-"]).ok();
    assert_eq!(escaped.stdout, "inside\n");
}

#[test]
fn arguments_that_break_the_schema_never_reach_the_guest() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    for inputs in [&["--input", "count=0"][..], &["--input", "count=x"], &["--input", "number=1"], &[]] {
        run(&repository, "strict", inputs).ended_with(2).says(&["count"]);
    }
    run(&repository, "strict", &["--input", "count=3"]).ok();
}

#[test]
fn an_interrupted_run_is_recorded_and_the_next_one_goes_on() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let mut command = repository.command(&["model", "method", "run", "bad", "sleep-for-ever"]);
    let mut child = command.env("PEAT_TEST_TOKEN", "x").stderr(std::process::Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    let interrupted = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let started = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let runs = repository.peat(&["run", "list", "--json"]).ok().json();
    assert_eq!(runs["runs"][0]["status"], "interrupted", "{runs:#}");
    run(&repository, "fail", &[]).ended_with(1);
}
