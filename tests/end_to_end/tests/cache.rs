//! The compiled extensions of a user: made once however many ask at once, shown, checked, cleared, and never in the way.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use peat_end_to_end_tests::{Checkout, Outcome, Scratch, component, in_mount_namespace};

const RUN: [&str; 5] = ["model", "method", "run", "empty", "nothing"];

/// A repository with one extension, of which nothing is compiled.
fn repository(scratch: &Scratch) -> Checkout {
    let repository = scratch.cold_machine().repository("r");
    repository.install("test-empty", &[]);
    repository.peat(&["model", "create", "empty", "--type", "@test/empty"]).ok();
    repository.peat(&["cache", "clear"]).ok();
    repository
}

/// The one native code in the cache.
fn native_code(repository: &Checkout) -> PathBuf {
    let mut native = kept(repository.machine().cache(), "cwasm");
    assert_eq!(native.len(), 1, "{native:?}");
    native.remove(0)
}

/// Everything in a cache whose name ends so: below the version, the engine and the key.
fn kept(cache: &Path, ending: &str) -> Vec<PathBuf> {
    let mut directories = vec![cache.join("v1")];
    for _ in 0..2 {
        directories = directories.iter().flat_map(|directory| inside(directory)).collect();
    }
    let entries = directories.iter().flat_map(|directory| inside(directory));
    entries.filter(|path| path.extension().is_some_and(|is| is == ending)).collect()
}

