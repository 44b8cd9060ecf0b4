//! What must hold after every change of the store, seen on its true state.
//!
//! 1. Nothing committed is ever lost or changed, unless its lifetime is over; everything that is indexed is readable and has
//!    its digest; a commit is there whole and once.
//! 2. Epochs and sequences never fall, a head keeps its lineage, and a commit is made only by the process that holds the
//!    lease, in its epoch.
//! 3. Heads are written under a condition only; what is immutable is never changed, and deleted only where no head names it;
//!    what is damaged is never overwritten.
//! 4. A lease is not taken from a living process before its time is over.
//! 5. While somebody holds the structural lock, nobody else commits.
//! 6. When a namespace is moved, everything is in the new place, and nothing is committed in the old one any more
//!    (`namespaces`).
//! 7. What a run scope names is there as long as it is open; what is folded arrives once (`namespaces`).

use std::collections::{BTreeMap, BTreeSet};

use peat_core::entry::{ChangeSet, Lifetime};
use peat_core::run::RunReport;

use super::bucket::{Bucket, Change, Condition};
use super::index::{self, Head, Place};
use super::moves::NAMESPACE;
use super::namespaces::Elsewhere;
use super::scheduler::{OUTSIDE, Process};

/// A rule that was broken.
#[derive(Debug, Clone)]
pub(super) struct Violation(pub String);

/// What a process wants to commit: name and digest of each item.
pub(super) type Staged = BTreeMap<String, String>;

/// What is known to be true.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    /// Heads of the namespace that is in use.
    pub(super) heads: BTreeMap<String, Head>,
    pub(super) staged: BTreeMap<String, (String, Staged)>,
    /// Commit id → partition and sequence.
    pub(super) done: BTreeMap<String, (String, u64)>,
    /// The other namespaces.
    pub(super) elsewhere: Elsewhere,
    /// Partition and epoch → who committed in it.
    committers: BTreeMap<(String, u64), Process>,
    pub(super) acknowledged: u64,
    living: BTreeSet<Process>,
    /// Nonces of leases that somebody may take at once: broken by an operator, or never told to anybody.
    free: BTreeSet<String>,
    /// Who was told that it has the structural lock, as long as the root shows its lease.
    pub(super) structural: Option<Process>,
    /// Whose structural lease the root shows.
    pub(super) meta_holder: Option<Process>,
    pub(super) meta_epoch: u64,
    violation: Option<Violation>,
}

impl Oracle {
    /// The first rule that was broken.
    pub(super) fn violation(&self) -> Option<Violation> {
        self.violation.clone()
    }

    /// Notes a broken rule.
    pub(super) fn violate(&mut self, what: String) {
        self.violation.get_or_insert(Violation(what));
    }

    /// Commits that the store holds.
    pub(super) fn commits(&self) -> u64 {
        self.done.len() as u64
    }

    /// Runs and commits that somebody was told are durable.
    pub(super) fn acknowledgements(&self) -> u64 {
        self.acknowledged
    }

    /// A process began.
    pub(super) fn born(&mut self, process: Process) {
        self.living.insert(process);
    }

    /// A process ended, one way or another.
    pub(super) fn died(&mut self, process: Process) {
        self.living.remove(&process);
        if self.structural == Some(process) {
            self.structural = None;
        }
    }

    /// A local store keeps a commit that is still to be made.
    pub(super) fn stage(&mut self, changes: &ChangeSet) {
        let items = changes.append.iter();
        let items = items.map(|new| (new.description.name.to_string(), new.description.digest.to_string())).collect();
        self.staged.insert(changes.commit_id.to_string(), (changes.partition.to_string(), items));
    }

    /// This process was told that it has the structural lock, or gives it up now. Who was told too late has lost it again.
    pub(super) fn set_structural(&mut self, holder: Option<Process>) {
        self.structural = holder.filter(|holder| self.meta_holder == Some(*holder));
    }

