//! What a person meets first: help, version, completions.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use peat_end_to_end_tests::{Outcome, Scratch, assert_outcome};

/// Every command that does something, and every group of commands.
const COMMANDS: &[&str] = &[
    "repo init",
    "model type search",
    "model type describe",
    "model create",
    "model list",
    "model get",
    "model validate",
    "model delete",
    "model method run",
    "data list",
    "data get",
    "data versions",
    "data gc",
    "data prune",
    "run list",
    "run show",
    "run logs",
    "datastore setup",
    "datastore status",
    "datastore verify",
    "datastore sync",
    "datastore compact",
    "datastore check",
    "datastore repair",
    "datastore lock status",
    "datastore lock history",
    "datastore lock release",
    "datastore lock run",
    "audit list",
    "stats",
    "extension add",
    "extension list",
    "extension inspect",
    "extension remove",
    "cache status",
    "cache verify",
    "cache clear",
    "cache compile",
    "completions",
    "version",
];

fn peat(arguments: &[&str]) -> Outcome {
    let scratch = Scratch::new();
    let machine = scratch.machine();
    machine.peat(scratch.path(), arguments)
}

#[test]
fn the_help_of_every_command_holds_an_example_of_that_command() {
    for command in COMMANDS {
        let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = peat(&arguments).ok();
        let example = help.stdout.split("Example:").nth(1).unwrap_or_else(|| panic!("no example in:\n{help}"));
        assert!(example.contains(&format!("peat {command}")), "the example is of another command:\n{help}");
    }
}

#[test]
fn help_of_the_binary_lists_commands_environment_and_exit_codes() {
    let help = peat(&["--help"]).ok();
    for word in ["PEAT_REPO", "PEAT_HOME", "PEAT_DATASTORE", "PEAT_LOCK_TIMEOUT", "Exit codes:", "130 interrupted"] {
        assert!(help.stdout.contains(word), "{word} is missing:\n{help}");
    }
    assert_outcome("help", &help, &[]);
}

#[test]
fn the_version_is_that_of_the_workspace() {
    let version = peat(&["version"]).ok();
    assert!(version.stdout.contains(env!("CARGO_PKG_VERSION")), "{version}");
    assert_eq!(peat(&["version", "--json"]).ok().json()["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn completions_exist_for_every_usual_shell() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(peat(&["completions", shell]).ok().stdout.contains("peat"), "{shell}");
    }
    peat(&["completions", "cobol"]).ended_with(2).says(&["cobol"]);
}

#[test]
fn a_mistyped_command_is_invalid_input_and_json_says_so_too() {
    peat(&["modle"]).ended_with(2).says(&["modle", "model"]);
    let outcome = peat(&["modle", "--json"]).ended_with(2);
    assert_eq!(outcome.json()["error"]["kind"], "invalid-input", "{outcome}");
}

#[test]
fn colour_is_for_terminals() {
    let help = peat(&["--help"]).ok();
    assert!(!help.stdout.contains('\u{1b}'), "{help}");
    let scratch = Scratch::new();
    let repository = scratch.machine().repository("r");
    repository.shell_model("hello", "echo hello");
    let outcome = repository.peat(&["model", "list"]).ok();
    assert!(!outcome.stdout.contains('\u{1b}') && !outcome.stderr.contains('\u{1b}'), "{outcome}");
    let outcome = repository.peat(&["model", "list", "--color", "always"]).ok();
    assert!(outcome.stdout.contains('\u{1b}'), "{outcome}");
}
