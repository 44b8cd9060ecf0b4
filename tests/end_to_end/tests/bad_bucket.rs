//! A bucket that answers wrongly, late or not at all, under the real binary: what fails is named, everything else goes on, and
//! nothing is lost.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use peat_end_to_end_tests::{Checkout, Outcome, Scratch, TestBucket};
use peat_test_support::s3::{Fault, Operation, Rule};

/// Content of this size is an object of its own.
const LARGE: usize = 1_500_000;

/// Whatever is waited for has come by then.
const PATIENCE: Duration = Duration::from_secs(120);

const SYNC: [&str; 2] = ["datastore", "sync"];

/// Two models that have run once on the first machine, and a clone on the second that knows nothing.
fn two_machines(scratch: &Scratch, bucket: &TestBucket, more: &[&str]) -> (Checkout, Checkout) {
    let first = bucket.machine(scratch).repository("checkout");
    for model in ["one", "two"] {
        first.shell_model(model, &format!("head -c {LARGE} /dev/zero | tr '\\0' {}", &model[..1]));
    }
    bucket.share(&first, more);
    run(&first, "one").ok();
    run(&first, "two").ok();
    let second = bucket.machine(scratch).clone_of(&first, "checkout");
    (first, second)
}

fn run(checkout: &Checkout, model: &str) -> Outcome {
    checkout.peat(&["model", "method", "run", model, "execute"])
}

fn alone(checkout: &Checkout, arguments: &[&str]) -> Outcome {
    let output = checkout.command(arguments).env("PEAT_BACKGROUND", "off").output().unwrap();
    Outcome::of(arguments.join(" "), output)
}

fn get(checkout: &Checkout, model: &str) -> Outcome {
    alone(checkout, &["data", "get", model, "stdout", "--version", "1", "--output", "-"])
}

fn versions(checkout: &Checkout, model: &str) -> usize {
    let versions = checkout.peat(&["data", "versions", model, "stdout", "--json"]).ok().json();
    versions["versions"].as_array().unwrap().len()
}

/// The one key with these words.
fn key(bucket: &TestBucket, words: &[&str]) -> String {
    let mut keys = bucket.server().keys();
    keys.retain(|key| words.iter().all(|word| key.contains(word)));
    assert_eq!(keys.len(), 1, "{words:?}: {keys:?}");
    keys.remove(0)
}

/// The id of a model, which is in the name of its partition.
fn id(checkout: &Checkout, model: &str) -> String {
    let model = checkout.peat(&["model", "get", model, "--json"]).ok().json();
    model["model"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn wrong_bytes_are_named_and_everything_else_comes() {
    for strategy in ["full", "lazy"] {
        let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
        let (first, second) = two_machines(&scratch, &bucket, &["--hydration", strategy]);
        let id = id(&first, "one");
        let object = key(&bucket, &["/_objects/", &id]);
        bucket.server().damage(&object, |bytes| bytes[LARGE / 2] ^= 1);
        if strategy == "full" {
            let document = alone(&second, &["datastore", "sync", "--json"]).ended_with(8).json();
            let failure = &document["failures"][0];
            let told = (&document["failuresCount"], &failure["what"], &failure["name"], &failure["version"]);
            assert_eq!(told, (&1.into(), &"content".into(), &"stdout".into(), &1.into()), "{document:#}");
            assert!(failure["partition"].as_str().unwrap().contains(&id), "{document:#}");
        } else {
            alone(&second, &SYNC).ok();
        }
        // The first use of it is told the same, and does not hand it out.
        let refused = get(&second, "one").ended_with(8).says(&["stdout version 1", &id, "digest"]);
        assert!(refused.stdout.is_empty(), "{refused}");
        assert_eq!(get(&second, "two").ok().stdout, "t".repeat(LARGE));
        run(&second, "one").ended_with(8).says(&["stdout version 1", &id]);
        bucket.server().damage(&object, |bytes| bytes[LARGE / 2] ^= 1);
        alone(&second, &SYNC).ok();
        assert_eq!(get(&second, "one").ok().stdout, "o".repeat(LARGE));
        run(&second, "one").ok();
    }
}

#[test]
fn a_head_damaged_in_place_stops_its_model_alone() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
    let (first, second) = two_machines(&scratch, &bucket, &[]);
    let id = id(&first, "one");
    let head = key(&bucket, &["/_index/", &id]);
    bucket.server().damage(&head, |bytes| bytes[100] ^= 1);
    second.peat(&SYNC).ended_with(8).says(&[&id, "its index", "Everything else is done"]);
    run(&second, "one").ended_with(8).says(&[&id]);
    run(&second, "two").ok();
    assert_eq!(get(&second, "two").ok().stdout, "t".repeat(LARGE));
    bucket.server().damage(&head, |bytes| bytes[100] ^= 1);
    second.peat(&SYNC).ok();
    run(&second, "one").ok();
    first.peat(&SYNC).ok();
    assert_eq!((versions(&first, "one"), versions(&first, "two")), (2, 2));
}

#[test]
fn a_stale_listing_hides_news_and_gives_no_version_twice() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
    let (first, second) = two_machines(&scratch, &bucket, &[]);
    second.peat(&SYNC).ok();
    bucket.server().freeze_listings();
    run(&first, "one").ok();
    assert!(second.peat(&SYNC).ok().stdout.contains("nothing to send or bring"), "the listing was to be stale");
    // What decides is the head, which no listing shows.
    run(&second, "one").ok();
    assert_eq!(versions(&second, "one"), 3);
    bucket.server().thaw_listings();
    first.peat(&SYNC).ok();
    assert_eq!((versions(&first, "one"), get(&first, "one").ok().stdout), (3, "o".repeat(LARGE)));
}

