//! The way of a user through every command, as snapshots: exit code, stdout and stderr together, for people and as JSON.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use peat_end_to_end_tests::{Checkout, Place, Scratch, assert_outcome, component};

/// Runs a command twice: for a person and with `--json`, and compares both with their snapshots.
#[track_caller]
fn shown(scratch: &Scratch, checkout: &Checkout, name: &str, arguments: &[&str]) {
    let places = [Place { path: scratch.path(), word: "[SCRATCH]" }];
    assert_outcome(name, &checkout.peat(arguments).ok(), &places);
    only_json(scratch, checkout, name, arguments);
}

/// The same for commands that cannot be repeated.
#[track_caller]
fn only_json(scratch: &Scratch, checkout: &Checkout, name: &str, arguments: &[&str]) {
    let places = [Place { path: scratch.path(), word: "[SCRATCH]" }];
    let outcome = checkout.peat(&[arguments, &["--json"]].concat()).ok();
    outcome.json();
    assert_eq!(outcome.stderr, "", "{outcome}");
    assert_outcome(&format!("{name}_json"), &outcome, &places);
}

#[track_caller]
fn only_human(scratch: &Scratch, checkout: &Checkout, name: &str, arguments: &[&str]) {
    let places = [Place { path: scratch.path(), word: "[SCRATCH]" }];
    assert_outcome(name, &checkout.peat(arguments).ok(), &places);
}

#[test]
fn repositories_and_models() {
    let scratch = Scratch::new();
    let machine = scratch.machine();
    let directory = machine.directory("inventory");
    let places = [Place { path: scratch.path(), word: "[SCRATCH]" }];
    assert_outcome("repo_init", &machine.peat(&directory, &["repo", "init"]).ok(), &places);
    let other = machine.peat(&directory, &["repo", "init", "other", "--namespace", "team-a", "--json"]).ok();
    assert_outcome("repo_init_json", &other, &places);

    let repository = machine.repository("r");
    only_human(
        &scratch,
        &repository,
        "model_create",
        &["model", "create", "hello", "--type", "command/shell", "--argument", "run=echo hello"],
    );
    only_json(&scratch, &repository, "model_create", &["model", "create", "other", "--type", "command/shell"]);
    shown(&scratch, &repository, "model_list", &["model", "list"]);
    shown(&scratch, &repository, "model_get", &["model", "get", "hello"]);
    shown(&scratch, &repository, "model_validate", &["model", "validate"]);
    shown(&scratch, &repository, "model_type_search", &["model", "type", "search", "shell"]);
    shown(&scratch, &repository, "model_type_describe", &["model", "type", "describe", "command/shell"]);
    only_human(&scratch, &repository, "model_delete", &["model", "delete", "hello"]);
    only_json(&scratch, &repository, "model_delete", &["model", "delete", "other"]);
}

#[test]
fn runs_and_their_data() {
    let scratch = Scratch::new();
    let repository = scratch.machine().repository("r");
    repository.shell_model("hello", "echo hello; echo something to the log >&2");
    let run = ["model", "method", "run", "hello", "execute"];
    only_human(&scratch, &repository, "model_method_run", &run);
    only_json(&scratch, &repository, "model_method_run", &run);
    shown(&scratch, &repository, "data_list", &["data", "list"]);
    shown(&scratch, &repository, "data_get", &["data", "get", "hello", "stdout"]);
    let saved = repository.path().join("saved");
    let output = ["data", "get", "hello", "stdout", "--output", saved.to_str().unwrap()];
    shown(&scratch, &repository, "data_get_output", &output);
    assert_eq!(std::fs::read_to_string(saved).unwrap(), "hello\n");
    shown(&scratch, &repository, "data_versions", &["data", "versions", "hello", "stdout"]);
    shown(&scratch, &repository, "run_list", &["run", "list"]);
    let runs = repository.peat(&["run", "list", "--json"]).ok().json();
    let id = runs["runs"][0]["id"].as_str().unwrap();
    shown(&scratch, &repository, "run_show", &["run", "show", id]);
    shown(&scratch, &repository, "run_logs", &["run", "logs", id]);
}

#[test]
fn a_method_that_fails_keeps_what_it_wrote_and_ends_with_1() {
    let scratch = Scratch::new();
    let repository = scratch.machine().repository("r");
    repository.shell_model("broken", "echo half; echo why >&2; exit 7");
    let places = [Place { path: scratch.path(), word: "[SCRATCH]" }];
    let run = ["model", "method", "run", "broken", "execute"];
    assert_outcome("failed_run", &repository.peat(&run).ended_with(1), &places);
    let json = repository.peat(&[&run[..], &["--json"]].concat()).ended_with(1);
    assert_eq!(json.json()["error"]["kind"], "method-failed", "{json}");
    // Kept, and not "latest".
    repository.peat(&["data", "get", "broken", "stdout"]).ended_with(3);
    let kept = repository.peat(&["data", "get", "broken", "stdout", "--version", "1", "--output", "-"]).ok();
    assert_eq!(kept.stdout, "half\n");
    let runs = repository.peat(&["run", "list", "--json"]).ok().json();
    let id = runs["runs"][0]["id"].as_str().unwrap();
    assert!(repository.peat(&["run", "logs", id]).ok().stdout.contains("why"));
}

