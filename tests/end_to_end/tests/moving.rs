//! A repository with data chooses another datastore: everything comes along, whoever is killed meanwhile.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use peat_end_to_end_tests::{Checkout, Scratch, TestBucket};
use serde_json::Value;

/// Whatever is waited for has come by then.
const PATIENCE: Duration = Duration::from_secs(120);

/// Bytes of the large content of each model: an object of its own.
const LARGE: usize = 1_500_000;

const MODELS: [&str; 3] = ["a", "b", "c"];

fn run(checkout: &Checkout, model: &str) -> i32 {
    checkout.peat(&["model", "method", "run", model, "execute"]).code.unwrap()
}

/// A repository with data of the datastore `local`: several versions, a version that is gone, a failed run.
fn with_data(checkout: &Checkout) {
    for model in MODELS {
        let script = format!("echo $$; head -c {LARGE} /dev/urandom; test ! -e fail-{model}");
        checkout.shell_model(model, &script);
        checkout.write(&format!("fail-{model}"), "");
        assert_eq!(run(checkout, model), 1);
        std::fs::remove_file(checkout.path().join(format!("fail-{model}"))).unwrap();
        assert_eq!(run(checkout, model), 0);
    }
    // From now on the newest two are kept: the first version of each item is gone.
    let yaml = checkout.read("models/a.yaml");
    checkout.write("models/a.yaml", format!("{yaml}retention:\n  lifetime: 30d\n  versions: 2\n"));
    assert_eq!(run(checkout, "a"), 0);
}

/// Everything that a user can see of the data: every version of every item, and the digest of its content; every run.
fn inventory(checkout: &Checkout) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for model in MODELS {
        for name in ["stdout", "result"] {
            let versions = checkout.peat(&["data", "versions", model, name, "--json"]).ok().json();
            for version in versions["versions"].as_array().unwrap() {
                let number = version["version"].to_string();
                let content = ["data", "get", model, name, "--version", &number, "--output", "-"];
                let bytes = checkout.peat(&content).ok().bytes;
                assert_eq!(bytes.len() as u64, version["size"].as_u64().unwrap());
                let mut seen = version.clone();
                // Where its content is differs, and only that.
                seen.as_object_mut().unwrap().remove("state");
                found.insert(format!("{model} {name} {number}"), seen);
            }
        }
    }
    let runs = checkout.peat(&["run", "list", "--limit", "100", "--json"]).ok().json();
    for run in runs["runs"].as_array().unwrap() {
        let id = run["id"].as_str().unwrap();
        found.insert(format!("run {id}"), run.clone());
        let logs = checkout.peat(&["run", "logs", id]).ok().stdout;
        found.insert(format!("log {id}"), logs.into());
    }
    found
}

fn newest(checkout: &Checkout, model: &str) -> u64 {
    let versions = checkout.peat(&["data", "versions", model, "stdout", "--json"]).ok().json();
    versions["versions"][0]["version"].as_u64().unwrap()
}

fn start(checkout: &Checkout, arguments: &[String]) -> Child {
    checkout.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[track_caller]
fn wait_until(condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn everything_moves_to_a_directory_and_back() {
    let scratch = Scratch::new();
    let checkout = scratch.machine().repository("checkout");
    with_data(&checkout);
    let before = inventory(&checkout);
    checkout.install("peat-directory", &[]);
    let setting = format!("path={}", scratch.shared_directory().display());
    let setup = ["datastore", "setup", "@peat/directory", "--setting", &setting, "--json"];
    let planned = checkout.peat(&[&setup[..], &["--dry-run"]].concat()).ok().json();
    assert_eq!(planned["migration"]["dryRun"], true, "{planned:#}");
    assert!(!checkout.read("peat.yaml").contains("@peat/directory"));
    let moved = checkout.peat(&setup).ok().json();
    assert_eq!(moved["migration"]["copied"], planned["migration"]["missing"], "{moved:#}");
    assert_eq!(moved["migration"]["copied"]["partitions"], 3, "{moved:#}");
    assert_eq!(inventory(&checkout), before);
    let other = scratch.machine().clone_of(&checkout, "checkout");
    other.peat(&["datastore", "sync"]).ok();
    assert_eq!(inventory(&other), before);
    // Numbers go on where they were.
    let newest_before = newest(&checkout, "b");
    assert_eq!(run(&other, "b"), 0);
    checkout.peat(&["datastore", "sync"]).ok();
    assert_eq!(newest(&checkout, "b"), newest_before + 1);
    // Back: what is on this machine from before is not copied again.
    let now = inventory(&checkout);
    let back = checkout.peat(&["datastore", "setup", "local", "--json"]).ok().json();
    assert_eq!(back["migration"]["copied"]["partitions"], 1, "{back:#}");
    assert_eq!(inventory(&checkout), now);
    assert!(checkout.read("peat.yaml").contains("local") || !checkout.read("peat.yaml").contains("@peat/directory"));
    assert_eq!(run(&checkout, "b"), 0);
    assert_eq!(newest(&checkout, "b"), newest_before + 2);
    assert_eq!(newest(&other, "b"), newest_before + 1, "what was left is as it was");
}

#[test]
fn a_move_between_two_shared_datastores_brings_everything() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::new());
    let checkout = bucket.machine(&scratch).repository("checkout");
    with_data(&checkout);
    let before = inventory(&checkout);
    checkout.share_through(&scratch.shared_directory());
    // Another machine has nothing of it yet: the content comes from the directory.
    let other = bucket.machine(&scratch).clone_of(&checkout, "checkout");
    bucket.share(&other, &["--hydration", "lazy"]);
    assert_eq!(inventory(&other), before);
    let third = bucket.machine(&scratch).clone_of(&other, "checkout");
    third.peat(&["datastore", "sync"]).ok();
    assert_eq!(inventory(&third), before);
}

