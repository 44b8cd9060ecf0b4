//! `peat datastore check` and `peat datastore repair` with the real binary: what is damaged is named, who has it makes it whole
//! again, and who has not says what is lost, after which everything else works.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

mod place;

use std::fs;

use peat_end_to_end_tests::{Checkout, Scratch};
use place::Place;
use serde_json::Value;

/// Large enough to be an object of its own, and to share a pack.
const LARGE: &str = "head -c 1500000 /dev/urandom | od -An -tx1";
const PACKED: &str = "head -c 9000 /dev/urandom | od -An -tx1";

/// Changes the last byte of an object, which is content in every store.
fn flip(place: &Place, key: &str) {
    place.damage(key, |bytes| {
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
    });
}

fn run(checkout: &Checkout, model: &str) {
    checkout.peat(&["model", "method", "run", model, "execute"]).ok();
}

fn content(checkout: &Checkout, model: &str) -> Vec<u8> {
    checkout.peat(&["data", "get", model, "stdout", "--version", "1", "--output", "-"]).ok().bytes
}

/// The parts that a check finds damaged.
fn damaged(checkout: &Checkout, more: &[&str]) -> Vec<String> {
    let words: Vec<&str> = ["datastore", "check", "--json"].iter().chain(more).copied().collect();
    let outcome = checkout.peat(&words);
    let found = outcome.json()["check"]["damage"].as_array().unwrap().clone();
    let outcome = outcome.ended_with(if found.is_empty() { 0 } else { 8 });
    assert_eq!(outcome.json()["check"]["here"], serde_json::json!([]), "{outcome}");
    let mut parts: Vec<String> = found.iter().map(|damage| damage["part"].as_str().unwrap().to_owned()).collect();
    parts.sort();
    parts
}

fn repair(checkout: &Checkout, more: &[&str]) -> Value {
    let words: Vec<&str> = ["datastore", "repair", "--read-data", "--json"].iter().chain(more).copied().collect();
    checkout.peat(&words).ok().json()["repaired"].take()
}

fn who_has_it_makes_it_whole(place: &Place, scratch: &Scratch) {
    let first = place.machine(scratch).repository("checkout");
    let models = ["large", "packed", "line"];
    for (model, script) in models.iter().zip([LARGE, PACKED, "echo a line"]) {
        first.shell_model(model, script);
    }
    place.share(&first);
    let second = place.machine(scratch).clone_of(&first, "checkout");
    for model in models {
        run(&first, model);
    }
    second.peat(&["datastore", "sync"]).ok();
    let before: Vec<Vec<u8>> = models.iter().map(|model| content(&first, model)).collect();
    assert_eq!(damaged(&first, &["--read-data"]), Vec::<String>::new());

    flip(place, &place.keys("/_objects/")[0]);
    flip(place, &place.keys("/_packs/")[0]);
    assert_eq!(damaged(&first, &[]), Vec::<String>::new(), "only who reads it can know");
    assert_eq!(damaged(&first, &["--read-data"]), ["content", "content"]);
    assert_eq!(damaged(&first, &["--read-data", "--model", "line"]), Vec::<String>::new());
    let told = first.peat(&["datastore", "check", "--read-data"]).ended_with(8);
    // What only reading has found is not found by a repair that does not read.
    told.shows(&["large: content", "stdout version 1", "peat datastore repair --read-data"]);
    // Whoever has it already goes on.
    for (model, before) in models.iter().zip(&before) {
        assert_eq!(&content(&second, model), before);
    }
    let dry = repair(&first, &["--dry-run"]);
    assert_eq!(dry.as_array().map(Vec::len), Some(2), "{dry:#}");
    assert_eq!(damaged(&first, &["--read-data"]).len(), 2, "a dry run changed something");
    let repaired = repair(&first, &[]);
    assert!(repaired.as_array().unwrap().iter().all(|part| part["lost"] == serde_json::json!([])), "{repaired:#}");
    assert_eq!(damaged(&first, &["--read-data"]), Vec::<String>::new());

    // A damaged head stops its model alone, and what others may have committed since is said to be lost.
    let head = place.keys("/_index/model--").remove(0);
    place.damage(&head, |bytes| bytes.truncate(bytes.len() / 2));
    assert_eq!(damaged(&first, &[]), ["head"]);
    first.peat(&["datastore", "repair"]).ended_with(2).says(&["--dry-run", "--yes"]);
    repair(&first, &["--yes"]);
    assert_eq!(damaged(&second, &["--read-data"]), Vec::<String>::new());
    let third = place.machine(scratch).clone_of(&first, "checkout");
    third.peat(&["datastore", "sync"]).ok();
    for (model, before) in models.iter().zip(&before) {
        assert_eq!(&content(&third, model), before, "{model}");
    }
    for model in models {
        run(&second, model);
    }
}

