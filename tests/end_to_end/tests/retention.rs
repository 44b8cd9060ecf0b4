//! Retention and collection with the real binary: what is over goes, what is not stays, and room really comes free.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

mod place;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use peat_end_to_end_tests::{Checkout, Scratch, TestBucket, peat_binary};
use place::Place;
use serde_json::Value;

/// Large enough to be an object of its own in every datastore.
const LARGE: usize = 2_000_000;

/// The output of a shell model is over a moment after it was written; what else a run writes is not.
const OVER_SOON: &str = "{data: {stdout: {lifetime: 1ms}}}";

/// A script whose output has so many bytes.
fn large() -> String {
    format!("head -c {LARGE} /dev/zero | tr '\\0' x")
}

/// Adds `retention` to the definition of a model.
fn retain(checkout: &Checkout, model: &str, retention: &str) {
    let path = format!("models/{model}.yaml");
    checkout.write(&path, format!("{}retention: {retention}\n", checkout.read(&path)));
}

fn run(checkout: &Checkout, model: &str) {
    checkout.peat(&["model", "method", "run", model, "execute"]).ok();
}

fn collect(checkout: &Checkout, arguments: &[&str]) -> Value {
    let words: Vec<&str> = ["data", "gc", "--json"].iter().chain(arguments).copied().collect();
    checkout.peat(&words).ok().json()["collection"].take()
}

