//! Datastore extensions that are not ours: the least there can be works, and one that breaks the contract is named with what
//! it did, loses nothing and damages nothing.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::process::Stdio;
use std::time::{Duration, Instant};

use peat_end_to_end_tests::{Checkout, Outcome, Scratch};
use serde_json::Value;

/// The one that does wrong what it is told to.
const MISBEHAVING: &str = "@test/misbehaving-datastore";

/// Tells it what to do wrong.
const VARIABLE: &str = "MISBEHAVE";

/// Longer than starting anything takes.
const PATIENCE: Duration = Duration::from_secs(90);

const SYNC: &[&str] = &["datastore", "sync"];
const SYNC_OF_ONE: &[&str] = &["datastore", "sync", "--model", "answer"];
const RUN: &[&str] = &["model", "method", "run", "greeting", "execute"];

/// Content of this size is in no index.
const LARGE: usize = 20_000;

/// A command while the extension breaks the contract in these ways; `""` for in none.
#[track_caller]
fn peat(checkout: &Checkout, misbehaviour: &str, arguments: &[&str]) -> Outcome {
    let mut command = checkout.command(arguments);
    let output = command.env(VARIABLE, misbehaviour).env("PEAT_BACKGROUND", "off").output().unwrap();
    Outcome::of(format!("{} ({VARIABLE}={misbehaviour})", arguments.join(" ")), output)
}

/// A repository on the misbehaving datastore, where two models have run while it behaved.
fn misbehaving(scratch: &Scratch) -> Checkout {
    let checkout = scratch.machine().repository("checkout");
    checkout.shell_model("greeting", &format!("echo hello; head -c {LARGE} /dev/zero | tr '\\0' g"));
    checkout.shell_model("answer", "echo 42");
    checkout.install("test-misbehaving-datastore", &["--grant", &format!("secrets:misbehave={VARIABLE}")]);
    let path = format!("path={}", scratch.shared_directory().display());
    peat(&checkout, "", &["datastore", "setup", MISBEHAVING, "--setting", &path]).ok();
    for model in ["greeting", "answer"] {
        peat(&checkout, "", &["model", "method", "run", model, "execute"]).ok();
    }
    checkout
}

/// Everything is on this machine and as it was written.
#[track_caller]
fn assert_whole(checkout: &Checkout) {
    let get =
        |model| peat(checkout, "", &["data", "get", model, "stdout", "--version", "1", "--output", "-"]).ok().stdout;
    assert_eq!(get("greeting"), format!("hello\n{}", "g".repeat(LARGE)));
    assert_eq!(get("answer"), "42\n");
    let status = peat(checkout, "", &["datastore", "status", "--json"]).ok().json();
    assert_eq!(status["datastore"]["hydration"]["missing"]["entries"], 0, "{status:#}");
    peat(checkout, "", &["datastore", "verify"]).ok();
}

fn uncommitted(checkout: &Checkout) -> usize {
    let status = peat(checkout, "", &["datastore", "status", "--json"]).ok().json();
    status["datastore"]["uncommitted"].as_array().unwrap().len()
}

fn versions(checkout: &Checkout) -> Vec<Value> {
    let versions = peat(checkout, "", &["data", "versions", "greeting", "stdout", "--json"]).ok().json();
    versions["versions"].as_array().unwrap().iter().map(|version| version["version"].clone()).collect()
}

