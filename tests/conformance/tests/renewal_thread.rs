//! The lane of renewals: whatever the caller's own runtime does, leases are renewed.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use peat_conformance_tests::buckets;
use peat_conformance_tests::native_chain::NativeChain;
use peat_conformance_tests::samples::partition;
use peat_core::ports::{AcquireRequest, Clock as _, Datastore, DatastoreError, ErrorKind};
use peat_core::renewal::{KeptLease, RenewalLane as _};
use peat_store::{RenewalThread, SystemClock};
use peat_test_support::clock::ManualClock;
use peat_test_support::datastore::{MemoryDatastore, SharedState};
use peat_test_support::local_store::MemoryStore;

/// For what nobody renews: over soon.
const TTL: Duration = Duration::from_millis(1_500);

/// For what must be renewed in time, on a machine however busy.
const LONG_TTL: Duration = Duration::from_secs(15);

const PATIENCE: Duration = Duration::from_secs(60);

fn datastore(state: &SharedState) -> Arc<MemoryDatastore> {
    let clock = ManualClock::default();
    Arc::new(MemoryDatastore::new(state.clone(), clock, Arc::new(MemoryStore::default())))
}

fn request(ttl: Duration) -> AcquireRequest {
    AcquireRequest { partitions: vec![partition("p")], ttl, wait: Duration::ZERO, holds_others: false }
}

async fn kept(datastore: &Arc<MemoryDatastore>, ttl: Duration) -> (KeptLease, RenewalThread) {
    let lease = datastore.acquire(&request(ttl)).await.unwrap().remove(0);
    let lane = RenewalThread::new(datastore.clone(), Arc::new(SystemClock));
    let (kept, renewal) = KeptLease::new(lease, &SystemClock);
    lane.begin(renewal).unwrap();
    (kept, lane)
}

fn renewals(state: &SharedState) -> usize {
    state.calls().iter().filter(|call| **call == "renew").count()
}

/// On a runtime of one thread, which the caller never gives back.
#[tokio::test(flavor = "current_thread")]
async fn a_runtime_that_is_never_free_does_not_starve_renewals() {
    let state = SharedState::default();
    let datastore = datastore(&state);
    let (kept, _lane) = kept(&datastore, LONG_TTL).await;
    let began = Instant::now();
    while renewals(&state) < 2 {
        assert!(began.elapsed() < PATIENCE, "{} renewals", renewals(&state));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(kept.lease().is_some());
    assert!(kept.loss(&SystemClock).now_or_never().is_none());
}

/// The connections of a client are driven by the runtime that opened them. The lane opens its own.
#[tokio::test(flavor = "current_thread")]
async fn renewals_in_a_bucket_do_not_wait_for_the_runtime_of_the_command() {
    let (settings, replica) = (buckets::settings(), Arc::new(MemoryStore::default()));
    let datastore = NativeChain::new(Arc::new(buckets::open(settings.clone()).await), replica.clone());
    datastore.setup().await.unwrap();
    let lease = datastore.acquire(&request(LONG_TTL)).await.unwrap().remove(0);
    let (before, (kept, renewal)) = (lease.state.clone(), KeptLease::new(lease, &SystemClock));
    let opening = async move {
        Arc::new(NativeChain::new(Arc::new(buckets::open(settings).await), replica)) as Arc<dyn Datastore>
    };
    let lane = RenewalThread::opening(opening, Arc::new(SystemClock));
    lane.begin(renewal).unwrap();
    let began = Instant::now();
    while kept.lease().expect("it is not lost").state == before {
        assert!(began.elapsed() < PATIENCE, "it was never renewed");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn a_lease_that_is_given_up_soon_opens_no_datastore_beside_the_command_s() {
    let state = SharedState::default();
    let datastore = datastore(&state);
    let is_opened = Arc::new(AtomicBool::new(false));
    let opening = {
        let (opened, datastore) = (Arc::clone(&is_opened), Arc::clone(&datastore));
        async move {
            opened.store(true, Ordering::SeqCst);
            datastore as Arc<dyn Datastore>
        }
    };
    let lane = RenewalThread::opening(opening, Arc::new(SystemClock));
    let lease = datastore.acquire(&request(LONG_TTL)).await.unwrap().remove(0);
    let (kept, renewal) = KeptLease::new(lease, &SystemClock);
    lane.begin(renewal).unwrap();
    kept.release(&*datastore).await.unwrap();
    // Past the time at which it would be opened for a lease that is still needed.
    tokio::time::sleep(LONG_TTL / 5).await;
    assert!(!is_opened.load(Ordering::SeqCst), "it was opened for a lease that was given up at once");
}

#[tokio::test]
async fn no_renewal_follows_a_release() {
    let state = SharedState::default();
    let datastore = datastore(&state);
    let (kept, _lane) = kept(&datastore, TTL).await;
    kept.release(&*datastore).await.unwrap();
    let before = renewals(&state);
    tokio::time::sleep(TTL).await;
    assert_eq!(renewals(&state), before);
    assert!(!state.is_leased(&partition("p")));
}

#[tokio::test]
async fn a_lane_that_stands_still_does_not_hide_that_the_lease_is_over() {
    let datastore = datastore(&SharedState::default());
    let lease = datastore.acquire(&request(TTL)).await.unwrap().remove(0);
    let (kept, _nobody_runs_it) = KeptLease::new(lease, &SystemClock);
    let began_ms = SystemClock.elapsed_ms();
    let lost = kept.loss(&SystemClock).await;
    assert!(SystemClock.elapsed_ms() - began_ms >= 1_000, "given up too early");
    assert!(matches!(&lost, DatastoreError::Refused { kind: ErrorKind::LeaseLost, .. }), "{lost:?}");
    assert!(kept.lease().is_none());
}