#[test]
fn who_has_it_makes_a_directory_whole() {
    let scratch = Scratch::new();
    who_has_it_makes_it_whole(&Place::directory(&scratch), &scratch);
}

#[test]
fn who_has_it_makes_a_bucket_whole() {
    let scratch = Scratch::new();
    who_has_it_makes_it_whole(&Place::bucket(), &scratch);
}

fn who_has_nothing_says_what_is_lost_and_everything_else_works(place: &Place, scratch: &Scratch) {
    let first = place.machine(scratch).repository("checkout");
    first.shell_model("large", LARGE);
    first.shell_model("kept", LARGE);
    place.share(&first);
    run(&first, "large");
    let lost = place.keys("/_objects/").remove(0);
    run(&first, "kept");
    let stranger = place.machine(scratch).clone_of(&first, "checkout");
    place.delete(&lost);
    assert_eq!(damaged(&stranger, &[]), ["content"]);
    stranger.peat(&["datastore", "repair"]).ended_with(2).says(&["the content of 1 versions", "--yes"]);
    let dry = repair(&stranger, &["--dry-run"]);
    assert_eq!(dry[0]["lost"], serde_json::json!([{ "name": "stdout", "version": 1 }]), "{dry:#}");
    assert_eq!(damaged(&stranger, &[]), ["content"]);
    repair(&stranger, &["--yes"]);
    assert_eq!(damaged(&stranger, &["--read-data"]), Vec::<String>::new());
    let fresh = place.machine(scratch).clone_of(&first, "checkout");
    fresh.peat(&["datastore", "sync"]).ok();
    fresh.peat(&["data", "get", "large", "stdout"]).ended_with(3);
    fresh.peat(&["data", "get", "kept", "stdout"]).ok();
    run(&fresh, "large");
    let versions = fresh.peat(&["data", "versions", "large", "stdout", "--json"]).ok().json();
    assert_eq!(versions["versions"][0]["version"], 2, "numbers go on: {versions:#}");
}

#[test]
fn who_has_nothing_of_a_directory_says_what_is_lost() {
    let scratch = Scratch::new();
    who_has_nothing_says_what_is_lost_and_everything_else_works(&Place::directory(&scratch), &scratch);
}

#[test]
fn who_has_nothing_of_a_bucket_says_what_is_lost() {
    let scratch = Scratch::new();
    who_has_nothing_says_what_is_lost_and_everything_else_works(&Place::bucket(), &scratch);
}

#[test]
fn what_is_damaged_on_this_machine_is_found_too() {
    let scratch = Scratch::new();
    let first = scratch.machine().repository("checkout");
    first.shell_model("large", LARGE);
    run(&first, "large");
    first.peat(&["datastore", "check", "--read-data"]).ok().shows(&["sound"]);
    let mut pending = vec![first.machine().home().join("repositories")];
    let mut file = None;
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                pending.push(entry.path());
            } else if entry.path().to_string_lossy().contains("/content/") {
                file = Some(entry.path());
            }
        }
    }
    let file = file.unwrap();
    let mut bytes = fs::read(&file).unwrap();
    bytes[1_000] ^= 1;
    fs::remove_file(&file).unwrap();
    fs::write(&file, &bytes).unwrap();
    first.peat(&["datastore", "check"]).ok();
    first.peat(&["datastore", "check", "--read-data"]).ended_with(8).shows(&["this machine: content"]);
    fs::remove_file(&file).unwrap();
    first.peat(&["datastore", "check"]).ended_with(8).shows(&["does not exist"]);
    first.peat(&["datastore", "repair"]).ended_with(2).says(&["local", "backup"]);
}
