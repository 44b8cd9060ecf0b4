//! Listing reads the index and nothing else: no component is opened, however many there are.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::fs;
use std::process::Command;

use peat_end_to_end_tests::{Checkout, Scratch, runs};

/// The commands that list.
const LISTINGS: [&[&str]; 5] = [
    &["extension", "list"],
    &["extension", "inspect", "@examples/text"],
    &["model", "type", "search"],
    &["model", "type", "describe", "@examples/text"],
    &["model", "list"],
];

fn repository(scratch: &Scratch) -> Checkout {
    let repository = scratch.machine().repository("r");
    repository.write("source/a.txt", "a b c\n");
    repository.install("example-text", &["--grant", "files:source=source"]);
    repository.install("test-empty", &[]);
    repository.peat(&["model", "create", "text", "--type", "@examples/text"]).ok();
    repository
}

#[test]
fn listings_work_when_every_component_is_gone_and_running_says_what_is_missing() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let shown: Vec<String> = LISTINGS.iter().map(|listing| repository.peat(listing).ok().stdout).collect();
    let installed = repository.machine().home().join("extensions");
    let components: Vec<_> = fs::read_dir(&installed).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(components.iter().filter(|file| file.extension().is_some_and(|end| end == "wasm")).count() == 2);
    for component in components {
        fs::remove_file(component).unwrap();
    }
    fs::remove_dir_all(repository.path().join("extensions")).unwrap();
    for (listing, before) in LISTINGS.iter().zip(shown) {
        let after = repository.peat(listing).ok();
        assert!(after.stdout.lines().next() == before.lines().next(), "{after}\nbefore:\n{before}");
    }
    let run = ["model", "method", "run", "text", "profile", "--input", "path=a.txt"];
    repository.peat(&run).ended_with(3).says(&["@examples/text", "extension add"]);
}

#[test]
fn listings_open_no_component_and_no_compiled_code() {
    if !runs("strace", &["--version"]) {
        println!("the system calls are not looked at: strace is not there (the test above removes the files instead)");
        return;
    }
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    for listing in LISTINGS {
        let like = repository.command(listing);
        let mut traced = Command::new("strace");
        traced.args(["-f", "-e", "trace=open,openat", "-o"]).arg(scratch.path().join("trace"));
        traced.arg(like.get_program()).args(like.get_args()).current_dir(repository.path()).env_clear();
        traced.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        assert!(traced.output().unwrap().status.success(), "{listing:?}");
        let trace = fs::read_to_string(scratch.path().join("trace")).unwrap();
        assert!(trace.contains("peat.yaml"), "the trace shows nothing: {trace}");
        let opened: Vec<&str> = trace.lines().filter(|line| line.contains(".wasm\"") || line.contains(".cwasm")).collect();
        assert!(opened.is_empty(), "{listing:?} opened {opened:#?}");
    }
}

#[test]
fn a_fresh_checkout_installs_what_the_lock_file_names_from_the_repository_itself() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let clone = scratch.machine().clone_of(&repository, "r");
    clone.peat(&["model", "method", "run", "text", "profile", "--input", "path=a.txt"]).ok();
    // And refuses a file that is not what was locked.
    let other = scratch.machine().clone_of(&repository, "r");
    other.write("extensions/example-text.wasm", fs::read(other.path().join("extensions/test-empty.wasm")).unwrap());
    let outcome = other.peat(&["model", "method", "run", "text", "profile", "--input", "path=a.txt"]);
    assert!(outcome.code != Some(0), "{outcome}");
    outcome.says(&["@examples/text"]);
}
