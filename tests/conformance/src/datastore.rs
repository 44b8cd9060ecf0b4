//! What every shared datastore must do, seen through the port by several machines that share one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use peat_core::content::SharedContent;
use peat_core::entry::{ChangeSet, Entry};
use peat_core::identifiers::{PartitionName, Version};
use peat_core::lease::Lease;
use peat_core::ports::{
    AcquireRequest, ContentRequest, Datastore, DatastoreError, EntryFilter, ErrorKind, LocalStore, PullDepth,
    PullRequest, PushReceipt, PushRequest, Verdict,
};
use peat_test_support::local_store::MemoryStore;

use crate::samples::{append, bytes, new_entry, partition, read, reference};

/// One machine's view of the shared datastore, with the local store that is its memory of it.
pub struct Machine {
    /// The datastore, bound to `store` as its replica.
    pub datastore: Box<dyn Datastore>,
    /// Where news is applied.
    pub store: Arc<MemoryStore>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Machine({})", self.datastore.summary())
    }
}

/// Makes machines that share one datastore.
#[async_trait]
pub trait Machines: Send + Sync {
    /// One more.
    async fn join(&self) -> Machine;
}

/// One test a check; `make` gives a `Fixture` of `Machines` whose datastore is empty.
#[macro_export]
macro_rules! datastore_suite {
    ($make:expr) => {
        $crate::suite! { $make, datastore:
            setting_up_again_finds_the_same_store
            what_one_pushes_the_others_pull
            an_empty_datastore_has_no_news
            versions_of_a_name_count_up
            a_commit_repeated_is_done_once
            what_is_known_is_not_pulled_again
            a_pull_brings_what_was_asked_for
            pushes_to_different_partitions_do_not_meet
            contents_of_all_sizes_come_back
        }
    };
}

/// The checks for datastores that have leases.
#[macro_export]
macro_rules! datastore_lease_suite {
    ($make:expr) => {
        $crate::suite! { $make, datastore:
            a_lease_keeps_others_out_until_it_is_released
            a_push_may_give_the_lease_up
            a_renewed_lease_goes_on_and_a_released_one_does_not
            epochs_grow
            several_leases_are_had_together_or_not_at_all
        }
    };
}

/// The checks for datastores that wait, expire and remove in real time.
#[macro_export]
macro_rules! datastore_shared_store_suite {
    ($make:expr) => {
        $crate::suite! { $make, datastore:
            of_many_who_wait_all_commit_and_none_is_lost
            a_lease_that_expired_is_taken_over_and_its_holder_cannot_commit
            removed_versions_leave_every_machine
            a_version_cap_keeps_the_newest
            numbers_of_another_datastore_are_kept
            content_that_is_asked_for_with_another_digest_is_corrupt
        }
    };
}

const TTL: Duration = Duration::from_secs(60);

impl Machine {
    async fn acquire(&self, of: &PartitionName, wait: Duration) -> Result<Lease, DatastoreError> {
        let request = AcquireRequest { partitions: vec![of.clone()], ttl: TTL, wait, holds_others: false };
        Ok(self.datastore.acquire(&request).await?.remove(0))
    }

    async fn push(
        &self,
        changes: ChangeSet,
        lease: Option<Lease>,
        release: bool,
    ) -> Result<PushReceipt, DatastoreError> {
        self.datastore.push(&PushRequest { changes, lease, release, may_be_repeated: true }).await
    }

    /// As a run does it: lease, commit and release, where there are leases.
    async fn commit(&self, changes: ChangeSet) -> PushReceipt {
        let lease = if self.datastore.features().locks {
            Some(self.acquire(&changes.partition, Duration::from_secs(120)).await.unwrap())
        } else {
            None
        };
        self.push(changes, lease, true).await.unwrap()
    }

