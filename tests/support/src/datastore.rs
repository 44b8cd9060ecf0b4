//! A shared datastore in memory, with leases, fencing and idempotent commits: what the port promises, in the least code.
//! Every machine has its own handle on the shared state. Faults are planned by call and strike in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use peat_core::content::SharedContent;
use peat_core::digest::Digest;
use peat_core::entry::Entry;
use peat_core::identifiers::{CommitId, Epoch, PartitionName, Version};
use peat_core::lease::Lease;
use peat_core::ports::{
    AcquireRequest, Clock, ContentRequest, Datastore, DatastoreError, DatastoreFeatures, DeltaMode, ErrorKind,
    PartitionDelta, PullDepth, PullPage, PullRequest, PulledEntry, PushReceipt, PushRequest, Replica, StoreProfile,
};

use crate::clock::ManualClock;

/// How often a waiter looks again, in virtual time.
const PAUSE: Duration = Duration::from_millis(50);

/// One planned misfortune.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// None: the call does what it should.
    None,
    /// The call does nothing and says that the store is not available.
    Before,
    /// The call does its work and then says that the store is not available.
    After,
    /// The call never answers.
    Never,
    /// The call does its work after so many seconds.
    Slow(u64),
}

/// What all machines share.
#[derive(Debug, Clone, Default)]
pub struct SharedState(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    partitions: BTreeMap<PartitionName, Partition>,
    contents: BTreeMap<Digest, SharedContent>,
    is_structurally_locked: bool,
    calls: Vec<&'static str>,
    damaged: BTreeSet<PartitionName>,
    never_ends: bool,
}

#[derive(Debug, Default)]
struct Partition {
    epoch: u64,
    sequence: u64,
    lease: Option<Held>,
    entries: Vec<Entry>,
    commits: BTreeMap<CommitId, Vec<Entry>>,
}

#[derive(Debug)]
struct Held {
    nonce: String,
    expires_ms: u64,
}

/// One machine's handle.
pub struct MemoryDatastore {
    state: SharedState,
    clock: ManualClock,
    replica: Arc<dyn Replica>,
    features: DatastoreFeatures,
    faults: Mutex<BTreeMap<&'static str, VecDeque<Fault>>>,
}

impl std::fmt::Debug for MemoryDatastore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MemoryDatastore").finish_non_exhaustive()
    }
}

