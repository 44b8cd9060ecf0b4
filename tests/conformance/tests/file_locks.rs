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

#[tokio::test]
async fn a_process_that_was_stopped_while_it_drew_holds_up_its_waiters_and_no_other_work() {
    let place = tempfile::tempdir().unwrap();
    let locks = FileLocks::open(place.path(), "peat test").unwrap();
    drop(locks.lock(&partition("p"), Duration::ZERO).await.unwrap());
    let door = std::fs::File::open(place.path().join("p/door")).unwrap();
    door.lock().unwrap();
    let (open, opened) = std::sync::mpsc::channel::<()>();
    let opening = std::thread::spawn(move || {
        // By itself, should the waiter keep this thread from saying so.
        let _ = opened.recv_timeout(Duration::from_secs(10));
        door.unlock().unwrap();
    });
    let waiting = tokio::spawn(async move { locks.lock(&partition("p"), Duration::from_secs(60)).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    open.send(()).unwrap();
    waiting.await.unwrap().unwrap();
    opening.join().unwrap();
}

/// The pids of a queue: holder first.
fn pids(locks: &FileLocks) -> Vec<u32> {
    let queue = locks.queue(&partition("p")).unwrap();
    queue.iter().flat_map(|queue| std::iter::once(&queue.holder).chain(&queue.waiting)).map(|found| found.pid).collect()
}

async fn until(locks: &FileLocks, pids_wanted: &[u32]) {
    let began = std::time::Instant::now();
    while pids(locks) != pids_wanted {
        assert!(began.elapsed() < Duration::from_secs(60), "{:?} is not {pids_wanted:?}", pids(locks));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn processes_get_the_lock_in_the_order_they_came_and_the_dead_are_passed_over() {
    let place = tempfile::tempdir().unwrap();
    let locks = FileLocks::open(place.path(), "peat test").unwrap();
    assert_eq!(locks.queue(&partition("p")).unwrap(), None);
    let guard = locks.lock(&partition("p"), Duration::ZERO).await.unwrap();
    let mut order = vec![std::process::id()];
    let mut waiting = std::collections::VecDeque::new();
    for _ in 0..6 {
        let worker = Worker::start(WORKER, &["hold", place.path().to_str().unwrap(), "p"]);
        order.push(worker.id());
        waiting.push_back(worker);
        until(&locks, &order).await;
    }
    let queues = locks.queues().unwrap();
    assert_eq!((queues.len(), queues[0].0.as_str()), (1, "p"));
    assert_eq!(queues[0].1.waiting[0].command, "peat model method run");
    // Two die while they wait, one in the middle and the last one.
    for place in [3, 4] {
        waiting.remove(place - 1).unwrap().kill();
        order.remove(place);
        until(&locks, &order).await;
    }
    drop(guard);
    while let Some(mut holder) = waiting.pop_front() {
        order.remove(0);
        until(&locks, &order).await;
        assert_eq!(holder.first_line(), "locked");
        holder.kill();
    }
    until(&locks, &[]).await;
    locks.lock(&partition("p"), Duration::ZERO).await.unwrap();
}