    /// Pulls all pages and takes them over; answers how many entries came.
    async fn pull(&self, partitions: Option<Vec<PartitionName>>) -> usize {
        let depth = if self.datastore.features().hydration { PullDepth::Index } else { PullDepth::Content };
        let mut request = PullRequest { partitions, leases: Vec::new(), depth, cursor: None };
        let mut entries = 0;
        loop {
            let page = self.datastore.pull(&request).await.unwrap();
            for delta in &page.deltas {
                entries += delta.entries.len();
                self.store.apply(delta).unwrap();
            }
            match page.cursor {
                Some(cursor) => request.cursor = Some(cursor),
                None => return entries,
            }
        }
    }

    fn entries(&self, of: &PartitionName) -> Vec<Entry> {
        let filter = EntryFilter { partition: Some(of.clone()), ..EntryFilter::default() };
        self.store.entries(&filter).unwrap().into_iter().map(|stored| stored.entry).collect()
    }

    async fn content(&self, of: &PartitionName, entry: &Entry) -> SharedContent {
        if let Some(content) = self.store.content(&entry.description.digest).unwrap() {
            return content;
        }
        let wanted = wanted(of, entry);
        self.datastore.fetch(&[wanted]).await.unwrap().remove(0).unwrap()
    }
}

fn wanted(of: &PartitionName, entry: &Entry) -> ContentRequest {
    ContentRequest {
        partition: of.clone(),
        name: entry.description.name.clone(),
        version: entry.version,
        size: entry.description.size,
        digest: entry.description.digest,
        location: entry.location.clone(),
    }
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T, DatastoreError>, expected: ErrorKind) {
    match result {
        Err(DatastoreError::Refused { kind, .. }) if kind == expected => {}
        other => panic!("{expected:?} was expected: {other:?}"),
    }
}

async fn joined(machines: &dyn Machines) -> Machine {
    let machine = machines.join().await;
    machine.datastore.setup().await.unwrap();
    machine
}