    /// This commit was acknowledged: it must be there.
    pub(super) fn acknowledge_commit(&mut self, commit_id: &str) {
        self.acknowledged += 1;
        if !self.done.contains_key(commit_id) {
            self.violate(format!("commit {commit_id} was acknowledged and is not in the store"));
        }
    }

    /// This run was acknowledged: all it wrote must be there under the versions that were told.
    pub(super) fn acknowledge_run(&mut self, report: &RunReport) {
        self.acknowledge_commit(report.record.run_id.as_str());
        for stored in &report.entries {
            let (description, version) = (&stored.entry.description, stored.entry.version.0);
            let found = self
                .heads
                .get(stored.partition.as_str())
                .and_then(|head| head.versions.get(&(description.name.to_string(), version)));
            let has_lifetime = matches!(description.lifetime, Lifetime::DurationMs(_));
            if has_lifetime && found.is_none_or(|found| found.reason == "expired") {
                continue;
            }
            let found = found.and_then(|found| found.digest.clone());
            if found.as_deref() != Some(description.digest.to_string().as_str()) {
                self.violate(format!(
                    "run {} was told that {} version {version} has digest {}; the store has {found:?}",
                    report.record.run_id, description.name, description.digest
                ));
            }
        }
    }

    /// What every replica must know in the end: partition, name, version and digest of every entry.
    pub(super) fn truth(&self) -> BTreeSet<(String, String, u64, String)> {
        let mut truth = BTreeSet::new();
        for (partition, head) in &self.heads {
            for ((name, version), found) in &head.versions {
                if let Some(digest) = &found.digest {
                    truth.insert((partition.clone(), name.clone(), *version, digest.clone()));
                }
            }
        }
        truth
    }

    /// Looks at a change of the store.
    pub(super) fn observe(&mut self, bucket: &Bucket, change: &Change) {
        if let Err(fault) = self.examine(bucket, change) {
            self.violate(format!("{} (written by process {}): {fault}", change.key, change.by));
        }
    }

