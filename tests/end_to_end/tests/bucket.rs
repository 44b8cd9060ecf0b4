//! `@peat/s3` with the real binary: two clones on two machines over one bucket, and what a user is told when it is not there.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use peat_end_to_end_tests::{Scratch, TestBucket, two_clones_share_what_they_write};
use peat_test_support::s3::{ACCESS_KEY, Fault, Operation, Rule, SECRET_KEY};

#[test]
fn two_clones_share_what_they_write_through_a_bucket() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::new());
    two_clones_share_what_they_write(&|| bucket.machine(&scratch), &|first| bucket.share(first, &[]));
}

#[test]
fn what_was_found_of_the_store_is_shown_and_credentials_are_not() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
    bucket.server().habits(|habits| habits.compares_unquoted = true);
    let checkout = bucket.machine(&scratch).repository("checkout");
    bucket.share(&checkout, &[]);
    let status = checkout.peat(&["datastore", "status"]).ok();
    let status = status.shows(&["form of ETags", "unquoted", "race of swaps", "clock", "latency", "list after write"]);
    let everything = [
        status.stdout,
        checkout.peat(&["datastore", "verify", "--json", "-vv"]).ok().to_string(),
        checkout.read("peat.yaml"),
    ];
    for text in everything {
        assert!(!text.contains(ACCESS_KEY) && !text.contains(SECRET_KEY), "{text}");
    }
}

#[test]
fn a_store_that_ignores_conditions_is_refused_by_name_and_nothing_is_created() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
    let checkout = bucket.machine(&scratch).repository("checkout");
    checkout.install("peat-s3", &[]);
    let before = checkout.read("peat.yaml");
    for (create, swap, words) in [(true, false, "If-None-Match: *"), (false, true, "ignored If-Match")] {
        bucket.server().habits(|habits| {
            (habits.ignores_if_none_match, habits.ignores_if_match) = (create, swap);
        });
        checkout.peat(&bucket.setup()).ended_with(6).says(&[words, "peat.yaml is as it was"]);
        assert_eq!(checkout.read("peat.yaml"), before);
        assert!(bucket.server().keys().is_empty(), "{:?}", bucket.server().keys());
    }
    bucket.server().habits(|habits| (habits.ignores_if_match, habits.date_offset_ms) = (false, 600_000));
    checkout.peat(&bucket.setup()).ended_with(6).says(&["clock"]);
}

#[test]
fn what_is_wrong_with_a_bucket_is_said_with_the_remedy() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
    let checkout = bucket.machine(&scratch).repository("checkout");
    checkout.shell_model("hello", "echo hello");
    bucket.share(&checkout, &[]);
    let run = ["model", "method", "run", "hello", "execute"];
    bucket.server().habits(|habits| habits.has_no_bucket = true);
    checkout.peat(&run).ended_with(2).says(&["NoSuchBucket", "create the bucket"]);
    bucket.server().habits(|habits| {
        habits.has_no_bucket = false;
        habits.refuses_credentials = Some("ExpiredToken");
    });
    checkout.peat(&run).ended_with(7).says(&["ExpiredToken", "renew"]);
    bucket.server().habits(|habits| habits.refuses_credentials = None);
    let nobody = scratch.machine().with_variables(&[("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned())]);
    let stranger = nobody.clone_of(&checkout, "checkout");
    stranger.peat(&["datastore", "sync"]).ended_with(7).says(&["no credentials", "AWS_ACCESS_KEY_ID"]);
    checkout.peat(&run).ok();
}

#[test]
fn credentials_that_expire_during_a_run_lose_nothing() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
    let checkout = bucket.machine(&scratch).repository("checkout");
    checkout.shell_model("hello", "echo hello");
    bucket.share(&checkout, &[]);
    checkout.peat(&["model", "method", "run", "hello", "execute"]).ok();
    // The lease is taken; what follows is refused, the commit too.
    let expired = Fault::Refused { status: 400, code: "ExpiredToken", retry_after: None };
    bucket.server().fail(Rule::next(expired).on(Operation::Put).after(1).times(1_000));
    checkout.peat(&["model", "method", "run", "hello", "execute"]).ended_with(7).says(&["renew"]);
    bucket.server().heal();
    let status = checkout.peat(&["datastore", "status", "--json"]).ok().json();
    assert_eq!(status["datastore"]["uncommitted"].as_array().unwrap().len(), 1, "{status:#}");
    checkout.peat(&["datastore", "sync", "--lock-timeout", "60s"]).ok();
    let versions = checkout.peat(&["data", "versions", "hello", "stdout", "--json"]).ok().json();
    assert_eq!(versions["versions"].as_array().unwrap().len(), 2, "{versions:#}");
}

#[test]
fn requests_of_a_run_and_of_a_sync_are_few() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
    let first = bucket.machine(&scratch).repository("checkout");
    first.shell_model("hello", "echo hello");
    bucket.share(&first, &[]);
    let second = bucket.machine(&scratch).clone_of(&first, "checkout");
    first.peat(&["model", "method", "run", "hello", "execute"]).ok();
    second.peat(&["datastore", "sync"]).ok();
    let requests = |work: &dyn Fn()| {
        bucket.server().clear_log();
        work();
        bucket.server().log()
    };
    let run = requests(&|| drop(first.peat(&["model", "method", "run", "hello", "execute"]).ok()));
    assert!(run.len() <= 6, "{} requests: {run:#?}", run.len());
    let bytes: u64 = run.iter().map(|logged| logged.bytes_in.max(logged.bytes_out)).sum();
    assert!(bytes <= 128 * 1024, "{bytes} bytes");
    drop(requests(&|| drop(second.peat(&["datastore", "sync"]).ok())));
    let nothing = requests(&|| drop(second.peat(&["datastore", "sync"]).ok()));
    assert!(nothing.len() <= 2, "{nothing:#?}");
}
