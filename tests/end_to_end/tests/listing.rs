//! Listing reads the index and nothing else: no component is opened, however many there are.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::fs;
use std::path::PathBuf;
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
fn listings_read_no_component_and_running_notices_a_wrong_one() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let shown: Vec<String> = LISTINGS.iter().map(|listing| repository.peat(listing).ok().stdout).collect();
    // The length stays, so that only reading can notice.
    let components = components(&repository);
    assert_eq!(components.len(), 2);
    for component in &components {
        let zeros = vec![0; fs::read(component).unwrap().len()];
        fs::remove_file(component).unwrap();
        fs::write(component, zeros).unwrap();
    }
    fs::remove_dir_all(repository.path().join("extensions")).unwrap();
    for (listing, before) in LISTINGS.iter().zip(shown) {
        assert_eq!(repository.peat(listing).ok().stdout, before, "{listing:?}");
    }
    let cache = repository.machine().directory("cache");
    fs::remove_dir_all(cache).unwrap();
    let run = ["model", "method", "run", "text", "profile", "--input", "path=a.txt"];
    let outcome = repository.peat(&run).says(&["@examples/text"]);
    assert!(matches!(outcome.code, Some(2 | 3 | 8)), "{outcome}");
}

#[test]
fn listings_name_an_extension_whose_component_is_gone() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    for component in components(&repository) {
        fs::remove_file(component).unwrap();
    }
    fs::remove_dir_all(repository.path().join("extensions")).unwrap();
    assert!(repository.peat(&["extension", "list"]).ok().stdout.contains("@examples/text"));
    repository.peat(&["model", "list"]).ok();
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
        let opened: Vec<&str> =
            trace.lines().filter(|line| line.contains(".wasm\"") || line.contains(".cwasm")).collect();
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

/// The installed components of the checkout's machine.
fn components(checkout: &Checkout) -> Vec<PathBuf> {
    fs::read_dir(checkout.machine().home().join("extensions"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|file| file.extension().is_some_and(|ending| ending == "wasm"))
        .collect()
}