/// Waits until so many versions are over by the store's clock, which may count in seconds.
#[track_caller]
fn are_over(checkout: &Checkout, versions: u64) -> Value {
    for _ in 0..100 {
        let dry = collect(checkout, &["--dry-run"]);
        if dry["expired"] == versions {
            return dry;
        }
        thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{versions} versions are never over: {:#}", collect(checkout, &["--dry-run"]));
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { pending.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

fn what_is_over_goes(place: &Place) {
    let scratch = Scratch::new();
    let machine = || place.machine(&scratch);
    let first = machine().repository("checkout");
    first.shell_model("report", &large());
    first.shell_model("kept", &large());
    retain(&first, "report", OVER_SOON);
    place.share(&first);
    let second = machine().clone_of(&first, "checkout");
    run(&first, "report");
    run(&first, "kept");
    second.peat(&["datastore", "sync"]).ok();
    let large_objects = || place.keys("/_objects/").len();
    assert_eq!(large_objects(), 2);

    let before = place.keys("");
    let dry = are_over(&first, 1);
    assert_eq!(dry["partitions"][0]["model"], "report", "{dry:#}");
    assert_eq!(place.keys(""), before, "a dry run changed something");

    let expired = collect(&first, &[]);
    assert_eq!((&expired["expired"], &expired["expiredBytes"]), (&1.into(), &LARGE.into()), "{expired:#}");
    first.peat(&["data", "get", "report", "stdout"]).ended_with(3);
    assert_eq!(large_objects(), 2, "somebody who has read the index before may still ask for it");
    let deleted = collect(&first, &["--grace", "0s"]);
    assert_eq!((&deleted["objectsDeleted"], &deleted["bytesFreed"]), (&1.into(), &LARGE.into()), "{deleted:#}");
    assert_eq!(large_objects(), 1);
    let nothing = collect(&first, &["--grace", "0s"]);
    assert_eq!(nothing["partitions"], serde_json::json!([]), "{nothing:#}");

    second.peat(&["datastore", "sync"]).ok();
    second.peat(&["data", "get", "report", "stdout"]).ended_with(3);
    let third = machine().clone_of(&first, "checkout");
    let kept = third.peat(&["data", "get", "kept", "stdout", "--output", "-"]).ok();
    assert_eq!(kept.bytes.len(), LARGE);
    run(&second, "report");
    let versions = second.peat(&["data", "versions", "report", "stdout", "--json"]).ok().json();
    assert_eq!(versions["versions"][0]["version"], 2, "numbers go on: {versions:#}");
}

#[test]
fn what_is_over_leaves_a_directory() {
    let scratch = Scratch::new();
    what_is_over_goes(&Place::directory(&scratch));
}

#[test]
fn what_is_over_leaves_a_bucket() {
    what_is_over_goes(&Place::bucket());
}

#[test]
fn a_bucket_that_keeps_versions_is_said_to_have_freed_nothing() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
    let checkout = bucket.machine(&scratch).repository("checkout");
    checkout.shell_model("report", &large());
    retain(&checkout, "report", OVER_SOON);
    bucket.server().habits(|habits| habits.keeps_versions = true);
    bucket.share(&checkout, &[]);
    run(&checkout, "report");
    are_over(&checkout, 1);
    collect(&checkout, &[]);
    let deleted = collect(&checkout, &["--grace", "0s"]);
    assert_eq!(deleted["keepsVersions"], true, "{deleted:#}");
    assert_eq!((&deleted["bytesDeleted"], &deleted["bytesFreed"]), (&LARGE.into(), &0.into()), "{deleted:#}");
}

fn writers_and_readers_on_two_machines_are_unharmed(place: &Place) {
    let scratch = Scratch::new();
    let first = place.machine(&scratch).repository("checkout");
    for model in ["one", "two"] {
        first.shell_model(model, "head -c 9000 /dev/urandom | od");
        retain(&first, model, "{data: {stdout: {versions: 3}}}");
    }
    first.shell_model("note", &large());
    retain(&first, "note", OVER_SOON);
    place.share(&first);
    let second = place.machine(&scratch).clone_of(&first, "checkout");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers =
            [(&first, "one"), (&second, "two"), (&second, "one"), (&first, "note")].map(|(checkout, model)| {
                scope.spawn(move || {
                    for _ in 0..4 {
                        run(checkout, model);
                        checkout.peat(&["data", "get", "one", "stdout"]);
                    }
                })
            });
        let collectors = [(&first, vec!["data", "gc"]), (&second, vec!["datastore", "compact"])];
        let collectors = collectors.map(|(checkout, mut words)| {
            let over = &over;
            words.extend(["--grace", "0s", "--lock-timeout", "5s"]);
            scope.spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    checkout.peat(&words).ok();
                }
            })
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        over.store(true, Ordering::SeqCst);
        collectors.into_iter().for_each(|collector| collector.join().unwrap());
    });
    // The store's clock may count in seconds: by then the last note is over for it, too.
    thread::sleep(std::time::Duration::from_millis(2_100));
    for _ in 0..2 {
        first.peat(&["datastore", "compact", "--grace", "0s"]).ok();
    }
    let third = place.machine(&scratch).clone_of(&first, "checkout");
    third.peat(&["datastore", "sync"]).ok();
    for (model, newest) in [("one", 8), ("two", 4)] {
        let versions = third.peat(&["data", "versions", model, "stdout", "--json"]).ok().json();
        let versions = versions["versions"].as_array().unwrap();
        let numbers: Vec<u64> = versions.iter().map(|version| version["version"].as_u64().unwrap()).collect();
        assert_eq!(numbers, [newest, newest - 1, newest - 2], "{model}");
        for number in numbers {
            third.peat(&["data", "get", model, "stdout", "--version", &number.to_string(), "--output", "-"]).ok();
        }
    }
    third.peat(&["data", "get", "note", "stdout"]).ended_with(3);
    assert_eq!(place.keys("/_objects/"), Vec::<String>::new(), "every note was over");
}

#[test]
fn writers_and_readers_of_a_directory_are_unharmed_by_collectors() {
    let scratch = Scratch::new();
    writers_and_readers_on_two_machines_are_unharmed(&Place::directory(&scratch));
}

#[test]
fn writers_and_readers_of_a_bucket_are_unharmed_by_collectors() {
    writers_and_readers_on_two_machines_are_unharmed(&Place::bucket());
}

