//! A lazy clone: it hears of everything, brings what is used, and a process in the background brings the rest.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::time::{Duration, Instant};

use peat_end_to_end_tests::{Checkout, Outcome, Scratch};
use serde_json::Value;

/// Content of this size is in no index.
const LARGE: usize = 20_000;

/// How long the background may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Runs a command that leaves nothing behind in the background.
#[track_caller]
fn alone(checkout: &Checkout, arguments: &[&str]) -> Outcome {
    let output = checkout.command(arguments).env("PEAT_BACKGROUND", "off").output().unwrap();
    Outcome::of(arguments.join(" "), output)
}

/// Two machines on one lazy repository: the first has run three models, the second has just cloned it.
fn lazy_clone(scratch: &Scratch) -> (Checkout, Checkout) {
    let first = scratch.machine().repository("checkout");
    for model in ["one", "two", "six"] {
        first.shell_model(model, &format!("head -c {LARGE} /dev/zero | tr '\\0' {}", &model[..1]));
    }
    first.install("peat-directory", &[]);
    let path = format!("path={}", scratch.shared_directory().display());
    first.peat(&["datastore", "setup", "@peat/directory", "--setting", &path, "--hydration", "lazy"]).ok();
    assert!(first.read("peat.yaml").contains("hydrationStrategy: lazy"), "{}", first.read("peat.yaml"));
    for model in ["one", "two", "six"] {
        first.peat(&["model", "method", "run", model, "execute"]).ok();
    }
    let second = scratch.machine().clone_of(&first, "checkout");
    (first, second)
}

fn hydration(checkout: &Checkout) -> Value {
    alone(checkout, &["datastore", "status", "--json"]).ok().json()["datastore"]["hydration"].clone()
}

/// Data name and state, of what `peat data list` shows of a model.
fn states(listed: &Value, model: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let data = listed["data"].as_array().unwrap().iter().filter(|data| data["model"] == model);
    data.map(|data| (text(&data["name"]), text(&data["state"]))).collect()
}

#[test]
fn a_lazy_clone_hears_of_everything_and_brings_what_is_used() {
    let scratch = Scratch::new();
    let (_first, second) = lazy_clone(&scratch);
    let synced = alone(&second, &["datastore", "sync", "--json"]).ok().json();
    assert_eq!((&synced["sync"]["entries"], &synced["sync"]["unreadPartitions"]), (&0.into(), &3.into()), "{synced:#}");

    let versions = alone(&second, &["data", "versions", "one", "stdout", "--json"]).ok().json();
    assert_eq!(versions["versions"][0]["state"], "remote");
    assert_eq!(hydration(&second)["unreadPartitions"].as_array().unwrap().len(), 2);
    let listed = alone(&second, &["data", "list", "--json"]).ok().json();
    for model in ["one", "two", "six"] {
        assert!(states(&listed, model).contains(&("stdout".to_owned(), "remote".to_owned())), "{listed:#}");
    }
    assert_eq!(listed["unreadPartitions"].as_array().unwrap().len(), 0);
    assert_eq!(alone(&second, &["run", "list", "--json"]).ok().json()["runs"].as_array().unwrap().len(), 3);

    let content = alone(&second, &["data", "get", "two", "stdout", "--output", "-"]).ok().stdout;
    assert_eq!(content, "t".repeat(LARGE));
    let listed = alone(&second, &["data", "list", "--json"]).ok().json();
    assert!(states(&listed, "two").contains(&("stdout".to_owned(), "here".to_owned())), "{listed:#}");
    assert!(states(&listed, "one").contains(&("stdout".to_owned(), "remote".to_owned())), "{listed:#}");
    alone(&second, &["data", "list"]).ok().shows(&["not on this machine"]);

    alone(&second, &["datastore", "hydrate", "one"]).ok();
    assert!(hydration(&second)["missing"]["bytes"].as_u64().unwrap() >= LARGE as u64, "only one model was asked for");
    alone(&second, &["datastore", "hydrate"]).ok();
    assert_eq!(hydration(&second)["missing"]["entries"], 0);
    assert!(alone(&second, &["datastore", "sync"]).ok().stdout.contains("nothing to send or bring"));
}

#[test]
fn a_run_after_a_lazy_clone_brings_its_own_model_only() {
    let scratch = Scratch::new();
    let (_first, second) = lazy_clone(&scratch);
    alone(&second, &["datastore", "sync"]).ok();
    alone(&second, &["model", "method", "run", "one", "execute"]).ok();
    let versions = alone(&second, &["data", "versions", "one", "stdout", "--json"]).ok().json();
    let states: Vec<&Value> =
        versions["versions"].as_array().unwrap().iter().map(|version| &version["state"]).collect();
    assert_eq!(states, ["here", "here"]);
    assert_eq!(hydration(&second)["unreadPartitions"].as_array().unwrap().len(), 2);
}

