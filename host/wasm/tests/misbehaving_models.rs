//! Guests that misbehave: each ends with its own named error, the host stays bounded, and the next call works.
//!
//! The guests are those of `tests/guests/hostile`. The real binary runs them, too (`tests/end_to_end/tests/methods`); here
//! their errors have types, and what needs the inside of a host is tested.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::time::{Duration, Instant};

use peat_core::ports::{ExtensionError, MethodError};
use peat_test_guests::{Ends, HOSTILE, Hostile, text};
use peat_wasm::Limits;

use world::{Ran, World, invocation};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);

/// What these do is bounded by the run they belong to, which is not here.
const OF_THE_RUN: [&str; 3] = ["slices-add-up", "name-flood", "escape-directory"];

/// A model `@test/guest` of these items of a module.
fn model(items: &str) -> Vec<u8> {
    text::model(items, &text::model_metadata("guest", None))
}

/// One whose `run` has this body.
fn running(body: &str) -> Vec<u8> {
    model(&format!("(func $run (result i32) {body})"))
}

fn hostile(name: &str) -> Vec<u8> {
    Hostile::named(name).extension()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hostile_guest_ends_as_it_must_and_the_next_call_works() {
    let world = World::new();
    let good = running("(call $ok)");
    for guest in HOSTILE.iter().filter(|guest| !OF_THE_RUN.contains(&guest.name)) {
        // Only who does not end by itself is given little time: everybody else may be slow.
        let deadline = if guest.ends == Ends::Deadline { SHORT } else { LONG };
        let ran = world.run(&guest.extension(), deadline).await;
        let as_it_must = match (&guest.ends, &ran.result) {
            (Ends::Well, Ok(outcome)) => outcome.summary.contains("done"),
            (Ends::Trap(because), Err(MethodError::Extension(ExtensionError::Trapped { reason, .. }))) => {
                reason.contains(because)
            }
            (Ends::Limit(on), Err(MethodError::Extension(ExtensionError::Limit { limit, .. }))) => limit == on,
            (Ends::Deadline, Err(MethodError::Extension(ExtensionError::Deadline { deadline_ms: 300, .. }))) => true,
            _ => false,
        };
        assert!(as_it_must, "{} must end with {:?}: {:?}", guest.name, guest.ends, ran.result);
        let next = world.run(&good, LONG).await;
        assert_eq!(next.result.unwrap().summary, "done", "after {}", guest.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_does_its_work_answers() {
    let ran = World::new().run(&running("(call $ok)"), LONG).await;
    assert_eq!(ran.result.unwrap().summary, "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_lives_with_a_refused_growth_goes_on() {
    let world = World::new();
    let guest = running("(if (i32.ne (memory.grow (i32.const 8192)) (i32.const -1)) (then unreachable)) (call $ok)");
    assert_eq!(world.run(&guest, LONG).await.result.unwrap().summary, "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gigabyte_of_log_is_cut_and_said_so_once() {
    let world = World::new();
    let before = resident_bytes();
    let ran = world.run(&hostile("giant-line"), LONG).await;
    assert_eq!(ran.result.as_ref().unwrap().summary, "done");
    let kept: usize = ran.log.iter().map(String::len).sum();
    assert!(kept <= 4 * 1024 * 1024 + 100_000, "{kept} bytes of log were kept");
    assert!(ran.log.last().unwrap().contains("the log is cut"), "{}", ran.log.last().unwrap());
    assert_eq!(ran.log.iter().filter(|line| line.contains("the log is cut")).count(), 1);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 200 * 1024 * 1024, "the host grew by {grown} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_lines_of_log_are_counted() {
    let ran = World::new().run(&hostile("log-flood"), LONG).await;
    assert_eq!(ran.log.len(), 10_001);
    assert_eq!(ran.log[0], "info: done");
    assert!(ran.log[10_000].contains("90000 lines and 360000 bytes more"), "{}", ran.log[10_000]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contents_without_bound_do_not_fill_the_host() {
    let world = World::new();
    let before = resident_bytes();
    assert!(world.run(&hostile("hoard-contents"), LONG).await.error().contains("small contents"));
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 400 * 1024 * 1024, "the host grew by {grown} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_of_too_many_tables_hits_its_limit() {
    let world = World::with(Limits { instances: 8, ..Limits::default() });
    let guest = model(&("(table 1 funcref)\n".repeat(9) + "(func $run (result i32) (call $ok))"));
    let error = world.run(&guest, LONG).await.error();
    assert!(error.contains("instances, memories or tables"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_of_the_method_is_not_a_trap() {
    let fails = "(drop (call $ok)) (i32.store8 (i32.const 2048) (i32.const 1))
        (i32.store8 (i32.const 2060) (i32.const 1)) (i32.const 2048)";
    match World::new().run(&running(fails), LONG).await.result {
        Err(MethodError::Failed { message, transient }) => assert!(message == "done" && transient),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_busy_guest_starves_nobody_on_its_thread() {
    let world = World::new();
    let guest = hostile("endless-loop");
    // Compiled before time is taken.
    world.run(&guest, Duration::from_millis(1)).await;
    let turns = std::cell::Cell::new(0);
    let others = async {
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            turns.set(turns.get() + 1);
        }
    };
    tokio::select! {
        ran = world.run(&guest, Duration::from_secs(2)) => {
            assert!(matches!(ran.result, Err(MethodError::Extension(ExtensionError::Deadline { .. }))));
        }
        () = others => unreachable!("it has no end"),
    }
    // A guest that kept its thread would leave them one turn. Their number is the machine's: hundreds on an idle one.
    assert!(turns.get() >= 10, "others had {} turns within 2 s", turns.get());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_run_ends_its_guest() {
    let world = World::new();
    let guest = hostile("endless-loop");
    let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let cut = tokio::time::timeout(SHORT, world.run(&guest, LONG)).await;
    assert!(cut.is_err());
    let waited = Instant::now();
    while tokio::runtime::Handle::current().metrics().num_alive_tasks() > alive {
        assert!(waited.elapsed() < Duration::from_secs(10), "the guest's task is still there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.run(&running("(call $ok)"), LONG).await.result.unwrap().summary, "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_runs_at_once_do_not_meet() {
    let world = World::new();
    let good = world.install(&running("(call $ok)"));
    let bad = world.install(&running("unreachable"));
    let invocation = invocation("run", serde_json::json!({}), LONG);
    let runs = (0..40).map(|number| {
        let source = if number % 2 == 0 { good.clone() } else { bad.clone() };
        world.execute(source, world.binding(), &invocation)
    });
    let ran: Vec<Ran> = futures::future::join_all(runs).await;
    for (number, ran) in ran.iter().enumerate() {
        assert_eq!(ran.result.is_ok(), number % 2 == 0, "run {number}: {:?}", ran.result);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limits_are_those_of_the_host() {
    let world = World::with(Limits { memory_bytes: 1024 * 1024, ..Limits::default() });
    let guest = model("(memory (export \"memory\") 17)\n(func $run (result i32) (call $ok))");
    let error = world.run(&guest, LONG).await.error();
    assert!(error.contains("1048576 bytes of memory"), "{error}");
}

/// Resident set of this process, in bytes.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
