//! Sending what is missing: partition after partition under its lease, in commits of bounded size.

use super::compare::Comparison;
use super::{Amount, CopyError, CopyPlan, CopyRequest};
use crate::digest::Hasher;
use crate::entry::{ChangeSet, NewEntry};
use crate::fetch::fetch_these;
use crate::hold::{self, Held, HoldError, Wanted};
use crate::hydrate;
use crate::identifiers::{CommitId, PartitionName};
use crate::interrupt::Interrupt;
use crate::ports::{
    DeltaMode, Objects, PartitionDelta, Progress, ProgressUnit, PullRequest, PulledEntry, PushRequest, StoredEntry,
    StoredState,
};
use crate::transfer::{Failures, Hydrated};

/// Versions of one commit: what the index of a datastore takes without being rewritten as a whole.
const COMMIT_VERSIONS_MAX: usize = 1_000;

/// Bytes of one commit, unless a single content is larger: what is sent once more after an interruption.
const COMMIT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Digits of the digest in a commit id: with its prefix below the 64 characters of one.
const COMMIT_DIGITS: usize = 48;

/// What has been sent so far.
pub(super) struct Sending<'a> {
    request: &'a CopyRequest<'a>,
    plan: &'a CopyPlan,
    interrupt: &'a Interrupt,
    pub(super) sent: Amount,
}

impl<'a> Sending<'a> {
    pub(super) fn new(request: &'a CopyRequest<'a>, plan: &'a CopyPlan, interrupt: &'a Interrupt) -> Self {
        Self { request, plan, interrupt, sent: Amount::default() }
    }

    /// Sends what is missing of one partition.
    pub(super) async fn partition(&mut self, partition: &PartitionName) -> Result<(), CopyError> {
        let (request, interrupt) = (self.request, self.interrupt);
        let ports = request.target.hold;
        let partitions = std::slice::from_ref(partition);
        let wanted = Wanted { partitions, ttl: request.ttl, wait: request.wait };
        let held = hold::take(&ports, &wanted, interrupt).await?;
        let work = held.unless_lost(&ports, self.send(&held, partition));
        let sent = hold::unless_interrupted(interrupt, work).await;
        hold::give_up(&ports, held).await;
        match sent {
            Some(sent) => sent?,
            None => Err(HoldError::Interrupted.into()),
        }
    }

    async fn send(&mut self, held: &Held, partition: &PartitionName) -> Result<(), CopyError> {
        let (source, target) = (&self.request.source, &self.request.target);
        if let Some(ports) = target.hydrate() {
            // Somebody else may have copied some of it before we had the lease.
            let news = PullRequest {
                partitions: Some(vec![partition.clone()]),
                leases: held.leases(),
                depth: hydrate::index_depth(ports.datastore),
                cursor: None,
            };
            hydrate::pull(&ports, news, &mut Hydrated::default()).await?;
        }
        let now_ms = target.hold.clock.now_ms();
        let mut comparison = Comparison::new((source.store, target.store), partition, now_ms);
        let (mut batch, mut bytes, mut is_first) = (Vec::new(), 0_u64, true);
        while let Some(name) = comparison.next_name()? {
            for stored in name.missing {
                let size = stored.entry.description.size;
                let is_full = batch.len() >= COMMIT_VERSIONS_MAX || bytes.saturating_add(size) > COMMIT_BYTES_MAX;
                if is_full && !batch.is_empty() {
                    self.commit(held, partition, std::mem::take(&mut batch), std::mem::take(&mut is_first)).await?;
                    bytes = 0;
                }
                bytes = bytes.saturating_add(size);
                batch.push(stored);
            }
        }
        if !batch.is_empty() {
            self.commit(held, partition, batch, is_first).await?;
        }
        Ok(())
    }

