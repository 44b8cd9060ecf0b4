//! A sync that is interrupted, killed or out of time: what came is kept, and the next one brings the rest and nothing again.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use peat_end_to_end_tests::{Checkout, Outcome, Scratch, TestBucket};
use peat_test_support::s3::{Fault, Operation, Rule};
use rustix::process::{Pid, Signal, kill_process};

/// Two of these are more than what one call brings (32 MiB), so each is kept before the next is asked for.
const LARGE: u64 = 17 * 1024 * 1024;

/// Far longer than any test lasts.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Whatever is waited for has come by then.
const PATIENCE: Duration = Duration::from_secs(120);

/// A bucket with one large content of two models each.
struct World {
    scratch: Scratch,
    bucket: TestBucket,
    first: Checkout,
    /// Keys of the large contents, in the order in which they are brought.
    objects: Vec<String>,
}

impl World {
    fn new() -> Self {
        let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
        let first = bucket.machine(&scratch).repository("checkout");
        for (model, letter) in [("one", 'o'), ("two", 't')] {
            first.shell_model(model, &format!("head -c {LARGE} /dev/zero | tr '\\0' {letter}"));
        }
        bucket.share(&first, &[]);
        for model in ["one", "two"] {
            first.peat(&["model", "method", "run", model, "execute"]).ok();
        }
        let mut objects = bucket.server().keys();
        objects.retain(|key| key.contains("/_objects/"));
        assert_eq!(objects.len(), 2, "{objects:?}");
        Self { scratch, bucket, first, objects }
    }

    /// A clone that knows nothing, and a store that never answers for the second content.
    fn clone_with_a_store_that_hangs(&self) -> Checkout {
        let checkout = self.bucket.machine(&self.scratch).clone_of(&self.first, "checkout");
        let hangs = Rule::next(Fault::Late(FOR_EVER)).on(Operation::Get).key(&self.objects[1]).times(1_000);
        self.bucket.server().fail(hangs);
        checkout
    }

    /// The next sync brings what is missing and nothing else.
    fn assert_goes_on(&self, checkout: &Checkout) {
        self.bucket.server().heal();
        self.bucket.server().clear_log();
        let synced = checkout.peat(&["datastore", "sync", "--json"]).ok().json();
        let brought = (&synced["sync"]["entries"], &synced["sync"]["contents"], &synced["sync"]["bytes"]);
        assert_eq!(brought, (&0.into(), &1.into(), &LARGE.into()), "{synced:#}");
        assert_eq!(synced["sync"]["missing"]["entries"], 0, "{synced:#}");
        let log = self.bucket.server().log();
        assert!(!log.iter().any(|logged| logged.key == self.objects[0]), "what was here came again");
        let bytes: u64 = log.iter().map(|logged| logged.bytes_out).sum();
        assert!((LARGE..LARGE + 128 * 1024).contains(&bytes), "{bytes} bytes came");
        assert!(checkout.peat(&["datastore", "sync"]).ok().stdout.contains("nothing to send or bring"));
    }
}

/// Starts a sync, and waits until the first content is here and the second is under way.
fn sync_that_hangs(checkout: &Checkout, more: &[&str]) -> Child {
    let words = [&["datastore", "sync"], more].concat();
    let mut child = checkout.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    loop {
        let status = checkout.peat(&["datastore", "status", "--json"]).ok().json();
        let missing = &status["datastore"]["hydration"]["missing"];
        if (&missing["entries"], &missing["bytes"]) == (&1.into(), &LARGE.into()) {
            return child;
        }
        assert!(child.try_wait().unwrap().is_none(), "the sync ended: {status:#}");
        assert!(started.elapsed() < PATIENCE, "the first content did not come: {status:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_sync_that_is_asked_to_stop_says_what_it_did_and_the_next_one_goes_on() {
    let world = World::new();
    for signal in [Signal::INT, Signal::TERM] {
        let checkout = world.clone_with_a_store_that_hangs();
        let child = sync_that_hangs(&checkout, &[]);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let ended = Outcome::of("datastore sync".to_owned(), child.wait_with_output().unwrap()).ended_with(130);
        let ended = ended.says(&["interrupted", "What came is kept"]);
        ended.shows(&["17.0 MiB of content", "the content of 1 entry (17.0 MiB) is not here"]);
        world.assert_goes_on(&checkout);
    }
}

#[test]
fn a_sync_that_is_killed_keeps_what_came() {
    let world = World::new();
    let checkout = world.clone_with_a_store_that_hangs();
    let mut child = sync_that_hangs(&checkout, &[]);
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().code(), None);
    world.assert_goes_on(&checkout);
}

#[test]
fn a_sync_that_is_out_of_time_says_what_it_did() {
    let world = World::new();
    let checkout = world.clone_with_a_store_that_hangs();
    // As far as a busy machine gets in that time: an index at least.
    let ended = checkout.peat(&["datastore", "sync", "--timeout", "10s", "--json"]).ended_with(6);
    let document = ended.json();
    assert_eq!(document["error"]["kind"], "datastore-unavailable", "{document:#}");
    assert!(document["error"]["message"].as_str().unwrap().contains("not done within 10 s"), "{document:#}");
    assert!(document["sync"]["missing"]["bytes"].as_u64().unwrap() >= LARGE, "{document:#}");
}