#[test]
fn a_method_reads_an_older_version_of_another_model_that_is_not_here() {
    let scratch = Scratch::new();
    let (first, second) = lazy_clone(&scratch);
    let count = scratch.path().join("count").display().to_string();
    // Each version is a line longer than the one before.
    first.shell_model("growing", &format!("echo line >> {count}; cat {count}; head -c {LARGE} /dev/zero | tr '\\0' g"));
    second.write("models/growing.yaml", first.read("models/growing.yaml"));
    for _ in 0..3 {
        first.peat(&["model", "method", "run", "growing", "execute"]).ok();
    }
    second.install("test-misbehaving", &["--grant", "files:folder=.", "--grant", "secrets:token=PATH"]);
    second.peat(&["model", "create", "reader", "--type", "@test/misbehaving", "--reads", "growing"]).ok();
    let read = |version: &str| {
        let run =
            ["model", "method", "run", "reader", "read-foreign", "--input", "name=growing", "--input", "data=stdout"];
        alone(&second, &[&run[..], &["--input", version]].concat())
    };
    let states = || {
        let versions = alone(&second, &["data", "versions", "growing", "stdout", "--json"]).ok().json();
        versions["versions"].as_array().unwrap().iter().map(|version| version["state"].clone()).collect::<Vec<_>>()
    };
    read("version=3").ok().shows(&[&format!("read version 3 of {} bytes", LARGE + 15)]);
    assert_eq!(states(), ["here", "remote", "remote"]);
    read("version=1").ok().shows(&[&format!("read version 1 of {} bytes", LARGE + 5)]);
    assert_eq!(states(), ["here", "remote", "here"]);
    read("version=4").ended_with(1).says(&["no data stdout version 4"]);
}

#[test]
fn what_is_not_known_here_is_said_when_the_datastore_is_away() {
    let scratch = Scratch::new();
    let (_first, second) = lazy_clone(&scratch);
    alone(&second, &["datastore", "sync"]).ok();
    alone(&second, &["data", "versions", "one", "stdout"]).ok();
    std::fs::rename(scratch.shared_directory(), scratch.path().join("away")).unwrap();
    let listed = alone(&second, &["data", "list", "--json"]).ok();
    let document = listed.json();
    assert_eq!(document["unreadPartitions"].as_array().unwrap().len(), 2, "{document:#}");
    assert_eq!(states(&document, "one").len(), 2, "what is known is listed: {document:#}");
    listed.says(&["warning", "not everything is shown"]);
    // Nothing at all is known of this one.
    alone(&second, &["data", "list", "two"]).ended_with(6).says(&["shared", "is gone"]);
}

#[test]
fn the_rest_comes_in_the_background_and_nobody_waits_for_it() {
    let scratch = Scratch::new();
    let (_first, second) = lazy_clone(&scratch);
    // Its output ends with it: what it leaves behind has none of its descriptors.
    second.peat(&["datastore", "sync"]).ok();
    let started = Instant::now();
    loop {
        let found = hydration(&second);
        let is_whole = found["missing"]["entries"] == 0 && found["unreadPartitions"].as_array().unwrap().is_empty();
        if is_whole && found["background"]["state"] == "idle" {
            assert!(found["background"]["endedAt"].is_string(), "{found:#}");
            break;
        }
        assert!(started.elapsed() < PATIENCE, "still not here: {found:#}");
        std::thread::sleep(Duration::from_millis(200));
    }
    std::fs::rename(scratch.shared_directory(), scratch.path().join("away")).unwrap();
    assert_eq!(alone(&second, &["data", "get", "two", "stdout", "--output", "-"]).ok().stdout, "t".repeat(LARGE));
}

#[test]
fn stopped_hydration_begins_again_only_when_it_is_asked_for() {
    let scratch = Scratch::new();
    let (_first, second) = lazy_clone(&scratch);
    let stopped = alone(&second, &["datastore", "hydrate", "--stop", "--json"]).ok().json();
    assert_eq!(stopped["hydration"]["stopped"], true);
    second.peat(&["datastore", "sync"]).ok();
    second.peat(&["data", "list"]).ok();
    let found = hydration(&second);
    assert_eq!((&found["background"]["state"], &found["background"]["endedAt"]), (&"stopped".into(), &Value::Null));
    assert!(found["missing"]["entries"].as_u64().unwrap() >= 3, "{found:#}");
    alone(&second, &["datastore", "hydrate"]).ok();
    let found = hydration(&second);
    assert_eq!((&found["background"]["state"], &found["missing"]["entries"]), (&"idle".into(), &0.into()));
}
