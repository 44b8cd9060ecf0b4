//! What every implementation of local locks must do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use peat_core::ports::{LocalLockError, LocalLocks};

use crate::samples::partition;

const LONG: Duration = Duration::from_secs(10);

/// One test a check; `make` gives a `Fixture` with locks nobody holds.
#[macro_export]
macro_rules! local_locks_suite {
    ($make:expr) => {
        $crate::suite! { $make, local_locks:
            a_free_lock_is_given_at_once_and_a_held_one_is_not
            different_partitions_do_not_wait_for_each_other
            a_waiter_gets_the_lock_when_it_is_dropped
            at_most_one_holds_a_lock_and_all_get_it
            a_wait_that_was_dropped_leaves_no_lock_behind
            a_wait_that_ended_leaves_no_lock_behind
        }
    };
}

pub async fn a_free_lock_is_given_at_once_and_a_held_one_is_not(locks: &impl LocalLocks) {
    let guard = locks.lock(&partition("a"), Duration::ZERO).await.unwrap();
    let began = Instant::now();
    let refused = locks.lock(&partition("a"), Duration::from_millis(100)).await;
    assert!(matches!(&refused, Err(LocalLockError::Held { waited_ms: 100, .. })), "{refused:?}");
    assert!(began.elapsed() >= Duration::from_millis(95) && began.elapsed() < LONG);
    assert!(matches!(locks.lock(&partition("a"), Duration::ZERO).await, Err(LocalLockError::Held { .. })));
    drop(guard);
}

pub async fn different_partitions_do_not_wait_for_each_other(locks: &impl LocalLocks) {
    let _first = locks.lock(&partition("a"), Duration::ZERO).await.unwrap();
    let _second = locks.lock(&partition("b"), Duration::ZERO).await.unwrap();
}

pub async fn a_waiter_gets_the_lock_when_it_is_dropped(locks: &impl LocalLocks) {
    let guard = locks.lock(&partition("a"), LONG).await.unwrap();
    let name = partition("a");
    let waiter = locks.lock(&name, LONG);
    let release = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(guard);
    };
    let began = Instant::now();
    let (answer, ()) = futures::join!(waiter, release);
    answer.unwrap();
    assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
}

pub async fn at_most_one_holds_a_lock_and_all_get_it(locks: &impl LocalLocks) {
    let inside = AtomicUsize::new(0);
    let name = partition("a");
    let turns = (0..20).map(|_| async {
        let guard = locks.lock(&name, LONG).await.unwrap();
        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold the lock");
        tokio::time::sleep(Duration::from_millis(2)).await;
        inside.fetch_sub(1, Ordering::SeqCst);
        drop(guard);
    });
    join_all(turns).await;
}

pub async fn a_wait_that_was_dropped_leaves_no_lock_behind(locks: &impl LocalLocks) {
    let guard = locks.lock(&partition("a"), Duration::ZERO).await.unwrap();
    let name = partition("a");
    let dropped = tokio::time::timeout(Duration::from_millis(50), locks.lock(&name, LONG)).await;
    assert!(dropped.is_err());
    drop(guard);
    locks.lock(&partition("a"), LONG).await.unwrap();
}

pub async fn a_wait_that_ended_leaves_no_lock_behind(locks: &impl LocalLocks) {
    let guard = locks.lock(&partition("a"), Duration::ZERO).await.unwrap();
    let name = partition("a");
    let waits = (0..8).map(|_| locks.lock(&name, Duration::from_millis(30)));
    assert!(join_all(waits).await.iter().all(|answer| matches!(answer, Err(LocalLockError::Held { .. }))));
    drop(guard);
    locks.lock(&partition("a"), LONG).await.unwrap();
}