#[test]
fn a_held_partition_is_left_alone_and_said() {
    let scratch = Scratch::new();
    let first = scratch.machine().repository("checkout");
    for model in ["report", "other"] {
        first.shell_model(model, "echo a line that is inlined");
        retain(&first, model, OVER_SOON);
    }
    first.share(&scratch);
    run(&first, "report");
    run(&first, "other");
    are_over(&first, 2);
    let peat = peat_binary().display().to_string();
    let inner = [peat.as_str(), "data", "gc", "--json", "--lock-timeout", "0s"];
    let words = ["datastore", "lock", "run", "--model", "report", "--"];
    let words: Vec<&str> = words.iter().chain(&inner).copied().collect();
    let collected = first.peat(&words).ok().json()["collection"].take();
    assert_eq!(collected["expired"], 1, "{collected:#}");
    let held = collected["partitions"].as_array().unwrap().iter().find(|one| one["model"] == "report").unwrap();
    assert!(held["left"].as_str().unwrap().contains("held"), "{held:#}");
    assert_eq!(collect(&first, &[])["expired"], 1, "it was left for later");
}

fn a_killed_collector_leaves_nothing_that_the_next_one_does_not_finish(place: &Place) {
    let scratch = Scratch::new();
    let first = place.machine(&scratch).repository("checkout");
    let names: Vec<String> = (0..12).map(|number| format!("report-{number}")).collect();
    for name in &names {
        first.shell_model(name, &large());
        retain(&first, name, OVER_SOON);
    }
    place.share(&first);
    thread::scope(|scope| {
        for names in names.chunks(4) {
            let first = &first;
            scope.spawn(move || names.iter().for_each(|name| run(first, name)));
        }
    });
    are_over(&first, names.len() as u64);
    for pause_ms in [20, 60, 120, 200] {
        let mut collector = first.command(&["data", "gc", "--grace", "0s"]).spawn().unwrap();
        thread::sleep(std::time::Duration::from_millis(pause_ms));
        let _ = collector.kill();
        collector.wait().unwrap();
    }
    for _ in 0..2 {
        let ended = collect(&first, &["--grace", "0s"]);
        let left: Vec<_> =
            ended["partitions"].as_array().unwrap().iter().filter(|one| !one["left"].is_null()).collect();
        assert!(left.is_empty(), "a dead collector holds nothing: {left:#?}");
    }
    assert_eq!(place.keys("/_objects/"), Vec::<String>::new());
}

#[test]
fn what_a_killed_collector_of_a_directory_leaves_the_next_one_finishes() {
    let scratch = Scratch::new();
    a_killed_collector_leaves_nothing_that_the_next_one_does_not_finish(&Place::directory(&scratch));
}

#[test]
fn what_a_killed_collector_of_a_bucket_leaves_the_next_one_finishes() {
    a_killed_collector_leaves_nothing_that_the_next_one_does_not_finish(&Place::bucket());
}

#[test]
fn the_local_datastore_forgets_rows_and_files() {
    let scratch = Scratch::new();
    let first = scratch.machine().repository("checkout");
    first.write("peat.yaml", format!("{}retention: {{lifetime: 1ms, versions: 2}}\n", first.read("peat.yaml")));
    let others = "{data: {stdout: {lifetime: 1ms}, result: {lifetime: infinite}}}";
    first.shell_model("report", &large());
    first.shell_model("kept", &large());
    retain(&first, "report", others);
    retain(&first, "kept", "{lifetime: infinite}");
    for _ in 0..3 {
        run(&first, "kept");
    }
    run(&first, "report");
    let versions = first.peat(&["data", "versions", "kept", "stdout", "--json"]).ok().json();
    assert_eq!(versions["versions"].as_array().map(Vec::len), Some(2), "the cap of the repository: {versions:#}");
    let dry = collect(&first, &["--dry-run"]);
    assert_eq!(dry["expired"], 1, "{dry:#}");
    first.peat(&["data", "get", "report", "stdout"]).ok();
    let collected = collect(&first, &["--model", "report"]);
    assert_eq!(collected["expired"], 1, "{collected:#}");
    first.peat(&["data", "get", "report", "stdout"]).ended_with(3);
    first.peat(&["data", "get", "kept", "stdout"]).ok();
    first.peat(&["datastore", "compact"]).ok();
    assert_eq!(collect(&first, &["--dry-run"])["expired"], 0);
}

