//! Commands that are asked to stop, and results that cannot be sent at once.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use peat_end_to_end_tests::{Checkout, Outcome, Scratch, TestBucket};
use peat_test_support::s3::{Fault, Operation, Rule};
use rustix::process::{Pid, Signal, kill_process};

/// Whatever is waited for has come by then.
const PATIENCE: Duration = Duration::from_secs(120);

/// A method that notes the process of its shell, and ends for no signal that a process can ignore.
fn stubborn(checkout: &Checkout, scratch: &Scratch) -> std::path::PathBuf {
    let noted = scratch.path().join("shell-pid");
    let script = format!(
        "trap '' TERM INT HUP; echo $$ > {0}.new; mv {0}.new {0}; while :; do sleep 0.2; done",
        noted.display()
    );
    checkout.shell_model("stubborn", &script);
    noted
}

fn begin(checkout: &Checkout, noted: &Path) -> (Child, Pid) {
    let mut command = checkout.command(&["model", "method", "run", "stubborn", "execute"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while !noted.exists() {
        assert!(began.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(10));
    }
    let shell = std::fs::read_to_string(noted).unwrap().trim().parse().unwrap();
    std::fs::remove_file(noted).unwrap();
    (child, Pid::from_raw(shell).unwrap())
}

/// Until there is no such process, or it has ended and waits to be taken.
fn wait_until_gone(process: Pid) {
    let began = Instant::now();
    let stat = format!("/proc/{}/stat", process.as_raw_nonzero());
    let is_there = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    while is_there() {
        assert!(began.elapsed() < PATIENCE, "the shell lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn leases(checkout: &Checkout) -> usize {
    checkout.peat(&["datastore", "lock", "status", "--json"]).ok().json()["locks"].as_array().unwrap().len()
}

fn an_interrupt_ends_what_ignores_it(checkout: &Checkout, scratch: &Scratch) {
    let noted = stubborn(checkout, scratch);
    for signal in [Signal::INT, Signal::TERM] {
        let (child, shell) = begin(checkout, &noted);
        assert_eq!(leases(checkout), 1);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let ended = Outcome::of("run".to_owned(), child.wait_with_output().unwrap());
        ended.ended_with(130);
        wait_until_gone(shell);
        assert_eq!(leases(checkout), 0, "the lease is given up, not left to its time to live");
    }
    // Who does not want to wait for that says so twice.
    let (child, shell) = begin(checkout, &noted);
    for _ in 0..2 {
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    wait_until_gone(shell);
    checkout.shell_model("after", "echo after");
    checkout.peat(&["model", "method", "run", "after", "execute"]).ok();
}

#[test]
fn an_interrupt_ends_what_ignores_it_over_a_directory() {
    let scratch = Scratch::new();
    let checkout = scratch.machine().repository("checkout");
    checkout.share_through(&scratch.shared_directory());
    an_interrupt_ends_what_ignores_it(&checkout, &scratch);
}

#[test]
fn an_interrupt_ends_what_ignores_it_over_a_bucket() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::new());
    let checkout = bucket.machine(&scratch).repository("checkout");
    bucket.share(&checkout, &[]);
    an_interrupt_ends_what_ignores_it(&checkout, &scratch);
}

#[test]
fn results_of_a_run_that_lost_its_datastore_are_pushed_later() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
    let checkout = bucket.machine(&scratch).repository("checkout");
    checkout.shell_model("m", "echo done; head -c 100000 /dev/zero");
    bucket.share(&checkout, &[]);
    let busy = Fault::Refused { status: 503, code: "SlowDown", retry_after: None };
    bucket.server().fail(Rule::next(busy).on(Operation::Put).key("/_packs/").times(1_000));
    let lost = checkout.peat(&["model", "method", "run", "m", "execute"]).ended_with(6);
    lost.says(&["kept on this machine as uncommitted"]);
    checkout.peat(&["datastore", "push"]).ended_with(6);
    bucket.server().heal();
    let pushed = checkout.peat(&["datastore", "push", "--json"]).ok().json();
    assert_eq!(pushed["sync"]["commitsPushed"], 1, "{pushed:#}");
    let again = checkout.peat(&["datastore", "push", "--json"]).ok().json();
    assert_eq!(again["sync"]["commitsPushed"], 0, "{again:#}");
    let other = bucket.machine(&scratch).clone_of(&checkout, "checkout");
    other.peat(&["datastore", "sync"]).ok();
    other.peat(&["data", "versions", "m", "stdout"]).ok();
}

#[test]
fn a_push_brings_nothing() {
    let scratch = Scratch::new();
    let first = scratch.machine().repository("checkout");
    first.shell_model("m", "echo m");
    first.share(&scratch);
    let second = scratch.machine().clone_of(&first, "checkout");
    first.peat(&["model", "method", "run", "m", "execute"]).ok();
    second.peat(&["datastore", "push"]).ok();
    let known = || {
        let status = second.peat(&["datastore", "status", "--json"]).ok().json();
        status["datastore"]["sizes"].as_array().map(Vec::len)
    };
    assert_eq!(known(), Some(0), "it sends, and brings nothing");
    second.peat(&["datastore", "sync"]).ok();
    assert_eq!(known(), Some(1));
}