#[test]
fn a_move_to_a_bucket_that_is_killed_at_any_request_goes_on() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
    let checkout = bucket.machine(&scratch).repository("checkout");
    with_data(&checkout);
    let before = inventory(&checkout);
    checkout.install("peat-s3", &[]);
    let setup = bucket.setup();
    let (mut kills, mut last_try) = (0, 0);
    for requests in (20..).step_by(9) {
        bucket.server().clear_log();
        let mut child = start(&checkout, &setup);
        let began = Instant::now();
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if bucket.server().log().len() >= requests {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            assert!(began.elapsed() < PATIENCE, "neither {requests} requests nor an end");
            std::thread::sleep(Duration::from_millis(1));
        };
        if let Some(status) = ended {
            assert_eq!(status.code(), Some(0));
            last_try = bucket.server().log().len();
            break;
        }
        kills += 1;
        if !checkout.read("peat.yaml").contains("@peat/s3") {
            // What was not left yet is whole.
            assert_eq!(newest(&checkout, "a"), 3);
        }
    }
    println!("{kills} kills; the last try took {last_try} requests");
    assert!(kills > 3, "{kills}");
    assert!(checkout.read("peat.yaml").contains("@peat/s3"));
    assert_eq!(inventory(&checkout), before);
    let other = bucket.machine(&scratch).clone_of(&checkout, "checkout");
    other.peat(&["datastore", "sync"]).ok();
    assert_eq!(inventory(&other), before);
}

#[test]
fn a_move_that_is_killed_before_its_end_sends_nothing_twice() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
    let checkout = bucket.machine(&scratch).repository("checkout");
    with_data(&checkout);
    checkout.install("peat-s3", &[]);
    let sent = || bucket.server().log().iter().map(|logged| logged.bytes_in).sum::<u64>();
    bucket.server().clear_log();
    let mut child = start(&checkout, &bucket.setup());
    let began = Instant::now();
    // Each of the three models has two versions of that size: two models are done by then, the third is on its way.
    while sent() < 9 * LARGE as u64 / 2 {
        assert!(began.elapsed() < PATIENCE, "{} bytes", sent());
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    bucket.server().clear_log();
    checkout.peat(&bucket.setup()).ok();
    // What was on its way when the process died may arrive now, and belongs to the third model, too.
    let contents = bucket.server().log().into_iter().filter(|logged| logged.bytes_in >= LARGE as u64);
    let partitions: BTreeSet<String> =
        contents.map(|logged| logged.key.rsplit_once('/').expect("keys have folders").0.to_owned()).collect();
    assert_eq!(partitions.len(), 1, "contents were sent that had been sent before: {partitions:?}");
}

