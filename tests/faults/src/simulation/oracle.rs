//! What must hold after every change of the store, seen on its true state.
//!
//! 1. Nothing committed is ever lost or changed; everything that is indexed is readable and has its digest; a commit is
//!    there whole and once.
//! 2. Epochs and sequences never fall, a head keeps its lineage, and a commit is made only by the process that holds the
//!    lease, in its epoch.
//! 3. Heads are written under a condition only; what is immutable is never changed or deleted; what is damaged is never
//!    overwritten.
//! 4. A lease is not taken from a living process before its time is over.
//! 5. While somebody holds the structural lock, nobody else commits.

use std::collections::{BTreeMap, BTreeSet};

use peat_core::entry::ChangeSet;
use peat_core::run::RunReport;

use super::bucket::{Bucket, Change, Condition};
use super::index::{self, Head};
use super::scheduler::{OUTSIDE, Process};

/// The namespace of every schedule.
pub(super) const NAMESPACE: &str = "default";

/// A rule that was broken.
#[derive(Debug, Clone)]
pub(super) struct Violation(pub String);

/// What a process wants to commit: name and digest of each item.
type Staged = BTreeMap<String, String>;

/// What is known to be true.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    heads: BTreeMap<String, Head>,
    staged: BTreeMap<String, (String, Staged)>,
    /// Commit id → partition and sequence.
    done: BTreeMap<String, (String, u64)>,
    /// Partition and epoch → who committed in it.
    committers: BTreeMap<(String, u64), Process>,
    acknowledged: u64,
    living: BTreeSet<Process>,
    /// Nonces of leases that somebody may take at once: broken by an operator, or never told to anybody.
    free: BTreeSet<String>,
    /// Who was told that it has the structural lock, as long as the root shows its lease.
    structural: Option<Process>,
    /// Whose structural lease the root shows.
    meta_holder: Option<Process>,
    meta_epoch: u64,
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
                .and_then(|head| head.versions.get(&(description.name.to_string(), version)))
                .and_then(|found| found.digest.clone());
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
        if bucket.is_damaged(&change.key) {
            return Err("it was damaged, and was overwritten".to_owned());
        }
        let inner = change.key.strip_prefix(NAMESPACE).and_then(|rest| rest.strip_prefix('/'));
        match inner.and_then(|rest| rest.split_once('/')) {
            Some(("_index", "_meta.json")) => self.examine_meta(change),
            Some(("_index", name)) => {
                let partition = name.strip_suffix(".json").ok_or("a head without its ending")?.to_owned();
                self.examine_head(bucket, change, &partition)
            }
            Some(("_segments" | "_packs" | "_objects", _)) => match (&change.before, &change.after) {
                (_, None) => Err("an immutable object was deleted".to_owned()),
                (Some(before), Some(after)) if before.bytes != after.bytes => {
                    Err("an immutable object was changed".to_owned())
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
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
        let new = index::read_head(bucket, NAMESPACE, partition, &after.bytes)?;
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
        self.examine_versions(bucket, partition, &old, &new)?;
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

    /// Everything that was indexed still is, and everything new can be read.
    fn examine_versions(&self, bucket: &Bucket, partition: &str, old: &Head, new: &Head) -> Result<(), String> {
        for (key, version) in &old.versions {
            let kept = new.versions.get(key).is_some_and(|now| now.digest == version.digest);
            if !kept {
                return Err(format!("{} version {} is not there any more, or is another one", key.0, key.1));
            }
        }
        for (key, version) in &new.versions {
            if old.versions.get(key).is_some_and(|before| before.place == version.place) {
                continue;
            }
            let content = index::read_content(bucket, NAMESPACE, partition, version)?;
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
        let (id, sequence) = new.commits.last().ok_or("a commit without an id")?;
        if *sequence != new.sequence {
            return Err(format!("its last commit has sequence {sequence}, the head {}", new.sequence));
        }
        if let Some((before, at)) = self.done.get(id) {
            return Err(format!("commit {id} was done before, in {before} as {at}"));
        }
        let added: Staged = new
            .versions
            .iter()
            .filter(|(key, _)| !old.versions.contains_key(*key))
            .map(|(key, version)| (key.0.clone(), version.digest.clone().unwrap_or_default()))
            .collect();
        match self.staged.get(id) {
            Some((wanted, items)) if wanted == partition && *items == added => {}
            Some((wanted, items)) => {
                return Err(format!("commit {id} of {wanted} should have added {items:?} and added {added:?}"));
            }
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