/// Check.
pub async fn setting_up_again_finds_the_same_store(machines: &dyn Machines) {
    let first = machines.join().await.datastore.setup().await.unwrap();
    let second = machines.join().await.datastore.setup().await.unwrap();
    let verified = machines.join().await.datastore.verify().await.unwrap();
    assert_eq!(first.store_id, second.store_id);
    assert_eq!(first.store_id, verified.store_id);
    let failed: Vec<_> = verified.findings.iter().filter(|finding| finding.verdict == Verdict::Failed).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// Check.
pub async fn what_one_pushes_the_others_pull(machines: &dyn Machines) {
    let (one, other) = (joined(machines).await, joined(machines).await);
    let of = partition("model--command+shell--model-00000001");
    let receipt = one.commit(append(1, of.as_str(), vec![new_entry("a/b", b"hello"), new_entry("c", b"")])).await;
    assert_eq!(receipt.entries.len(), 2);
    assert_eq!(receipt.entries[0].version, Version(1));
    assert_eq!(other.pull(None).await, 2);
    let entries = other.entries(&of);
    assert_eq!(entries[0].description, receipt.entries[0].description);
    assert_eq!(read(&other.content(&of, &entries[0]).await), b"hello");
    assert_eq!(read(&other.content(&of, &entries[1]).await), b"");
}

/// Check.
pub async fn an_empty_datastore_has_no_news(machines: &dyn Machines) {
    let machine = joined(machines).await;
    assert_eq!(machine.pull(None).await, 0);
    assert_eq!(machine.pull(Some(vec![partition("model--command+shell--model-00000009")])).await, 0);
}

/// Check.
pub async fn versions_of_a_name_count_up(machines: &dyn Machines) {
    let (one, other) = (joined(machines).await, joined(machines).await);
    for (number, machine) in (1..=4).zip([&one, &other, &other, &one]) {
        let receipt = machine.commit(append(number, "model-a", vec![new_entry("x", &bytes(number, 50))])).await;
        assert_eq!(receipt.entries[0].version, Version(number));
    }
    assert_eq!(other.pull(None).await, 4);
}

/// Check.
pub async fn a_commit_repeated_is_done_once(machines: &dyn Machines) {
    let (one, other) = (joined(machines).await, joined(machines).await);
    let changes = append(1, "model-a", vec![new_entry("x", b"once")]);
    let first = one.commit(changes.clone()).await;
    let again = one.commit(changes).await;
    assert_eq!(first.entries[0].version, again.entries[0].version);
    assert_eq!(other.pull(None).await, 1);
}

/// Check.
pub async fn what_is_known_is_not_pulled_again(machines: &dyn Machines) {
    let (one, other) = (joined(machines).await, joined(machines).await);
    one.commit(append(1, "model-a", vec![new_entry("x", b"1")])).await;
    assert_eq!(other.pull(None).await, 1);
    assert_eq!(other.pull(None).await, 0);
    one.commit(append(2, "model-b", vec![new_entry("y", b"2")])).await;
    assert_eq!(other.pull(None).await, 1);
}

/// Check.
pub async fn a_pull_brings_what_was_asked_for(machines: &dyn Machines) {
    let (one, other) = (joined(machines).await, joined(machines).await);
    for (number, of) in [(1, "model-a"), (2, "model-b"), (3, "model-c")] {
        one.commit(append(number, of, vec![new_entry("x", of.as_bytes())])).await;
    }
    assert_eq!(other.pull(Some(vec![partition("model-b")])).await, 1);
    assert!(other.entries(&partition("model-a")).is_empty());
    assert_eq!(other.pull(None).await, 2);
}

/// Check.
pub async fn pushes_to_different_partitions_do_not_meet(machines: &dyn Machines) {
    let members = join_all((0..6).map(|_| joined(machines))).await;
    let pushes = members.iter().zip(1_u64..).map(|(machine, number)| {
        machine.commit(append(number, &format!("model-{number}"), vec![new_entry("x", &bytes(number, 100))]))
    });
    for receipt in join_all(pushes).await {
        assert_eq!(receipt.entries[0].version, Version(1));
    }
    assert_eq!(joined(machines).await.pull(None).await, 6);
}

/// Check.
pub async fn contents_of_all_sizes_come_back(machines: &dyn Machines) {
    let (one, other) = (joined(machines).await, joined(machines).await);
    let of = partition("model-a");
    let mut contents: Vec<Vec<u8>> = (0..200).map(|seed| bytes(seed, 300)).collect();
    contents.extend([0, 1, 4096, 70_000, 1024 * 1024, 5 * 1024 * 1024 + 1].map(|length| bytes(999, length)));
    let named = contents.iter().enumerate().map(|(number, content)| new_entry(&format!("n{number:04}"), content));
    one.commit(append(1, of.as_str(), named.collect())).await;
    assert_eq!(other.pull(None).await, contents.len());
    let entries = other.entries(&of);
    if other.datastore.features().hydration {
        let wanted: Vec<_> = entries.iter().map(|entry| wanted(&of, entry)).collect();
        let fetched = other.datastore.fetch(&wanted).await.unwrap();
        for (found, content) in fetched.iter().zip(&contents) {
            assert_eq!(&read(found.as_ref().unwrap()), content);
        }
    }
    for (entry, content) in entries.iter().zip(&contents) {
        assert_eq!(&read(&other.content(&of, entry).await), content);
    }
}

/// Check.
pub async fn a_lease_keeps_others_out_until_it_is_released(machines: &dyn Machines) {
    let (one, other) = (joined(machines).await, joined(machines).await);
    let of = partition("model-a");
    let lease = one.acquire(&of, Duration::ZERO).await.unwrap();
    assert_refused(other.acquire(&of, Duration::ZERO).await, ErrorKind::Held);
    other.acquire(&partition("model-b"), Duration::ZERO).await.unwrap();
    one.datastore.release(&lease).await.unwrap();
    other.acquire(&of, Duration::ZERO).await.unwrap();
}

/// Check.
pub async fn a_push_may_give_the_lease_up(machines: &dyn Machines) {
    let (one, other) = (joined(machines).await, joined(machines).await);
    let of = partition("model-a");
    let lease = one.acquire(&of, Duration::ZERO).await.unwrap();
    let kept = one.push(append(1, of.as_str(), vec![new_entry("x", b"1")]), Some(lease), false).await.unwrap();
    assert_refused(other.acquire(&of, Duration::ZERO).await, ErrorKind::Held);
    let released = one.push(append(2, of.as_str(), vec![new_entry("x", b"2")]), kept.lease, true).await.unwrap();
    assert!(released.lease.is_none());
    other.acquire(&of, Duration::ZERO).await.unwrap();
}

/// Check.
pub async fn a_renewed_lease_goes_on_and_a_released_one_does_not(machines: &dyn Machines) {
    let one = joined(machines).await;
    let of = partition("model-a");
    let lease = one.acquire(&of, Duration::ZERO).await.unwrap();
    let renewed = one.datastore.renew(&lease).await.unwrap();
    let receipt = one.push(append(1, of.as_str(), vec![new_entry("x", b"1")]), Some(renewed), false).await.unwrap();
    let lease = receipt.lease.unwrap();
    one.datastore.release(&lease).await.unwrap();
    assert_refused(one.datastore.renew(&lease).await, ErrorKind::LeaseLost);
    let late = one.push(append(2, of.as_str(), vec![new_entry("x", b"2")]), Some(lease), true).await;
    assert_refused(late, ErrorKind::LeaseLost);
}

/// Check.
pub async fn epochs_grow(machines: &dyn Machines) {
    let members = [joined(machines).await, joined(machines).await];
    let of = partition("model-a");
    let mut latest = None;
    for machine in members.iter().cycle().take(4) {
        let lease = machine.acquire(&of, Duration::ZERO).await.unwrap();
        assert!(latest < Some(lease.epoch), "{latest:?} and then {:?}", lease.epoch);
        latest = Some(lease.epoch);
        machine.datastore.release(&lease).await.unwrap();
    }
}

/// Check.
pub async fn several_leases_are_had_together_or_not_at_all(machines: &dyn Machines) {
    let (one, other) = (joined(machines).await, joined(machines).await);
    let partitions = vec![partition("model-a"), partition("model-b"), partition("model-c")];
    let request =
        AcquireRequest { partitions: partitions.clone(), ttl: TTL, wait: Duration::ZERO, holds_others: false };
    let leases = one.datastore.acquire(&request).await.unwrap();
    assert_eq!(leases.iter().map(|lease| lease.partition.clone()).collect::<Vec<_>>(), partitions);
    for lease in &leases {
        one.datastore.release(lease).await.unwrap();
    }
    other.datastore.acquire(&request).await.unwrap();
}

/// Check.
pub async fn of_many_who_wait_all_commit_and_none_is_lost(machines: &dyn Machines) {
    let members = join_all((0..5).map(|_| joined(machines))).await;
    let commits = members
        .iter()
        .zip(1_u64..)
        .map(|(machine, number)| machine.commit(append(number, "model-a", vec![new_entry("x", &bytes(number, 100))])));
    let mut versions: Vec<u64> =
        join_all(commits).await.into_iter().map(|receipt| receipt.entries[0].version.0).collect();
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3, 4, 5]);
    assert_eq!(joined(machines).await.pull(None).await, 5);
}