fn inside(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Whether a run compiled anything: it says so in its trace.
#[track_caller]
fn compiles(repository: &Checkout, arguments: &[&str]) -> bool {
    let output = repository.command(arguments).env("PEAT_LOG", "peat_wasm=debug").output().unwrap();
    let outcome = Outcome::of(arguments.join(" "), output).ok();
    outcome.stderr.contains("compiling")
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
        Outcome::of(arguments.join(" "), output)
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
    let cache = repository.machine().cache().to_owned();
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

#[test]
fn two_homes_that_share_one_cache_compile_once_each_and_never_again() {
    let scratch = Scratch::new();
    let cache = scratch.path().join("shared-cache");
    let shared = vec![("PEAT_CACHE_DIR".to_owned(), cache.display().to_string())];
    let homes = [(); 2].map(|()| {
        let repository = scratch.cold_machine().with_variables(&shared).repository("r");
        repository.install("test-empty", &[]);
        repository.peat(&["model", "create", "empty", "--type", "@test/empty"]).ok();
        repository
    });
    homes[0].peat(&["cache", "clear"]).ok();
    for round in 0..3 {
        for (number, home) in homes.iter().enumerate() {
            assert_eq!(compiles(home, &RUN), round == 0, "home {number} in round {round}");
        }
    }
    assert_eq!(kept(&cache, "cwasm").len(), 2);

    // Each sees both, and knows its own.
    for home in &homes {
        let status = home.peat(&["cache", "status", "--json"]).ok().json();
        let artifacts = status["cache"]["artifacts"].as_array().unwrap();
        let mut states: Vec<_> = artifacts.iter().map(|artifact| artifact["state"].as_str().unwrap()).collect();
        states.sort_unstable();
        assert_eq!(states, ["other-key", "usable"], "{status}");
        let own = artifacts.iter().find(|artifact| artifact["state"] == "usable").unwrap();
        assert_eq!(own["key"], status["cache"]["key"]);
        home.peat(&["cache", "verify"]).ok().shows(&["1 compiled extensions are", "1 are vouched for by another key"]);
    }
    // What one home finds damaged is none of the other's business, whose own is good.
    let key = homes[0].peat(&["cache", "status", "--json"]).ok().json()["cache"]["key"].clone();
    let own = kept(&cache, "cwasm").into_iter().find(|path| path.to_string_lossy().contains(key.as_str().unwrap()));
    fs::write(own.unwrap(), b"damaged").unwrap();
    homes[1].peat(&["cache", "verify"]).ok();
    homes[0].peat(&["cache", "verify"]).ended_with(8);
    assert!(compiles(&homes[0], &RUN));
    assert!(!compiles(&homes[1], &RUN));
    homes[1].peat(&["cache", "clear"]).ok();
    assert!(kept(&cache, "cwasm").is_empty());
}

#[test]
fn a_fresh_home_with_the_key_of_another_compiles_nothing_again() {
    let scratch = Scratch::new();
    let cache = scratch.path().join("shared-cache");
    let shared = vec![("PEAT_CACHE_DIR".to_owned(), cache.display().to_string())];
    let first = scratch.cold_machine().with_variables(&shared).repository("r");
    first.install("test-empty", &[]);
    first.peat(&["model", "create", "empty", "--type", "@test/empty"]).ok();
    first.peat(&RUN).ok();
    let machine = scratch.cold_machine().with_variables(&shared);
    let fresh = machine.clone_of(&first, "r");
    // As in the operator's guide.
    fs::copy(first.machine().home().join("artifact-key"), machine.home().join("artifact-key")).unwrap();
    assert!(!compiles(&fresh, &RUN));
    let other = scratch.cold_machine().with_variables(&shared).clone_of(&first, "r");
    assert!(compiles(&other, &RUN), "without the key it is compiled");
}

#[test]
fn runs_in_this_process_make_no_bundle() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let shared = scratch.shared_directory();
    repository.share_through(&shared);
    for _ in 0..2 {
        repository.peat(&RUN).ok();
        repository.peat(&["datastore", "sync"]).ok();
    }
    assert!(kept(repository.machine().cache(), "bundle").is_empty());
    let status = repository.peat(&["cache", "status", "--json"]).ok().json();
    let artifacts = status["cache"]["artifacts"].as_array().unwrap();
    assert_eq!(artifacts.len(), 2, "{status}");
    assert!(artifacts.iter().all(|artifact| artifact["bundle"] == false), "{status}");
}

/// A component with so many bytes more, which mean nothing.
fn padded(mut component: Vec<u8>, bytes: usize) -> Vec<u8> {
    const NAME: &[u8] = b"padding";
    let mut length = 1 + NAME.len() + bytes;
    component.push(0);
    while length >= 0x80 {
        component.push(length as u8 | 0x80);
        length >>= 7;
    }
    component.extend([length as u8, NAME.len() as u8]);
    component.extend(NAME);
    component.resize(component.len() + bytes, 0);
    component
}

/// State of everything that is kept, by extension.
fn states(repository: &Checkout) -> Vec<(String, String)> {
    let status = repository.peat(&["cache", "status", "--json"]).ok().json();
    let artifacts = status["cache"]["artifacts"].as_array().unwrap().clone();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    artifacts.iter().map(|artifact| (text(&artifact["extension"]), text(&artifact["state"]))).collect()
}

#[test]
fn a_large_extension_is_run_at_once_and_optimised_behind_the_command() {
    const LARGE: usize = 5 * 1024 * 1024;
    let scratch = Scratch::new();
    let repository = scratch.cold_machine().repository("r");
    let large = padded(fs::read(component("test-empty")).unwrap(), LARGE);
    repository.write("extensions/large.wasm", large);
    let off = |arguments: &[&str]| {
        let output = repository.command(arguments).env("PEAT_BACKGROUND", "off").output().unwrap();
        Outcome::of(arguments.join(" "), output).ok()
    };
    // Where nothing may be left behind it is optimised at once.
    off(&["extension", "add", "extensions/large.wasm"]);
    off(&["model", "create", "empty", "--type", "@test/empty"]);
    let usable = [("@test/empty".to_owned(), "usable".to_owned())];
    assert_eq!(states(&repository), usable);
    repository.peat(&["cache", "clear"]).ok();
    // The process that is left behind begins when it is its turn: what is there first is the quick code.
    assert!(compiles(&repository, &RUN));
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut seen = states(&repository);
    while seen != usable {
        assert!(Instant::now() < deadline, "{seen:?}");
        std::thread::sleep(Duration::from_millis(20));
        let now = states(&repository);
        assert!(now.len() <= 2, "{now:?}");
        seen = now;
    }
    assert!(!compiles(&repository, &RUN), "what was optimised is not used");
    // By hand, for an image.
    repository.peat(&["cache", "clear"]).ok();
    let compiled = repository.peat(&["cache", "compile", "--json"]).ok().json();
    assert_eq!(compiled["compiled"], serde_json::json!([{ "extension": "@test/empty", "made": true }]));
    assert_eq!(states(&repository), usable);
    let again = repository.peat(&["cache", "compile", "@test/empty", "--json"]).ok().json();
    assert_eq!(again["compiled"][0]["made"], false);
}
