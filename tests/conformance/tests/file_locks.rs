//! Locks on files do what every local locks must do.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

use peat_conformance_tests::{Fixture, local_locks_suite};
use peat_store::FileLocks;

local_locks_suite!(Fixture::in_directory(|path| FileLocks::open(path, "peat test").unwrap()));

use std::process::{Command, Stdio};
use std::time::Duration;

use peat_conformance_tests::samples::partition;
use peat_conformance_tests::worker::Worker;
use peat_core::ports::{LocalLockError, LocalLocks};

const WORKER: &str = env!("CARGO_BIN_EXE_store-worker");

#[tokio::test]
async fn another_process_is_named_while_it_holds_the_lock_and_its_death_frees_it() {
    let place = tempfile::tempdir().unwrap();
    let locks = FileLocks::open(place.path(), "peat test").unwrap();
    let mut holder = Worker::start(WORKER, &["hold", place.path().to_str().unwrap(), "p"]);
    assert_eq!(holder.first_line(), "locked");
    let refused = locks.lock(&partition("p"), Duration::from_millis(50)).await;
    let Err(LocalLockError::Held { holder: named, .. }) = &refused else { panic!("{refused:?}") };
    assert_eq!(*named, format!("process {} (peat model method run)", holder.id()));
    let name = partition("p");
    let waiting = locks.lock(&name, Duration::from_secs(10));
    let killing = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(50));
        holder.kill()
    });
    let (answer, killed) = futures::join!(waiting, killing);
    killed.unwrap();
    answer.unwrap();
}

#[tokio::test]
async fn a_child_process_does_not_keep_the_lock_alive() {
    let place = tempfile::tempdir().unwrap();
    let locks = FileLocks::open(place.path(), "peat test").unwrap();
    let guard = locks.lock(&partition("p"), Duration::ZERO).await.unwrap();
    let mut child = Command::new("sleep").arg("30").stdin(Stdio::null()).spawn().unwrap();
    drop(guard);
    let again = locks.lock(&partition("p"), Duration::from_millis(500)).await;
    child.kill().unwrap();
    child.wait().unwrap();
    again.unwrap();
}

#[tokio::test]
async fn locks_of_a_directory_that_cannot_be_are_an_error_with_its_path() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("file"), "in the way").unwrap();
    let error = FileLocks::open(&place.path().join("file/locks"), "peat test").unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
}