#[test]
fn a_place_with_data_of_its_own_is_refused() {
    let scratch = Scratch::new();
    let other = scratch.machine().repository("other");
    other.shell_model("theirs", "echo theirs");
    other.share_through(&scratch.shared_directory());
    assert_eq!(run(&other, "theirs"), 0);
    let checkout = scratch.machine().repository("checkout");
    checkout.shell_model("ours", "echo ours");
    assert_eq!(run(&checkout, "ours"), 0);
    checkout.install("peat-directory", &[]);
    let setting = format!("path={}", scratch.shared_directory().display());
    let setup = ["datastore", "setup", "@peat/directory", "--setting", &setting];
    checkout.peat(&setup).ended_with(2).says(&["data of its own", "--no-migrate"]);
    assert!(!checkout.read("peat.yaml").contains("@peat/directory"));
    other.peat(&["datastore", "sync"]).ok().shows(&["in sync"]);
    checkout.peat(&[&setup[..], &["--no-migrate"]].concat()).ok();
    assert!(checkout.read("peat.yaml").contains("@peat/directory"));
    checkout.peat(&["data", "versions", "ours", "stdout"]).ended_with(3);
}

#[test]
fn nobody_writes_to_what_is_left_meanwhile() {
    let scratch = Scratch::new();
    let checkout = scratch.machine().repository("checkout");
    let (begun, allowed) = (scratch.path().join("begun"), scratch.path().join("allowed"));
    let script = format!("touch {}; until [ -e {} ]; do sleep 0.1; done", begun.display(), allowed.display());
    checkout.shell_model("slow", &script);
    checkout.shell_model("fast", "echo fast");
    assert_eq!(run(&checkout, "fast"), 0);
    checkout.install("peat-directory", &[]);
    let setting = format!("path={}", scratch.shared_directory().display());
    let words = ["model", "method", "run", "slow", "execute"].map(str::to_owned);
    let mut writer = start(&checkout, &words);
    wait_until(|| begun.exists());
    let setup = ["datastore", "setup", "@peat/directory", "--setting", &setting, "--lock-timeout"];
    checkout.peat(&[&setup[..], &["0s"]].concat()).ended_with(4).says(&["slow"]);
    assert!(!checkout.read("peat.yaml").contains("@peat/directory"));
    std::fs::write(&allowed, "").unwrap();
    assert_eq!(writer.wait().unwrap().code(), Some(0));
    checkout.peat(&[&setup[..], &["1m"]].concat()).ok();
    checkout.peat(&["data", "versions", "slow", "result"]).ok();
}

#[test]
fn whoever_waits_while_the_datastore_is_left_writes_nothing_there() {
    let scratch = Scratch::new();
    let checkout = scratch.machine().repository("checkout");
    let (begun, allowed) = (scratch.path().join("begun"), scratch.path().join("allowed"));
    let script = format!("touch {}; until [ -e {} ]; do sleep 0.1; done", begun.display(), allowed.display());
    checkout.shell_model("slow", &script);
    checkout.shell_model("fast", "echo fast");
    assert_eq!(run(&checkout, "fast"), 0);
    checkout.install("peat-directory", &[]);
    let unaware = checkout.machine().clone_of(&checkout, "unaware");
    let waiting = || {
        let locks = checkout.peat(&["datastore", "lock", "status", "--json"]).ok().json();
        let queues = locks["local"].as_array().unwrap().clone();
        queues.iter().map(|queue| queue["waiting"].as_array().unwrap().len()).max().unwrap_or(0)
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let execute = words(&["model", "method", "run", "slow", "execute", "--lock-timeout", "2m"]);
    let mut first = start(&checkout, &execute);
    wait_until(|| begun.exists());
    let setting = format!("path={}", scratch.shared_directory().display());
    let setup = ["datastore", "setup", "@peat/directory", "--setting", &setting, "--lock-timeout", "2m"];
    let mut moving = start(&checkout, &words(&setup));
    wait_until(|| waiting() == 1);
    let second = checkout.command(&execute).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until(|| waiting() == 2);
    std::fs::remove_file(&begun).unwrap();
    std::fs::write(&allowed, "").unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(0));
    assert_eq!(moving.wait().unwrap().code(), Some(0));
    let ended = second.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(7), "{said}");
    assert!(said.contains("this repository uses directory") && said.contains("Run the command again"), "{said}");
    assert!(!begun.exists(), "the method began although nothing can be kept");
    assert_eq!(run(&checkout, "slow"), 0);
    let versions = checkout.peat(&["data", "versions", "slow", "result", "--json"]).ok().json();
    assert_eq!(versions["versions"].as_array().unwrap().len(), 2, "{versions:#}");
    // A checkout of the same repository that has not heard of it is told so, and still reads what was there.
    unaware.peat(&["model", "method", "run", "fast", "execute"]).ended_with(7).says(&["bring the new peat.yaml"]);
    assert_eq!(newest(&unaware, "fast"), 1);
    // Choosing it again is for whoever wants to write there.
    unaware.peat(&["datastore", "setup", "local"]).ok();
    assert_eq!(run(&unaware, "fast"), 0);
}