/// Check.
pub async fn a_lease_that_expired_is_taken_over_and_its_holder_cannot_commit(machines: &dyn Machines) {
    let (one, other) = (joined(machines).await, joined(machines).await);
    let of = partition("model-a");
    let request = AcquireRequest {
        partitions: vec![of.clone()],
        ttl: Duration::from_secs(1),
        wait: Duration::ZERO,
        holds_others: false,
    };
    let slept = one.datastore.acquire(&request).await.unwrap().remove(0);
    let taken = other.acquire(&of, Duration::from_secs(60)).await.unwrap();
    assert!(taken.epoch > slept.epoch);
    let late = one.push(append(1, of.as_str(), vec![new_entry("x", b"late")]), Some(slept), true).await;
    assert_refused(late, ErrorKind::LeaseLost);
    other.push(append(2, of.as_str(), vec![new_entry("x", b"2")]), Some(taken), true).await.unwrap();
    one.pull(None).await;
    assert_eq!(one.entries(&of).len(), 1);
}

/// Check.
pub async fn removed_versions_leave_every_machine(machines: &dyn Machines) {
    let (one, other) = (joined(machines).await, joined(machines).await);
    let of = partition("model-a");
    for number in 1..=3 {
        one.commit(append(number, of.as_str(), vec![new_entry("x", &bytes(number, 50))])).await;
    }
    other.pull(None).await;
    let mut changes = append(4, of.as_str(), Vec::new());
    changes.remove = vec![reference("x", 2)];
    one.commit(changes).await;
    other.pull(None).await;
    let left: Vec<Version> = other.entries(&of).iter().map(|entry| entry.version).collect();
    assert!(!left.contains(&Version(2)) && left.contains(&Version(3)), "{left:?}");
}

