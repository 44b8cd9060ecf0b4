//! What the oracle knows of the namespaces that are not in use: the target of a move, what a move left behind, run scopes.

use std::collections::{BTreeMap, BTreeSet};

use peat_core::entry::Lifetime;
use peat_core::run::RunReport;

use super::bucket::{Bucket, Change, Condition};
use super::index::{self, Head, Version};
use super::moves::{NAMESPACE, TARGET};
use super::oracle::{Oracle, added};

/// An item that a run in a scope wrote: partition, name, run.
type Item = (String, String, String);

/// The other namespaces.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    is_move_begun: bool,
    /// The move is done: the target is in use.
    pub(super) is_moved: bool,
    /// Sequences of the heads that the move left behind.
    left: BTreeMap<String, u64>,
    /// Heads of run scopes that are not gone, by scope and partition.
    scopes: BTreeMap<(String, String), Head>,
    /// What was committed in scopes, and its digest.
    items: BTreeMap<Item, String>,
    /// What runs in scopes were told is durable, by scope; what lives for a while left out.
    acknowledged: BTreeMap<String, BTreeSet<Item>>,
    folded: BTreeSet<Item>,
}

impl Elsewhere {
    /// Heads of open run scopes with commits of their own: they name what they have, whatever the parent does.
    pub(super) fn scope_heads(&self, partition: &str) -> impl Iterator<Item = (&str, &Head)> {
        let heads = self.scopes.iter().filter(move |((_, of), head)| *of == partition && !head.is_copy);
        heads.map(|((scope, _), head)| (scope.as_str(), head))
    }

    /// A version that a fold added to the parent: somebody wrote it in a scope, and nobody folded it before.
    pub(super) fn fold(&mut self, partition: &str, name: &str, version: &Version) -> Result<(), String> {
        let item = (partition.to_owned(), name.to_owned(), version.run_id.clone());
        if self.items.get(&item).map(String::as_str) != version.digest.as_deref() {
            return Err(format!(
                "{item:?} was folded as {:?}; the scope has {:?}",
                version.digest,
                self.items.get(&item)
            ));
        }
        if self.folded.insert(item.clone()) { Ok(()) } else { Err(format!("{item:?} was folded twice")) }
    }
}

impl Oracle {
    /// Somebody wants to move the namespace.
    pub(super) fn begin_move(&mut self) {
        self.elsewhere.is_move_begun = true;
    }

    pub(super) fn is_move_begun(&self) -> bool {
        self.elsewhere.is_move_begun
    }

    pub(super) fn is_moved(&self) -> bool {
        self.elsewhere.is_moved
    }

    /// This run in a scope was acknowledged: all it wrote must be there, and be in the parent when the scope is folded.
    pub(super) fn acknowledge_scope_run(&mut self, scope: &str, report: &RunReport) {
        self.acknowledge_commit(report.record.run_id.as_str());
        for stored in &report.entries {
            let description = &stored.entry.description;
            let item = (stored.partition.to_string(), description.name.to_string(), report.record.run_id.to_string());
            if self.elsewhere.items.get(&item).map(String::as_str) != Some(description.digest.to_string().as_str()) {
                self.violate(format!("{item:?} was acknowledged in {scope} and is not there"));
            }
            if description.lifetime == Lifetime::Infinite {
                self.elsewhere.acknowledged.entry(scope.to_owned()).or_default().insert(item);
            }
        }
    }

    /// A scope was folded: everything that was acknowledged in it is in the parent.
    pub(super) fn acknowledge_fold(&mut self, scope: &str) {
        self.acknowledged += 1;
        let wanted = self.elsewhere.acknowledged.get(scope).cloned().unwrap_or_default();
        if let Some(lost) = wanted.difference(&self.elsewhere.folded).next() {
            self.violate(format!("{scope} was folded, but {lost:?} is not in the parent"));
        }
    }

    pub(super) fn examine_other_meta(
        &mut self,
        bucket: &Bucket,
        change: &Change,
        namespace: &str,
    ) -> Result<(), String> {
        let Some(after) = &change.after else {
            // The root of a scope goes a day after the scope.
            return if namespace.contains(".scope-") { Ok(()) } else { Err("a namespace root was deleted".to_owned()) };
        };
        if change.condition == Condition::Always {
            return Err("a namespace root was written without a condition".to_owned());
        }
        let meta = index::read_sealed(&after.bytes)?;
        if namespace.contains(".scope-") {
            if meta["state"] == "deleted" || meta["state"].get("deleting").is_some() {
                self.elsewhere.scopes.retain(|(scope, _), _| scope != namespace);
            }
            return Ok(());
        }
        if namespace == TARGET && !self.elsewhere.is_moved && meta["state"] == "active" {
            self.meta_epoch = meta["epoch"].as_u64().ok_or("no epoch")?;
            self.meta_holder = None;
            self.structural = None;
            return self.switch(bucket);
        }
        Ok(())
    }

