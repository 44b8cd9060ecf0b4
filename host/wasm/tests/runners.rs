//! What a host does with a runner that does not do its part: it is a named error, and the next call works.
#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use peat_core::ports::{ExtensionError, MethodError};
use peat_test_guests::text::{model, model_metadata};
use peat_wasm::Launcher;
use world::runner::{Refusing, Scripted, on_a_thread};
use world::{World, invocation};

const LONG: Duration = Duration::from_secs(60);

/// Version 1 of the protocol, nothing given up, nothing exported.
const READY: &[u8] = &[1, 0, 0, 0, 0, 0, 0, 0, 0];

fn frame(kind: u8, call: u32, number: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&[kind][..], &call.to_le_bytes(), &number.to_le_bytes(), &length.to_le_bytes(), body].concat()
}

/// A guest that does its work.
fn well() -> Vec<u8> {
    model("(func $run (result i32) (call $ok))", &model_metadata("guest", None))
}

async fn failure(launcher: Arc<dyn Launcher>, deadline: Duration) -> ExtensionError {
    let world = World::new();
    let mut binding = world.binding();
    binding.launcher = Some(launcher);
    let source = world.install(&well());
    let invocation = invocation("run", serde_json::json!({}), deadline);
    match world.execute_there(source, binding, &invocation).await.result.unwrap_err() {
        MethodError::Extension(error) => error,
        other => panic!("{other}"),
    }
}

async fn said(says: Vec<u8>) -> String {
    let error = failure(Arc::new(Scripted { says, stays: true }), LONG).await;
    assert!(matches!(error, ExtensionError::Runner { .. }), "{error}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_cannot_be_started_says_why() {
    let error = failure(Arc::new(Refusing), LONG).await.to_string();
    assert!(error.contains("driver `container`") && error.contains("install podman"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_ends_before_or_after_its_first_word_is_a_named_error() {
    for says in [Vec::new(), frame(2, 0, 0, READY)[..7].to_vec(), frame(2, 0, 0, READY)] {
        let error = failure(Arc::new(Scripted { says, stays: false }), LONG).await;
        assert!(matches!(error, ExtensionError::Runner { .. }), "{error}");
        assert!(error.to_string().contains("ended early: the thread ended"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_of_another_version_is_refused_with_the_remedy() {
    let mut other = READY.to_vec();
    other[0] = 9;
    let error = said(frame(2, 0, 0, &other)).await;
    assert!(error.contains("version 9") && error.contains("install the peat-runner"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_runner_may_say_ends_the_call() {
    let after_ready = |more: Vec<u8>| [frame(2, 0, 0, READY), more].concat();
    for (says, expected) in [
        (frame(9, 0, 0, &[]), "began with Ended"),
        (frame(2, 0, 0, &[1]), "does not parse"),
        (after_ready(frame(8, 1, 0, &[])), "Answer"),
        (after_ready(frame(6, 1, 0, &[])), "does not parse"),
        (after_ready(frame(6, 1, 0, &[255])), "does not parse"),
        // Secrets, which were not granted; an object store, which is not for models.
        (after_ready(frame(6, 1, 0, &[4, 0, 0, 0, 0])), "not granted"),
        (after_ready(frame(6, 1, 0, &[53])), "not granted"),
        // Something that must be asked for is told, and the other way round.
        (after_ready(frame(7, 1, 0, &[10, 0, 0, 0, 0])), "must be asked"),
        (after_ready(frame(6, 1, 0, &[15, 1, 0, 0, 0])), "must be told"),
        (after_ready(frame(9, 1, 0, &[7])), "the end that it sent"),
        // An answer of a method that is none.
        (
            after_ready(frame(9, 1, 0, &[1, 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
            "the results",
        ),
    ] {
        let error = said(says).await;
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_no_call_that_was_begun_ends_the_runner() {
    for call in [0, 2, u32::MAX] {
        let error = said([frame(2, 0, 0, READY), frame(9, call, 0, &[])].concat()).await;
        assert!(error.contains(&format!("sent Ended for call {call}, which was never begun")), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_that_was_never_given_ends_the_call_as_it_does_for_a_guest() {
    let read_blob_77 = [13, 77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    let says = [frame(2, 0, 0, READY), frame(6, 1, 0, &read_blob_77)].concat();
    let error = failure(Arc::new(Scripted { says, stays: true }), LONG).await;
    assert!(matches!(error, ExtensionError::Trapped { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_pretends_to_be_endless_is_not_taken_in() {
    let mut endless = frame(6, 1, 0, &[]);
    endless[9..13].fill(0xff);
    let error = said([frame(2, 0, 0, READY), endless].concat()).await;
    assert!(error.contains("closed its output") || error.contains("ended early"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_never_ends_its_call_is_ended_at_the_deadline() {
    let says = frame(2, 0, 0, READY);
    let error = failure(Arc::new(Scripted { says, stays: true }), Duration::from_millis(300)).await;
    assert!(matches!(error, ExtensionError::Deadline { deadline_ms: 300, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_execution_of_a_method_has_a_runner_of_its_own() {
    let world = World::new();
    let launcher = on_a_thread();
    let mut binding = world.binding();
    binding.launcher = Some(launcher.clone());
    let source = world.install(&well());
    let invocation = invocation("run", serde_json::json!({}), LONG);
    for _ in 0..2 {
        let ran = world.execute_there(source.clone(), binding.clone(), &invocation).await;
        assert_eq!(ran.result.unwrap().summary, "done");
    }
    assert_eq!(*launcher.started.lock().unwrap(), 2);
}