/// Check.
pub async fn a_version_cap_keeps_the_newest(machines: &dyn Machines) {
    let (one, other) = (joined(machines).await, joined(machines).await);
    let of = partition("model-a");
    for number in 1..=5 {
        let mut entry = new_entry("x", &bytes(number, 50));
        entry.version_cap = Some(2);
        one.commit(append(number, of.as_str(), vec![entry])).await;
        other.pull(None).await;
    }
    let left: Vec<Version> = other.entries(&of).iter().map(|entry| entry.version).collect();
    assert_eq!(left, [Version(5), Version(4)]);
}

/// Check.
pub async fn numbers_of_another_datastore_are_kept(machines: &dyn Machines) {
    let (one, other) = (joined(machines).await, joined(machines).await);
    let of = partition("model-a");
    let numbered = |version, seed| {
        let mut entry = new_entry("x", &bytes(seed, 50));
        entry.version = Some(Version(version));
        entry
    };
    let receipt = one.commit(append(1, of.as_str(), vec![numbered(3, 1), numbered(7, 2)])).await;
    let numbers = |receipt: &PushReceipt| receipt.entries.iter().map(|entry| entry.version.0).collect::<Vec<_>>();
    assert_eq!(numbers(&receipt), [3, 7]);
    // The same commit again answers the same, each with its own content.
    let again = one.commit(append(1, of.as_str(), vec![numbered(3, 1), numbered(7, 2)])).await;
    assert_eq!(numbers(&again), [3, 7]);
    assert_eq!(again.entries[0].description.digest, receipt.entries[0].description.digest);
    // Numbers go on after the newest, and none is given twice.
    other.pull(None).await;
    assert_eq!(numbers(&other.commit(append(2, of.as_str(), vec![new_entry("x", &bytes(3, 50))])).await), [8]);
    let lease = one.acquire(&of, Duration::from_secs(60)).await.unwrap();
    let late = one.push(append(3, of.as_str(), vec![numbered(8, 4)]), Some(lease.clone()), false).await;
    assert_refused(late, ErrorKind::Conflict);
    one.datastore.release(&lease).await.unwrap();
    one.pull(None).await;
    let left: Vec<Version> = one.entries(&of).iter().map(|entry| entry.version).collect();
    assert_eq!(left, [Version(8), Version(7), Version(3)]);
}

/// Check.
pub async fn content_that_is_asked_for_with_another_digest_is_corrupt(machines: &dyn Machines) {
    let one = joined(machines).await;
    let of = partition("model-a");
    let large = bytes(1, 100_000);
    let receipt = one.commit(append(1, of.as_str(), vec![new_entry("x", &large)])).await;
    let mut wrong = wanted(&of, &receipt.entries[0]);
    wrong.digest = peat_core::digest::Digest::of(b"other");
    let right = wanted(&of, &receipt.entries[0]);
    let mut fetched = one.datastore.fetch(&[wrong, right]).await.unwrap();
    assert_eq!(read(&fetched.pop().unwrap().unwrap()), large);
    assert_refused(fetched.pop().unwrap(), ErrorKind::Corrupt);
}