#[test]
fn ephemeral_data_is_never_committed_and_run_records_have_a_bound() {
    let scratch = Scratch::new();
    let first = scratch.machine().repository("checkout");
    first.shell_model("scratch", "echo gone with its run");
    retain(&first, "scratch", "{data: {stdout: {lifetime: run}}}");
    let yaml = first.read("peat.yaml");
    first.write("peat.yaml", format!("{yaml}retention: {{runs: 1ms}}\n"));
    run(&first, "scratch");
    first.peat(&["data", "get", "scratch", "stdout"]).ended_with(3);
    let runs = || first.peat(&["run", "list", "--json"]).ok().json()["runs"].as_array().map(Vec::len);
    assert_eq!(runs(), Some(1));
    collect(&first, &[]);
    assert_eq!(runs(), Some(0));
    first.write("peat.yaml", format!("{yaml}retention: {{runs: run}}\n"));
    first.peat(&["run", "list"]).ended_with(2).says(&["retention.runs"]);
}

fn data_of_models_that_are_gone_is_pruned(first: &Checkout) {
    first.shell_model("gone", &large());
    first.shell_model("kept", &large());
    run(first, "gone");
    run(first, "gone");
    run(first, "kept");
    let nothing = first.peat(&["data", "prune", "--json"]).ok().json();
    assert_eq!(nothing["pruned"], serde_json::json!([]));
    first.peat(&["model", "delete", "gone"]).ok();
    first.peat(&["data", "prune"]).ended_with(2).says(&["--dry-run", "--yes"]);
    let dry = first.peat(&["data", "prune", "--dry-run", "--json"]).ok().json();
    assert!(dry["pruned"][0]["bytes"].as_u64().unwrap() > 2 * LARGE as u64, "{dry:#}");
    let pruned = first.peat(&["data", "prune", "--yes", "--json"]).ok().json();
    assert_eq!(pruned["pruned"].as_array().map(Vec::len), Some(1), "{pruned:#}");
    let again = first.peat(&["data", "prune", "--json"]).ok().json();
    assert_eq!(again["pruned"], serde_json::json!([]));
    first.peat(&["data", "get", "kept", "stdout"]).ok();
}

fn data_of_models_that_are_gone_is_pruned_from(place: &Place) {
    let scratch = Scratch::new();
    let first = place.machine(&scratch).repository("checkout");
    place.share(&first);
    data_of_models_that_are_gone_is_pruned(&first);
    collect(&first, &["--grace", "0s"]);
    assert_eq!(place.keys("/_objects/").len(), 1);
}

#[test]
fn data_of_models_that_are_gone_is_pruned_from_a_directory() {
    let scratch = Scratch::new();
    data_of_models_that_are_gone_is_pruned_from(&Place::directory(&scratch));
}

#[test]
fn data_of_models_that_are_gone_is_pruned_from_a_bucket() {
    data_of_models_that_are_gone_is_pruned_from(&Place::bucket());
}

#[test]
fn data_of_models_that_are_gone_is_pruned_from_the_local_datastore() {
    let scratch = Scratch::new();
    let machine = scratch.machine();
    data_of_models_that_are_gone_is_pruned(&machine.repository("checkout"));
    let contents = files(&machine.home()).into_iter().filter(|path| path.to_string_lossy().contains("/content/"));
    assert_eq!(contents.count(), 1, "the file of what was kept");
}