impl SharedState {
    /// Every call so far, by name, in order.
    pub fn calls(&self) -> Vec<&'static str> {
        self.lock().calls.clone()
    }

    /// Committed versions of a partition, in order of their commits.
    pub fn entries(&self, partition: &PartitionName) -> Vec<Entry> {
        self.lock().partitions.get(partition).map(|found| found.entries.clone()).unwrap_or_default()
    }

    /// Whether somebody holds the partition.
    pub fn is_leased(&self, partition: &PartitionName) -> bool {
        self.lock().partitions.get(partition).is_some_and(|found| found.lease.is_some())
    }

    /// Takes the lease away from whoever holds it, as another host would after it went stale.
    pub fn take_over(&self, partition: &PartitionName) {
        let mut state = self.lock();
        let found = state.partitions.entry(partition.clone()).or_default();
        found.epoch += 1;
        found.lease = Some(Held { nonce: "another-host".to_owned(), expires_ms: u64::MAX });
    }

    /// From now on somebody has, or has no more, the lease of the whole namespace.
    pub fn lock_structurally(&self, locked: bool) {
        self.lock().is_structurally_locked = locked;
    }

    /// Loses the bytes of a content, as a broken store would.
    pub fn lose_content(&self, digest: &Digest) {
        self.lock().contents.remove(digest);
    }

    /// From now on the index of this partition cannot be read.
    pub fn damage_index(&self, partition: &PartitionName) {
        self.lock().damaged.insert(partition.clone());
    }

    /// From now on a pull has always one more page.
    pub fn never_end(&self) {
        self.lock().never_ends = true;
    }

    /// How often `call` came so far.
    pub fn count(&self, call: &str) -> usize {
        self.lock().calls.iter().filter(|found| **found == call).count()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryDatastore {
    /// A machine's handle, with locks and hydration.
    pub fn new(state: SharedState, clock: ManualClock, replica: Arc<dyn Replica>) -> Self {
        let features = DatastoreFeatures { locks: true, hydration: true, ..DatastoreFeatures::default() };
        Self { state, clock, replica, features, faults: Mutex::default() }
    }

    /// The same with other features.
    #[must_use]
    pub fn with_features(mut self, features: DatastoreFeatures) -> Self {
        self.features = features;
        self
    }

    /// Plans faults for the next calls of `call`.
    pub fn fail(&self, call: &'static str, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).entry(call).or_default().extend(faults);
    }

    async fn strike<T>(
        &self,
        call: &'static str,
        work: impl Future<Output = Result<T, DatastoreError>>,
    ) -> Result<T, DatastoreError> {
        self.state.lock().calls.push(call);
        let fault =
            self.faults.lock().unwrap_or_else(PoisonError::into_inner).get_mut(call).and_then(VecDeque::pop_front);
        match fault {
            None | Some(Fault::None) => work.await,
            Some(Fault::Before) => Err(refused(ErrorKind::Unavailable { retry_after: None }, call)),
            Some(Fault::After) => {
                work.await?;
                Err(refused(ErrorKind::Unavailable { retry_after: None }, call))
            }
            Some(Fault::Never) => std::future::pending().await,
            Some(Fault::Slow(seconds)) => {
                self.clock.sleep(Duration::from_secs(seconds)).await;
                work.await
            }
        }
    }

    fn try_acquire(&self, partition: &PartitionName, ttl: Duration) -> Option<Lease> {
        let now_ms = self.clock.elapsed_ms();
        let mut state = self.state.lock();
        let found = state.partitions.entry(partition.clone()).or_default();
        if found.lease.as_ref().is_some_and(|held| held.expires_ms > now_ms) {
            return None;
        }
        found.epoch += 1;
        let nonce = format!("nonce-{}", found.epoch);
        found.lease = Some(Held { nonce: nonce.clone(), expires_ms: now_ms + millis(ttl) });
        Some(Lease { partition: partition.clone(), epoch: Epoch(found.epoch), nonce, ttl, state: Vec::new() })
    }

    fn commit(&self, request: &PushRequest) -> Result<PushReceipt, DatastoreError> {
        let changes = &request.changes;
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let found = state.partitions.entry(changes.partition.clone()).or_default();
        let holds = |lease: &Lease| found.lease.as_ref().is_some_and(|held| held.nonce == lease.nonce);
        if let Some(done) = found.commits.get(&changes.commit_id) {
            let entries = done.clone();
            let lease = request.lease.clone().filter(|_| !request.release);
            return Ok(PushReceipt { lease, ..PushReceipt::local(entries, Vec::new(), found.sequence.to_string()) });
        }
        if self.features.locks && !request.lease.as_ref().is_some_and(holds) {
            return Err(refused(ErrorKind::LeaseLost, changes.partition.as_str()));
        }
        let mut entries = Vec::new();
        for new in &changes.append {
            let newest = found.entries.iter().filter(|entry| entry.description.name == new.description.name);
            let highest = newest.map(|entry| entry.version.0).max().unwrap_or(0);
            let version = new.version.unwrap_or(Version(highest + 1));
            let entry = Entry { description: new.description.clone(), version, location: "memory".to_owned() };
            found.entries.push(entry.clone());
            entries.push(entry);
            state.contents.insert(new.description.digest, Arc::clone(&new.content));
        }
        found.sequence += 1;
        found.commits.insert(changes.commit_id.clone(), entries.clone());
        if request.release {
            found.lease = None;
        }
        let lease = request.lease.clone().filter(|_| !request.release);
        Ok(PushReceipt { lease, ..PushReceipt::local(entries, Vec::new(), found.sequence.to_string()) })
    }

    fn delta(&self, partition: &PartitionName, depth: PullDepth) -> Result<Option<PartitionDelta>, DatastoreError> {
        let known = self
            .replica
            .known(std::slice::from_ref(partition))
            .map_err(|error| refused(ErrorKind::Unavailable { retry_after: None }, &error.to_string()))?;
        let state = self.state.lock();
        let Some(found) = state.partitions.get(partition) else { return Ok(None) };
        let version = found.sequence.to_string();
        if state.damaged.contains(partition) && depth != PullDepth::Partitions {
            return Err(refused(ErrorKind::Corrupt, partition.as_str()));
        }
        if found.sequence == 0 || known.first().cloned().flatten().as_ref() == Some(&version) {
            return Ok(None);
        }
        let with_content = depth == PullDepth::Content;
        let only_told = depth == PullDepth::Partitions && self.features.hydration;
        let entries = found
            .entries
            .iter()
            .filter(|_| !only_told)
            .map(|entry| PulledEntry {
                entry: entry.clone(),
                content: with_content.then(|| state.contents.get(&entry.description.digest).cloned()).flatten(),
            })
            .collect();
        let partition = partition.clone();
        Ok(Some(PartitionDelta {
            partition,
            mode: if only_told { DeltaMode::Changed } else { DeltaMode::Replace },
            version,
            entries,
            removed: Vec::new(),
            continues: false,
        }))
    }
}

#[async_trait]
impl Datastore for MemoryDatastore {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    fn summary(&self) -> String {
        "memory".to_owned()
    }

    fn features(&self) -> DatastoreFeatures {
        self.features
    }

    async fn setup(&self) -> Result<StoreProfile, DatastoreError> {
        self.verify().await
    }

    async fn verify(&self) -> Result<StoreProfile, DatastoreError> {
        Ok(StoreProfile { store_id: "memory".to_owned(), format_version: 1, findings: Vec::new() })
    }

    async fn acquire(&self, request: &AcquireRequest) -> Result<Vec<Lease>, DatastoreError> {
        let work = async {
            let deadline = self.clock.elapsed_ms() + millis(request.wait);
            let mut leases = Vec::new();
            for partition in &request.partitions {
                loop {
                    let is_kept_out = self.state.lock().is_structurally_locked;
                    if is_kept_out && request.holds_others {
                        return Err(refused(ErrorKind::Held, PartitionName::structural().as_str()));
                    }
                    if !is_kept_out && let Some(lease) = self.try_acquire(partition, request.ttl) {
                        leases.push(lease);
                        break;
                    }
                    if self.clock.elapsed_ms() >= deadline {
                        return Err(refused(ErrorKind::Held, partition.as_str()));
                    }
                    self.clock.sleep(PAUSE).await;
                }
            }
            Ok(leases)
        };
        self.strike("acquire", work).await
    }

    async fn renew(&self, lease: &Lease) -> Result<Lease, DatastoreError> {
        let work = async {
            let expires_ms = self.clock.elapsed_ms() + millis(lease.ttl);
            let mut state = self.state.lock();
            match state.partitions.get_mut(&lease.partition).and_then(|found| found.lease.as_mut()) {
                Some(held) if held.nonce == lease.nonce => {
                    held.expires_ms = expires_ms;
                    Ok(lease.clone())
                }
                _ => Err(refused(ErrorKind::LeaseLost, lease.partition.as_str())),
            }
        };
        self.strike("renew", work).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), DatastoreError> {
        let work = async {
            let mut state = self.state.lock();
            if let Some(found) = state.partitions.get_mut(&lease.partition)
                && found.lease.as_ref().is_some_and(|held| held.nonce == lease.nonce)
            {
                found.lease = None;
            }
            Ok(())
        };
        self.strike("release", work).await
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullPage, DatastoreError> {
        let work = async {
            let all = || self.state.lock().partitions.keys().cloned().collect();
            let partitions: Vec<PartitionName> = request.partitions.clone().unwrap_or_else(all);
            let mut page = PullPage { partitions_total: Some(partitions.len() as u64), ..PullPage::default() };
            for partition in &partitions {
                page.deltas.extend(self.delta(partition, request.depth)?);
            }
            let state = self.state.lock();
            page.cursor = state.never_ends.then(|| state.calls.len().to_string());
            Ok(page)
        };
        self.strike("pull", work).await
    }

    async fn push(&self, request: &PushRequest) -> Result<PushReceipt, DatastoreError> {
        self.strike("push", async { self.commit(request) }).await
    }

    async fn fetch(
        &self,
        wanted: &[ContentRequest],
    ) -> Result<Vec<Result<SharedContent, DatastoreError>>, DatastoreError> {
        let work = async {
            let state = self.state.lock();
            let found = |request: &ContentRequest| {
                let content = state.contents.get(&request.digest).cloned();
                content.ok_or_else(|| refused(ErrorKind::NotFound, request.name.as_str()))
            };
            Ok(wanted.iter().map(found).collect())
        };
        self.strike("fetch", work).await
    }
}

fn refused(kind: ErrorKind, subject: &str) -> DatastoreError {
    DatastoreError::Refused { kind, subject: subject.to_owned(), message: format!("{subject}: {kind:?}") }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2)
}