    fn examine(&mut self, bucket: &Bucket, change: &Change) -> Result<(), String> {
        if change.after.is_some() && bucket.is_damaged(&change.key) {
            return Err("it was damaged, and was overwritten".to_owned());
        }
        let Some((namespace, inner)) = change.key.split_once('/') else { return Ok(()) };
        let is_current = namespace == self.namespace();
        match inner.split_once('/') {
            Some(("_index", "_meta.json")) if is_current => self.examine_meta(change),
            Some(("_index", "_meta.json")) => self.examine_other_meta(bucket, change, namespace),
            Some(("_index", name)) => {
                let partition = name.strip_suffix(".json").ok_or("a head without its ending")?.to_owned();
                if is_current {
                    self.examine_head(bucket, change, &partition)
                } else {
                    self.examine_other_head(bucket, change, namespace, &partition)
                }
            }
            Some(("_segments" | "_packs" | "_objects", _)) => match (&change.before, &change.after) {
                (_, None) if is_current => self.examine_deletion(&change.key),
                (Some(before), Some(after)) if before.bytes != after.bytes => {
                    Err("an immutable object was changed".to_owned())
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// The namespace that is in use.
    pub(super) fn namespace(&self) -> &'static str {
        if self.elsewhere.is_moved { super::moves::TARGET } else { NAMESPACE }
    }

    /// What is deleted is named by no head, as it stands.
    fn examine_deletion(&self, key: &str) -> Result<(), String> {
        let mut parts = key.split('/').skip(1);
        let (Some(kind), Some(partition), Some(id)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("it has no partition or no name".to_owned());
        };
        let names = |head: &Head| match kind {
            "_segments" => head.segments.contains(id),
            _ => head.versions.values().any(|version| match &version.place {
                Some(Place::Pack(pack, _)) => kind == "_packs" && pack == id,
                Some(Place::Object(object)) => kind == "_objects" && object == id,
                Some(Place::Inline(_)) | None => false,
            }),
        };
        if self.heads.get(partition).is_some_and(names) {
            return Err("it was deleted, and the head names it".to_owned());
        }
        match self.elsewhere.scope_heads(partition).find(|(_, head)| names(head)) {
            Some((scope, _)) => Err(format!("it was deleted, and the head in {scope} names it")),
            None => Ok(()),
        }
    }

    /// A commit that was folded from a run scope.
    fn examine_fold(&mut self, partition: &str, old: &Head, new: &Head) -> Result<(), String> {
        let added = new.versions.iter().filter(|(key, _)| !old.versions.contains_key(*key));
        for ((name, _), version) in added {
            self.elsewhere.fold(partition, name, version)?;
        }
        Ok(())
    }

    fn examine_meta(&mut self, change: &Change) -> Result<(), String> {
        let after = change.after.as_ref().ok_or("the namespace root was deleted")?;
        if change.condition == Condition::Always {
            return Err("the namespace root was written without a condition".to_owned());
        }
        let meta = index::read_sealed(&after.bytes)?;
        let epoch = meta["epoch"].as_u64().ok_or("no epoch")?;
        if epoch < self.meta_epoch || epoch > self.meta_epoch + 1 {
            return Err(format!("its epoch went from {} to {epoch}", self.meta_epoch));
        }
        self.meta_epoch = epoch;
        let holder = meta.get("lease").filter(|lease| !lease.is_null()).map(index::read_lease).transpose()?;
        self.meta_holder = holder.map(|lease| lease.process);
        if self.structural.is_some() && self.structural != self.meta_holder {
            // Taken over or broken: whoever had it is fenced from now on.
            self.structural = None;
        }
        Ok(())
    }

    fn examine_head(&mut self, bucket: &Bucket, change: &Change, partition: &str) -> Result<(), String> {
        let after = change.after.as_ref().ok_or("a head was deleted")?;
        if change.condition == Condition::Always {
            return Err("a head was written without a condition".to_owned());
        }
        let new = index::read_head(bucket, &[self.namespace()], partition, &after.bytes)?;
        let old = self.heads.get(partition).cloned().unwrap_or_default();
        if !old.lineage.is_empty() && old.lineage != new.lineage {
            return Err("its lineage changed".to_owned());
        }
        if old.nonce == new.nonce {
            return Err("it was written without a fresh nonce".to_owned());
        }
        if new.epoch < old.epoch || new.epoch > old.epoch + 1 {
            return Err(format!("its epoch went from {} to {}", old.epoch, new.epoch));
        }
        if new.sequence < old.sequence || new.sequence > old.sequence + 1 {
            return Err(format!("its sequence went from {} to {}", old.sequence, new.sequence));
        }
        self.examine_lease(change, &old, &new)?;
        self.examine_versions(bucket, partition, after.modified_ms, &old, &new)?;
        if new.sequence > old.sequence {
            self.examine_commit(change.by, partition, &old, &new)?;
        }
        self.heads.insert(partition.to_owned(), new);
        Ok(())
    }

    /// A lease changes hands only by an epoch, and not before its time.
    fn examine_lease(&mut self, change: &Change, old: &Head, new: &Head) -> Result<(), String> {
        let (Some(had), modified_ms) = (&old.lease, change.before.as_ref().map_or(0, |before| before.modified_ms))
        else {
            return Ok(());
        };
        let same = new.lease.as_ref().is_some_and(|has| has.nonce == had.nonce);
        if same || had.process == change.by || change.by == OUTSIDE {
            return Ok(());
        }
        if new.epoch == old.epoch {
            return Err("a lease was ended by another process without a new epoch".to_owned());
        }
        let age_ms = change.after.as_ref().map_or(0, |after| after.modified_ms).saturating_sub(modified_ms);
        if self.living.contains(&had.process) && age_ms < had.ttl_ms && !self.free.contains(&had.nonce) {
            return Err(format!(
                "the lease of living process {} was taken {age_ms} ms after its last renewal, its time to live is {}",
                had.process, had.ttl_ms
            ));
        }
        Ok(())
    }

    /// Everything that was indexed still is, unless its lifetime is over, and everything new can be read.
    fn examine_versions(
        &self,
        bucket: &Bucket,
        partition: &str,
        now_ms: u64,
        old: &Head,
        new: &Head,
    ) -> Result<(), String> {
        for (key, version) in &old.versions {
            let now = new.versions.get(key);
            let is_same = now.is_some_and(|now| now.digest == version.digest);
            let is_over = version.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms);
            // With no grace period its mark may go with it.
            let expired = is_over && now.is_none_or(|now| now.reason == "expired");
            // A mark goes when nothing depends on it; of a version that has one before, nobody asks any more.
            let forgotten = version.digest.is_none() && now.is_none();
            if !is_same && !expired && !forgotten {
                return Err(format!("{} version {} is not there any more, or is another one", key.0, key.1));
            }
        }
        for (key, version) in new.versions.iter().filter(|(_, version)| version.digest.is_some()) {
            if old.versions.get(key).is_some_and(|before| before.place == version.place) {
                continue;
            }
            let content = index::read_content(bucket, &[self.namespace()], partition, version)?;
            if version.digest.as_ref().is_some_and(|digest| super::digest_of(&content) != *digest) {
                return Err(format!("{} version {} does not have its digest", key.0, key.1));
            }
        }
        Ok(())
    }

    fn examine_commit(&mut self, by: Process, partition: &str, old: &Head, new: &Head) -> Result<(), String> {
        if let Some(lease) = &old.lease {
            if lease.process != by && new.epoch == old.epoch {
                return Err(format!("process {} holds it, and process {by} committed", lease.process));
            }
            let first = *self.committers.entry((partition.to_owned(), new.epoch)).or_insert(by);
            if first != by {
                return Err(format!("processes {first} and {by} both committed in epoch {}", new.epoch));
            }
        }
        if let Some(structural) = self.structural.filter(|holder| *holder != by) {
            return Err(format!("process {by} committed while process {structural} held the structural lock"));
        }
        if new.commits == old.commits && new.versions.keys().all(|key| old.versions.contains_key(key)) {
            // A collection: it adds nothing, and what it takes away was looked at.
            return Ok(());
        }
        let (id, sequence) = new.commits.last().ok_or("a commit without an id")?;
        if *sequence != new.sequence {
            return Err(format!("its last commit has sequence {sequence}, the head {}", new.sequence));
        }
        if let Some((before, at)) = self.done.get(id) {
            return Err(format!("commit {id} was done before, in {before} as {at}"));
        }
        let added = added(old, new);
        match self.staged.get(id) {
            Some((wanted, items)) if wanted == partition && *items == added => {}
            Some((wanted, items)) => {
                return Err(format!("commit {id} of {wanted} should have added {items:?} and added {added:?}"));
            }
            None if id.starts_with("fold-") => self.examine_fold(partition, old, new)?,
            None => return Err(format!("commit {id} was never asked for")),
        }
        for (name, version) in new.versions.keys().filter(|key| !old.versions.contains_key(*key)) {
            if *version > 1 && !old.versions.contains_key(&(name.clone(), version - 1)) {
                return Err(format!("{name} version {version} follows no version {}", version - 1));
            }
        }
        self.done.insert(id.clone(), (partition.to_owned(), new.sequence));
        Ok(())
    }

    /// A lease that whoever comes next may take at once.
    pub(super) fn set_free(&mut self, nonce: &str) {
        self.free.insert(nonce.to_owned());
    }
}

/// What a head has more than the one before: name and digest of each item.
pub(super) fn added(old: &Head, new: &Head) -> Staged {
    let added = new.versions.iter().filter(|(key, _)| !old.versions.contains_key(*key));
    added.map(|(key, version)| (key.0.clone(), version.digest.clone().unwrap_or_default())).collect()
}