#[test]
fn extensions_and_their_models() {
    let scratch = Scratch::new();
    let repository = scratch.machine().repository("r");
    repository.write("source/poem.txt", "red and blue\nblue and green\nblue\n");
    repository.write("extensions/text.wasm", std::fs::read(component("example-text")).unwrap());
    let add = ["extension", "add", "extensions/text.wasm", "--grant", "files:source=source"];
    shown(&scratch, &repository, "extension_inspect_file", &["extension", "inspect", "extensions/text.wasm"]);
    shown(&scratch, &repository, "extension_add", &add);
    shown(&scratch, &repository, "extension_list", &["extension", "list"]);
    shown(&scratch, &repository, "extension_inspect", &["extension", "inspect", "@examples/text"]);
    shown(&scratch, &repository, "extension_type_describe", &["model", "type", "describe", "@examples/text"]);
    repository.peat(&["model", "create", "poem", "--type", "@examples/text"]).ok();
    let run = ["model", "method", "run", "poem", "profile", "--input", "path=poem.txt", "--input", "top=1"];
    shown(&scratch, &repository, "extension_run", &run);
    let profile = repository.peat(&["data", "get", "poem", "profile", "--output", "-"]).ok().json();
    assert_eq!(profile["lines"], 3, "{profile:#}");
    assert!(profile.to_string().contains("blue"), "{profile:#}");
    let used = repository.peat(&["extension", "remove", "@examples/text"]).ended_with(2);
    used.says(&["poem", "peat model delete"]);
    repository.peat(&["model", "delete", "poem"]).ok();
    only_human(&scratch, &repository, "extension_remove", &["extension", "remove", "@examples/text"]);
    repository.peat(&add).ok();
    only_json(&scratch, &repository, "extension_remove", &["extension", "remove", "@examples/text"]);
    assert!(!repository.read("peat.lock").contains("@examples/text"));
    assert!(!repository.read("peat.yaml").contains("@examples/text"));
}

#[test]
fn arguments_come_from_a_file_too() {
    let scratch = Scratch::new();
    let repository = scratch.machine().repository("r");
    repository.install("test-empty", &[]);
    repository.peat(&["model", "create", "m", "--type", "@test/empty"]).ok();
    repository.write("arguments.yaml", "colour: red\ncount: 3\n");
    repository.write("arguments.json", "{\"colour\": \"red\", \"count\": 3}");
    for file in ["arguments.yaml", "arguments.json"] {
        repository.peat(&["model", "method", "run", "m", "echo", "--input-file", file, "-i", "colour=blue"]).ok();
        let echo = repository.peat(&["data", "get", "m", "echo", "--output", "-"]).ok().json();
        assert_eq!(echo, serde_json::json!({ "colour": "blue", "count": 3 }), "{file}");
    }
}

#[test]
fn the_datastore() {
    let scratch = Scratch::new();
    let repository = scratch.machine().repository("r");
    repository.shell_model("hello", "echo hello");
    shown(&scratch, &repository, "datastore_status_local", &["datastore", "status"]);
    shown(&scratch, &repository, "datastore_verify_local", &["datastore", "verify"]);
    shown(&scratch, &repository, "datastore_sync_local", &["datastore", "sync"]);
    repository.install("peat-directory", &[]);
    let setting = format!("path={}", scratch.shared_directory().display());
    shown(&scratch, &repository, "datastore_setup", &["datastore", "setup", "@peat/directory", "--setting", &setting]);
    // Without data: the sizes of records of runs differ from run to run.
    shown(&scratch, &repository, "datastore_status", &["datastore", "status"]);
    shown(&scratch, &repository, "datastore_verify", &["datastore", "verify"]);
    shown(&scratch, &repository, "datastore_sync", &["datastore", "sync"]);
    shown(&scratch, &repository, "datastore_setup_local", &["datastore", "setup", "local"]);
}

#[test]
fn the_environment_chooses_repository_and_datastore() {
    let scratch = Scratch::new();
    let machine = scratch.machine();
    let repository = machine.repository("r");
    repository.shell_model("hello", "echo hello");
    let elsewhere = machine.directory("elsewhere");
    let mut by_variable = machine.command(&elsewhere);
    let output = by_variable.args(["model", "list", "--json"]).env("PEAT_REPO", repository.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let by_flag = machine.peat(&elsewhere, &["model", "list", "--repo", repository.path().to_str().unwrap()]).ok();
    assert!(by_flag.stdout.contains("hello"), "{by_flag}");
    machine.peat(&elsewhere, &["model", "list"]).ended_with(3).says(&["peat.yaml", "peat repo init"]);

    let wrong = repository.command(&["model", "list"]).env("PEAT_DATASTORE", "s3").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("PEAT_DATASTORE"));
}