    async fn commit(
        &mut self,
        held: &Held,
        partition: &PartitionName,
        batch: Vec<StoredEntry>,
        is_first: bool,
    ) -> Result<(), CopyError> {
        self.bring(&batch).await?;
        let amount = Amount {
            partitions: u64::from(is_first),
            versions: batch.len() as u64,
            bytes: batch.iter().map(|stored| stored.entry.description.size).sum(),
        };
        let changes = self.changes(partition, batch)?;
        let target = &self.request.target;
        match target.datastore {
            None => drop(target.store.commit(&changes)?),
            Some(datastore) => {
                // Where nobody is fenced, one that was sent by an interrupted try may still be under way.
                let may_be_repeated = !datastore.features().locks;
                let contents: Vec<_> = changes.append.iter().map(|new| new.content.clone()).collect();
                let request = PushRequest { changes, lease: None, release: false, may_be_repeated };
                let receipt = held.push(&target.hold, datastore, request).await?;
                let keeps = self.request.keeps_content;
                let contents: Vec<_> = receipt.confirmed(contents).collect();
                let entries = receipt.entries.into_iter().zip(contents);
                let entries = entries.map(|(entry, content)| PulledEntry { entry, content: keeps.then_some(content) });
                target.store.apply(&PartitionDelta {
                    partition: partition.clone(),
                    mode: DeltaMode::Extend,
                    version: receipt.version,
                    entries: entries.collect(),
                    removed: receipt.removed,
                    continues: false,
                })?;
            }
        }
        self.sent += amount;
        self.tell();
        Ok(())
    }

    /// Brings content of a shared source that is not on this machine.
    async fn bring(&self, batch: &[StoredEntry]) -> Result<(), CopyError> {
        let Some(ports) = self.request.source.hydrate() else { return Ok(()) };
        let remote: Vec<StoredEntry> =
            batch.iter().filter(|stored| stored.state == StoredState::Remote).cloned().collect();
        if remote.is_empty() {
            return Ok(());
        }
        let mut failures = Failures::default();
        fetch_these(&ports, &remote, &mut Hydrated::default(), &mut failures).await?;
        if failures.is_empty() { Ok(()) } else { Err(CopyError::Incomplete(Box::new(failures))) }
    }

    fn changes(&self, partition: &PartitionName, batch: Vec<StoredEntry>) -> Result<ChangeSet, CopyError> {
        let commit_id = commit_id(partition, &batch);
        let mut append = Vec::with_capacity(batch.len());
        for stored in batch {
            let entry = stored.entry;
            let content = self.request.source.store.content(&entry.description.digest)?;
            let content = content.ok_or_else(|| CopyError::Lost {
                partition: partition.clone(),
                name: entry.description.name.clone(),
                version: entry.version,
            })?;
            let version = Some(entry.version);
            append.push(NewEntry { description: entry.description, content, version_cap: None, version });
        }
        Ok(ChangeSet { commit_id, partition: partition.clone(), append, remove: Vec::new() })
    }

    fn tell(&self) {
        let (sent, missing) = (self.sent, self.plan.missing);
        self.request.target.hold.observer.progress(Progress {
            message: format!("copying, partition {} of {}", sent.partitions, missing.partitions),
            done: sent.bytes,
            total: Some(missing.bytes),
            unit: ProgressUnit::Bytes,
            objects: Some(Objects { done: sent.versions, total: missing.versions }),
        });
    }
}

/// The same for whoever copies the same versions.
fn commit_id(partition: &PartitionName, batch: &[StoredEntry]) -> CommitId {
    let mut hasher = Hasher::default();
    hasher.update(partition.as_str().as_bytes());
    for StoredEntry { entry, .. } in batch {
        let description = &entry.description;
        hasher.update(format!("\n{} {} {}", description.name, entry.version, description.digest).as_bytes());
    }
    let digest = hasher.finish().to_string();
    CommitId::parse(&format!("copy-{}", &digest[..COMMIT_DIGITS]))
        .expect("hexadecimal digits and a dash are a commit id")
}