    /// The move is done by this: everything is in the target as it is in the source, and can be read there.
    fn switch(&mut self, bucket: &Bucket) -> Result<(), String> {
        if !self.elsewhere.scopes.is_empty() {
            return Err("it was moved away from open run scopes".to_owned());
        }
        let mut heads = BTreeMap::new();
        for (partition, source) in &self.heads {
            let key = format!("{TARGET}/_index/{partition}.json");
            let Some(stored) = bucket.truth(&key) else {
                if source.sequence == 0 {
                    continue;
                }
                return Err(format!("{key} is not there"));
            };
            let head = index::read_head(bucket, &[TARGET], partition, &stored.bytes)?;
            if (&head.lineage, head.sequence, &head.commits) != (&source.lineage, source.sequence, &source.commits) {
                return Err(format!("{partition} has commits that did not come along, or others"));
            }
            if head.versions != source.versions {
                return Err(format!("{partition} has other versions in the target than in the source"));
            }
            for version in head.versions.values().filter(|version| version.digest.is_some()) {
                let content = index::read_content(bucket, &[TARGET], partition, version)?;
                if version.digest.as_ref().is_some_and(|digest| super::digest_of(&content) != *digest) {
                    return Err(format!("a version of {partition} does not have its digest in the target"));
                }
            }
            heads.insert(partition.clone(), head);
        }
        self.elsewhere.left = self.heads.iter().map(|(partition, head)| (partition.clone(), head.sequence)).collect();
        self.heads = heads;
        self.elsewhere.is_moved = true;
        Ok(())
    }

    pub(super) fn examine_other_head(
        &mut self,
        bucket: &Bucket,
        change: &Change,
        namespace: &str,
        partition: &str,
    ) -> Result<(), String> {
        let Some(after) = &change.after else {
            self.elsewhere.scopes.remove(&(namespace.to_owned(), partition.to_owned()));
            return Ok(());
        };
        if change.condition == Condition::Always {
            return Err("a head was written without a condition".to_owned());
        }
        if namespace == NAMESPACE {
            let head = index::read_sealed(&after.bytes)?;
            let left = self.elsewhere.left.get(partition).copied().unwrap_or_default();
            if head["sequence"].as_u64().is_none_or(|sequence| sequence > left) {
                return Err("something was committed in a namespace that was moved".to_owned());
            }
        }
        if namespace.contains(".scope-") {
            self.examine_scope_head(bucket, &after.bytes, namespace, partition)
        } else {
            Ok(())
        }
    }

    /// What a head of a run scope names is there, in the scope or in its parent, once something was committed to it.
    fn examine_scope_head(
        &mut self,
        bucket: &Bucket,
        bytes: &[u8],
        scope: &str,
        partition: &str,
    ) -> Result<(), String> {
        if index::read_sealed(bytes)?["copiedAt"].is_u64() {
            return Ok(());
        }
        let key = (scope.to_owned(), partition.to_owned());
        let places = [scope, self.namespace()];
        let head = index::read_head(bucket, &places, partition, bytes)?;
        let before = self.elsewhere.scopes.get(&key);
        for (name, version) in head.versions.iter().filter(|(_, version)| version.digest.is_some()) {
            if before.and_then(|before| before.versions.get(name)).is_some_and(|known| known.place == version.place) {
                continue;
            }
            let content = index::read_content(bucket, &places, partition, version)?;
            if version.digest.as_ref().is_some_and(|digest| super::digest_of(&content) != *digest) {
                return Err(format!("{} version {} does not have its digest", name.0, name.1));
            }
        }
        if let Some((id, sequence)) = head.commits.last()
            && *sequence == head.sequence
            && !self.done.contains_key(id)
        {
            let Some((wanted, items)) = self.staged.get(id) else {
                return Err(format!("commit {id} was never asked for"));
            };
            let own: BTreeMap<_, _> =
                head.versions.iter().filter(|(_, version)| version.sequence == *sequence).collect();
            let own = Head {
                versions: own.into_iter().map(|(key, version)| (key.clone(), version.clone())).collect(),
                ..Head::default()
            };
            let committed = added(&Head::default(), &own);
            if wanted != partition || committed != *items {
                return Err(format!("commit {id} of {wanted} should have added {items:?} and added {committed:?}"));
            }
            for ((name, _), version) in &own.versions {
                let item = (partition.to_owned(), name.clone(), version.run_id.clone());
                self.elsewhere.items.insert(item, version.digest.clone().unwrap_or_default());
            }
            self.done.insert(id.clone(), (partition.to_owned(), *sequence));
        }
        self.elsewhere.scopes.insert(key, head);
        Ok(())
    }
}