/// A run that has begun, and ends when the file is there.
fn begin(checkout: &Checkout, scratch: &Scratch) -> (Child, PathBuf) {
    let (begun, allowed) = (scratch.path().join("begun"), scratch.path().join("allowed"));
    let script = format!("touch {}; until [ -e {} ]; do sleep 0.1; done", begun.display(), allowed.display());
    checkout.shell_model("slow", &script);
    let mut command = checkout.command(&["model", "method", "run", "slow", "execute", "--timeout", "10m"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while !begun.exists() {
        assert!(started.elapsed() < PATIENCE && child.try_wait().unwrap().is_none(), "the run did not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    (child, allowed)
}

#[test]
fn a_bucket_that_vanishes_during_a_run_loses_nothing() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
    let (first, _) = two_machines(&scratch, &bucket, &[]);
    let (child, allowed) = begin(&first, &scratch);
    bucket.server().habits(|habits| habits.has_no_bucket = true);
    std::fs::write(allowed, "").unwrap();
    let ended = Outcome::of("model method run".to_owned(), child.wait_with_output().unwrap());
    // On a very busy machine the lease is missed before the commit is refused.
    assert!(matches!(ended.code, Some(2 | 5)), "{ended}");
    ended.says(&["NoSuchBucket", "kept on this machine as uncommitted"]);
    first.peat(&SYNC).ended_with(2).says(&["NoSuchBucket"]);
    bucket.server().habits(|habits| habits.has_no_bucket = false);
    first.peat(&["datastore", "sync", "--lock-timeout", "100s"]).ok();
    assert_eq!(versions(&first, "slow"), 1);
}

#[test]
fn results_that_cannot_be_sent_are_named_by_every_sync_until_they_are() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
    let (first, _) = two_machines(&scratch, &bucket, &[]);
    let busy = || Rule::next(Fault::Refused { status: 503, code: "SlowDown", retry_after: None });
    let id = id(&first, "one");
    bucket.server().fail(busy().on(Operation::Put).key("/_objects/").times(1_000));
    run(&first, "one").ended_with(6).says(&["kept on this machine as uncommitted"]);
    let document = first.peat(&["datastore", "sync", "--json"]).ended_with(6).json();
    let failure = &document["failures"][0];
    assert_eq!((&document["failuresCount"], &failure["what"]), (&1.into(), &"commits".into()), "{document:#}");
    assert!(failure["partition"].as_str().unwrap().contains(&id), "{document:#}");
    bucket.server().heal();
    first.peat(&SYNC).ok().shows(&["sent 1 commit"]);
    assert_eq!(versions(&first, "one"), 2);
}

#[test]
fn the_clock_of_a_store_may_be_wrong_by_ten_minutes_and_jump() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
    let (first, second) = two_machines(&scratch, &bucket, &["--lease-ttl", "2s"]);
    for offset_ms in [600_000, -600_000, 0] {
        bucket.server().habits(|habits| habits.date_offset_ms = offset_ms);
        run(&first, "one").ok();
        run(&second, "one").ok();
    }
    first.peat(&SYNC).ok();
    assert_eq!(versions(&first, "one"), 7);
}
