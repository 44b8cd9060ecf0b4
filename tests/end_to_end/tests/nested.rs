//! Commands inside commands: a run that starts `peat` for what it holds itself does not wait for itself.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::process::Command;
use std::time::{Duration, Instant};

use peat_end_to_end_tests::{Checkout, Outcome, Scratch, peat_binary};

/// A wait for oneself would take that long, and end with 4.
const LOCK_TIMEOUT: &str = "100s";

/// What is refused is refused long before.
const AT_ONCE: Duration = Duration::from_secs(60);

/// What scripts here may see of the environment.
const ENVIRONMENT: &str =
    r#"environment=["HOME", "PEAT_HOME", "PEAT_CACHE_DIR", "PEAT_LOCK_TIMEOUT", "PEAT", "DEPTH", "OTHER_HOME"]"#;

fn repository(scratch: &Scratch, shared: bool, script: &str) -> Checkout {
    let repository = scratch.machine().repository("r");
    let run = format!("run={script}");
    let create = ["model", "create", "m", "--type", "command/shell", "--argument", &run, "--argument", ENVIRONMENT];
    repository.peat(&create).ok();
    if shared {
        repository.share_through(&scratch.shared_directory());
    }
    repository
}

fn with_environment(repository: &Checkout, arguments: &[&str]) -> Command {
    let mut command = repository.command(arguments);
    command.env("PEAT", peat_binary()).env("PEAT_LOCK_TIMEOUT", LOCK_TIMEOUT).env("DEPTH", "0");
    command
}

fn run(repository: &Checkout, arguments: &[&str]) -> Outcome {
    let began = Instant::now();
    let output = with_environment(repository, arguments).output().unwrap();
    let outcome = Outcome::of(arguments.join(" "), output);
    assert!(began.elapsed() < AT_ONCE, "{:?}: somebody waited for itself: {outcome}", began.elapsed());
    outcome
}

fn stdout(repository: &Checkout, version: usize) -> String {
    let version = version.to_string();
    repository.peat(&["data", "get", "m", "stdout", "--version", &version, "--output", "-"]).ok().stdout
}

const RUN: [&str; 5] = ["model", "method", "run", "m", "execute"];

#[test]
fn a_run_inside_a_run_of_the_same_model_commits_under_its_lease() {
    // Three deep: each but the last starts the next, and prints after it.
    let script = r#"[ "$DEPTH" = 2 ] || DEPTH=$((DEPTH + 1)) "$PEAT" model method run m execute >&2 || exit 9; echo "depth $DEPTH""#;
    for shared in [false, true] {
        let scratch = Scratch::new();
        let repository = repository(&scratch, shared, script);
        run(&repository, &RUN).ok();
        let printed: Vec<String> = (1..=3).map(|version| stdout(&repository, version)).collect();
        assert_eq!(printed, ["depth 2\n", "depth 1\n", "depth 0\n"], "shared: {shared}");
        let status = repository.peat(&["datastore", "lock", "status", "--json"]).ok().json();
        assert!(status["locks"].as_array().unwrap().is_empty() && status["local"].as_array().unwrap().is_empty());
        // The lease was given up by its owner: the next run begins at once.
        run(&repository, &RUN).ok();
        if shared {
            let other = scratch.machine().clone_of(&repository, "r");
            other.peat(&["datastore", "sync"]).ok();
            assert_eq!(stdout(&other, 6), "depth 0\n");
        }
    }
}

#[test]
fn runs_beside_each_other_inside_a_run_take_turns() {
    let inner = r#"DEPTH=1 "$PEAT" model method run m execute >&2"#;
    let script = format!(
        "if [ $DEPTH = 0 ]; then {inner} & first=$!; {inner} & second=$!; wait $first && wait $second || exit 9; else \
         mkdir inside || exit 8; sleep 0.3; rmdir inside; fi; echo depth $DEPTH"
    );
    let scratch = Scratch::new();
    let repository = repository(&scratch, true, &script);
    run(&repository, &RUN).ok();
    let printed: Vec<String> = (1..=3).map(|version| stdout(&repository, version)).collect();
    assert_eq!(printed, ["depth 1\n", "depth 1\n", "depth 0\n"]);
}

#[test]
fn what_would_wait_for_the_process_that_started_it_is_refused_at_once() {
    let scratch = Scratch::new();
    let script = r#"if [ $DEPTH = 0 ]; then exec 2>&1; "$PEAT" datastore lock run -- true; echo "code $?"; PEAT_HOME=$OTHER_HOME "$PEAT" model method run m execute; echo "code $?"; fi"#;
    let repository = repository(&scratch, true, script);
    let other = scratch.machine();
    let output = with_environment(&repository, &RUN).env("OTHER_HOME", other.home()).output().unwrap();
    Outcome::of("model method run m execute".to_owned(), output).ok();
    let printed = stdout(&repository, 1);
    assert_eq!(printed.matches("code 4\n").count(), 2, "{printed}");
    assert!(printed.contains("structural cannot be had here") && printed.contains("PEAT_HOME"), "{printed}");

    let inside =
        ["datastore", "lock", "run", "--", peat_binary().to_str().unwrap(), "model", "method", "run", "m", "execute"]
            .map(str::to_owned);
    let inside: Vec<&str> = inside.iter().map(String::as_str).collect();
    run(&repository, &inside).ended_with(1).says(&["exit status 4", "started this one", "lock run"]);
}

#[test]
fn a_token_of_a_run_that_is_over_is_worth_nothing_and_another_text_is_refused() {
    let scratch = Scratch::new();
    let repository = repository(&scratch, true, r#"echo "$PEAT_HELD""#);
    run(&repository, &RUN).ok();
    let token = stdout(&repository, 1);
    assert!(token.contains("model--command+shell--"), "{token}");
    let again = with_environment(&repository, &RUN).env("PEAT_HELD", token.trim()).output().unwrap();
    Outcome::of("model method run m execute".to_owned(), again).ok();
    assert_ne!(stdout(&repository, 2), token, "the next run has a token of its own");
    let refused = with_environment(&repository, &RUN).env("PEAT_HELD", "anything").output().unwrap();
    Outcome::of("model method run m execute".to_owned(), refused).ended_with(2).says(&["PEAT_HELD", "unset it"]);
}
