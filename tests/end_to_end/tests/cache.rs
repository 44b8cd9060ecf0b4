//! The compiled extensions of a user: made once however many ask at once, shown, checked, cleared, and never in the way.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use peat_end_to_end_tests::{Checkout, Scratch, in_mount_namespace};

const RUN: [&str; 5] = ["model", "method", "run", "empty", "nothing"];

/// A repository with one extension, of which nothing is compiled.
fn repository(scratch: &Scratch) -> Checkout {
    let repository = scratch.machine().repository("r");
    repository.install("test-empty", &[]);
    repository.peat(&["model", "create", "empty", "--type", "@test/empty"]).ok();
    repository.peat(&["cache", "clear"]).ok();
    repository
}

/// The one native code in the cache.
fn native_code(repository: &Checkout) -> PathBuf {
    let cache = repository.machine().directory("cache").join("v1");
    let engines: Vec<PathBuf> = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path()).collect();
    let files = engines.iter().flat_map(|engine| fs::read_dir(engine).unwrap());
    let mut native =
        files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|is| is == "cwasm"));
    let first = native.next().expect("something was compiled");
    assert_eq!(native.next(), None);
    first
}

#[test]
fn of_eight_processes_that_need_the_same_extension_at_the_same_time_one_compiles() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    for number in 0..8 {
        repository.peat(&["model", "create", &format!("m{number}"), "--type", "@test/empty"]).ok();
    }
    let start = |number| {
        let mut command = repository.command(&["model", "method", "run", &format!("m{number}"), "nothing"]);
        command.env("PEAT_LOG", "peat_wasm=debug").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<_> = (0..8).map(start).collect();
    let said: Vec<String> = running
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{said}");
            said
        })
        .collect();
    let compiled = said.iter().filter(|said| said.contains("compiling")).count();
    assert_eq!(compiled, 1, "{}", said.join("\n"));
}

#[test]
fn the_cache_is_shown_checked_and_cleared() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    assert_eq!(repository.peat(&["cache", "status", "--json"]).ok().json()["cache"]["bytes"], 0);
    repository.peat(&RUN).ok();
    let status = repository.peat(&["cache", "status", "--json"]).ok().json();
    let artifact = &status["cache"]["artifacts"][0];
    assert_eq!((&artifact["extension"], &artifact["state"]), (&"@test/empty".into(), &"usable".into()), "{status}");
    assert_eq!(artifact["engine"], status["cache"]["engine"]);
    repository.peat(&["cache", "status"]).ok().shows(&["@test/empty", "2.0 GiB"]);
    repository.peat(&["cache", "verify"]).ok();

    let native = native_code(&repository);
    let mut bytes = fs::read(&native).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&native, bytes).unwrap();
    repository.peat(&["cache", "verify"]).ended_with(8).shows(&["@test/empty", "not what was recorded"]);
    repository.peat(&["cache", "verify"]).ok();
    assert_eq!(
        repository.peat(&["cache", "status", "--json"]).ok().json()["cache"]["artifacts"][0]["state"],
        "set-aside"
    );
    repository.peat(&RUN).ok();

    let freed = repository.peat(&["cache", "clear", "--json"]).ok().json();
    assert!(freed["cache"]["freedBytes"].as_u64().unwrap() > middle as u64, "{freed}");
    assert_eq!(repository.peat(&["cache", "status", "--json"]).ok().json()["cache"]["bytes"], 0);
    repository.peat(&RUN).ok();
}

#[test]
fn the_cache_keeps_its_bound_and_a_wrong_one_is_refused_by_name() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    repository.install("example-text", &["--grant", "files:source=."]);
    let bounded = |arguments: &[&str], size: &str| {
        let mut command = repository.command(arguments);
        let output = command.env("PEAT_CACHE_SIZE", size).output().unwrap();
        peat_end_to_end_tests::Outcome::of(arguments.join(" "), output)
    };
    bounded(&RUN, "1 kB").ok();
    let status = bounded(&["cache", "status", "--json"], "1 kB").ok().json();
    let artifacts = status["cache"]["artifacts"].as_array().unwrap();
    assert_eq!(artifacts.len(), 1, "{status}");
    assert_eq!((&artifacts[0]["extension"], &status["cache"]["bytesMax"]), (&"@test/empty".into(), &1000.into()));
    bounded(&RUN, "many").ended_with(2).says(&["PEAT_CACHE_SIZE", "500MB"]);
}

#[test]
fn a_cache_without_room_costs_time_and_no_error() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let cache = repository.machine().directory("cache");
    let script = format!(
        "mount -t tmpfs -o size=16k,mode=700 tmpfs '{}'\npeat model method run empty nothing\npeat cache status --json",
        cache.display()
    );
    let Some(outcome) = in_mount_namespace(&repository.command::<&str>(&[]), &script) else {
        eprintln!("SKIPPED: no mount namespace can be made here");
        return;
    };
    assert_eq!(outcome.stdout.matches("exit 0").count(), 2, "{outcome}");
    assert!(!outcome.stdout.contains("usable"), "{outcome}");
}