#[test]
fn one_with_nothing_but_what_it_must_have_brings_everything_and_is_locked_as_a_whole() {
    let scratch = Scratch::new();
    let first = scratch.machine().repository("checkout");
    let (begun, enough) = (scratch.path().join("begun"), scratch.path().join("enough"));
    first.shell_model("greeting", &format!("echo hello; head -c {LARGE} /dev/zero | tr '\\0' g"));
    first.shell_model("answer", "echo 42");
    let wait = format!("touch {}; until [ -e {} ]; do sleep 0.05; done", begun.display(), enough.display());
    first.shell_model("slow", &wait);
    first.install("test-minimal-datastore", &[]);
    let path = format!("path={}", scratch.shared_directory().display());
    first.peat(&["datastore", "setup", "@test/minimal-datastore", "--setting", &path, "--hydration", "lazy"]).ok();
    for model in ["greeting", "answer"] {
        first.peat(&["model", "method", "run", model, "execute"]).ok();
    }

    // It cannot bring content later: a lazy clone has all of it at once, and leaves nothing to the background.
    let second = scratch.machine().clone_of(&first, "checkout");
    second.peat(SYNC).ok().shows(&["brought"]);
    assert_whole(&second);
    assert!(second.peat(SYNC).ok().stdout.contains("nothing to send or bring"));

    // Without leases one method at a time runs on a machine, whatever its model.
    let mut holder = first.command(&["model", "method", "run", "slow", "execute", "--timeout", "10m"]);
    let mut holder = holder.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while !begun.exists() {
        assert!(started.elapsed() < PATIENCE && holder.try_wait().unwrap().is_none(), "the holder did not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    let other = ["model", "method", "run", "answer", "execute", "--lock-timeout", "500ms"];
    first.peat(&other).ended_with(4).says(&["namespace", "model method run slow execute"]);
    second.peat(&other).ok();
    std::fs::write(&enough, "").unwrap();
    assert!(holder.wait().unwrap().success());
    first.peat(&other).ok();
    second.peat(SYNC).ok();
    let found = second.peat(&["data", "versions", "answer", "stdout", "--json"]).ok().json();
    assert_eq!(found["versions"].as_array().unwrap().len(), 3, "{found:#}");
}

#[test]
fn one_that_lies_about_what_it_can_do_is_used_as_far_as_it_can() {
    let scratch = Scratch::new();
    let first = misbehaving(&scratch);
    let second = scratch.machine().clone_of(&first, "checkout");
    let without = [MISBEHAVING, "its optional features are not used", "trapped in describe"];
    peat(&second, "trap-describe", SYNC).ok().says(&without);
    assert_whole(&second);
    peat(&second, "trap-describe", RUN).ok().says(&without);

    // Nor can it bring content by itself then: what a lazy clone lacks comes with everything.
    let lazy = scratch.machine().clone_of(&first, "checkout");
    lazy.write("peat.yaml", format!("{}hydrationStrategy: lazy\n", lazy.read("peat.yaml")));
    peat(&lazy, "", SYNC).ok();
    peat(&lazy, "", &["data", "list"]).ok().shows(&["not on this machine"]);
    peat(&lazy, "trap-describe", SYNC).ok().says(&without);
    assert_whole(&lazy);
    peat(&second, "trap-describe", &["datastore", "verify"]).ok().says(&without);

    let vain = [MISBEHAVING, "promises locks, maintenance, namespaces and does not export it"];
    peat(&first, "promise-everything", SYNC).ok().says(&vain);
    peat(&first, "promise-everything", RUN).ok().says(&vain);
    assert_eq!(versions(&first), [3, 2, 1]);

    // It exports hydration and does not say so: it is not used.
    let third = scratch.machine().clone_of(&first, "checkout");
    let synced = peat(&third, "hide-hydration trap-fetch", &["datastore", "sync", "--json"]).ok();
    assert!(!synced.stderr.contains("warning"), "{synced}");
    assert_whole(&third);

    // It has hydration, and that does not work: a run brings its partition whole.
    let fourth = scratch.machine().clone_of(&first, "checkout");
    let around = [MISBEHAVING, "trapped in fetch", "came with all of its index"];
    peat(&fourth, "trap-fetch", RUN).ok().says(&around);
    assert_eq!(versions(&fourth), [4, 3, 2, 1]);
}

#[test]
fn what_cannot_be_right_is_not_taken_over() {
    let scratch = Scratch::new();
    let first = misbehaving(&scratch);
    let second = scratch.machine().clone_of(&first, "checkout");
    let cases: &[(&str, &[&str], i32, &str)] = &[
        ("trap-pull", SYNC, 6, "trapped in pull"),
        ("spin-pull", &["datastore", "sync", "--timeout", "2s"], 6, "not done within 2 s"),
        ("spin-describe", &["datastore", "sync", "--timeout", "2s"], 6, "not done within 2 s"),
        ("foreign-partition", SYNC_OF_ONE, 6, "model--of--somebody-else was not asked for"),
        ("only-changed", SYNC_OF_ONE, 6, "changed instead of what has changed"),
        ("endless-pages", SYNC, 6, "comes again after its last page"),
        ("huge-version", SYNC, 6, "version: 18446744073709551615 is more than"),
        ("huge-size", SYNC, 6, "size: 18446744073709551615 is more than"),
        ("no-digest", SYNC, 6, "digest"),
        ("wrong-size", SYNC, 8, "bytes instead of"),
        ("wrong-bytes", SYNC, 8, "with digest"),
        ("trap-fetch", SYNC, 6, "trapped in fetch"),
        ("too-few", SYNC, 6, "0 for 1 wanted"),
        ("hide-hydration wrong-bytes", SYNC, 8, "with digest"),
        ("hide-hydration wrong-size", SYNC, 8, "bytes instead of"),
        ("hide-hydration no-content", SYNC, 6, "comes without"),
        ("trap-fetch wrong-bytes", RUN, 6, "trapped in fetch"),
        ("hide-hydration no-content", RUN, 6, "comes without"),
    ];
    for (misbehaviour, command, code, words) in cases {
        let refused = peat(&second, misbehaviour, command).ended_with(*code).says(&[words]);
        assert!(
            misbehaviour.starts_with("spin-") || refused.stderr.contains(MISBEHAVING),
            "nobody is named:\n{refused}"
        );
        // What came is right, and what did not come comes as soon as it is told rightly.
        peat(&second, "", SYNC).ok();
        assert_whole(&second);
        if *misbehaviour == "endless-pages" {
            peat(&second, "same-cursor", SYNC).ended_with(6).says(&[MISBEHAVING, "the same cursor twice"]);
            assert_whole(&second);
        }
        // The next case meets a machine that knows nothing.
        std::fs::remove_dir_all(second.machine().home().join("repositories")).unwrap();
    }
    assert_eq!(versions(&first), [1], "a run that was refused before it began has written something");
}

#[test]
fn a_commit_that_is_not_confirmed_rightly_stays_until_it_is() {
    let scratch = Scratch::new();
    let first = misbehaving(&scratch);
    let cases = [
        ("trap-push", "trapped in push"),
        ("trap-receipt", "trapped in push"),
        ("too-few", "pushed entries"),
        ("collected-beyond", "position 1000 of"),
        ("other-name", "confirmed"),
        ("other-digest", "confirmed"),
        ("no-version", "versions begin with 1"),
        ("old-version", "version 1 of model--command+shell--"),
    ];
    for (number, (misbehaviour, words)) in (2_u64..).zip(cases) {
        let refused = peat(&first, misbehaviour, RUN).ended_with(6);
        refused.says(&[MISBEHAVING, words, "kept on this machine as uncommitted"]);
        assert_eq!(uncommitted(&first), 1, "{misbehaviour}");
        // It goes on misbehaving: the commit goes on waiting, and is named.
        peat(&first, misbehaviour, SYNC).ended_with(6).says(&[MISBEHAVING, "its uncommitted results"]);
        assert_eq!(uncommitted(&first), 1, "{misbehaviour}");
        peat(&first, "", SYNC).ok();
        assert_eq!(uncommitted(&first), 0, "{misbehaviour}");
        let expected: Vec<Value> = (1..=number).rev().map(Value::from).collect();
        assert_eq!(versions(&first), expected, "{misbehaviour}: a commit is there once");
        assert_whole(&first);
    }
    let second = scratch.machine().clone_of(&first, "checkout");
    peat(&second, "", SYNC).ok();
    assert_whole(&second);
    assert_eq!(versions(&second), versions(&first));
}
