//! Folding a run scope: what was committed in it is committed to its parent, commit by commit in their order, with new
//! version numbers. Then the scope is deleted.
//!
//! A folded commit has an id made from the scope's, so that it is not done twice, whoever repeats it. Content is copied
//! inside the store. When a partition is done its head says so (`inherited` is its last sequence).

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::chain::Chain;
use crate::commit::Source;
use crate::error::{Error, ErrorKind, Result};
use crate::head::Head;
use crate::keys;
use crate::limits::CONFLICTS_TOLD_MAX;
use crate::meta::State;
use crate::ports::{Object, World};
use crate::record::{EntryRecord, Place, Record};
use crate::refusal::{check_state, namespace_absent};
use crate::root::{Address, Root, Snapshot};
use crate::seal::{Mark, Marked, Phase, Standing};
use crate::segment::hexadecimal;
use crate::spill::merge;
use crate::types::{AcquireRequest, Amount, FoldConflict, Lease, NewEntry, PushRequest, Step, VersionReference};

/// Time to live of the parent's lease while a partition is folded: renewed with every commit.
const LEASE_TTL_MS: u64 = 60_000;

/// How long one step waits for the parent's lease, in milliseconds.
const LEASE_WAIT_MS: u64 = 15_000;

/// Digits of the digest in a commit id: with its prefix below the 64 bytes of an identity.
const COMMIT_DIGITS: usize = 48;

/// What one commit of the scope did.
#[derive(Debug, Default)]
struct Commit {
    appended: Vec<EntryRecord>,
    removed: Vec<VersionReference>,
}

impl<W: World> Chain<W> {
    /// One step of the fold of a run scope into its parent. Every step may be repeated, also without the state of the step
    /// before: no commit is done twice. Not cancel safe, like every step.
    pub async fn fold(&self, name: &str, state: Option<&str>) -> Result<Step> {
        keys::check_namespace(name)?;
        let Some(parent) = keys::parent_of(name) else {
            return Err(Error::input(name, "the name of a run scope: PARENT.scope-ID"));
        };
        let mut standing = match state {
            Some(state) => Standing::parse(state)?,
            None => self.begin_fold(name, parent).await?,
        };
        if standing.phase == Phase::Seal {
            if let Some(step) = self.seal_heads(name, &mut standing).await? {
                return Ok(step);
            }
            standing.enter(Phase::Carry);
            standing.total = Amount::default();
        }
        if standing.phase == Phase::Carry
            && let Some(step) = self.fold_partitions(name, parent, &mut standing).await?
        {
            return Ok(step);
        }
        let step = self.erase(name, Standing { phase: Phase::Erase, ..standing.clone() }).await?;
        let message = if step.done { format!("{name} was folded into {parent}") } else { step.message.clone() };
        Ok(Step { message, completed: standing.completed, total: Some(standing.completed), ..step })
    }

    async fn begin_fold(&self, name: &str, parent: &str) -> Result<Standing> {
        self.check_active(parent).await?;
        let folding = State::Folding { id: self.new_id() };
        let meta = self.change_meta(name, |meta| match &meta.state {
            State::Active => Ok(Some(folding.clone())),
            State::Folding { .. } => Ok(None),
            _ => Err(check_state(meta).err().unwrap_or_else(|| namespace_absent(name))),
        });
        match meta.await?.state {
            State::Folding { id } => Ok(Standing::new(id)),
            _ => Err(namespace_absent(name)),
        }
    }

    /// Folds partition after partition; answers the step that tells how far it came, none when all are done.
    async fn fold_partitions(&self, name: &str, parent: &str, standing: &mut Standing) -> Result<Option<Step>> {
        let deadline_ms = self.step_deadline_ms();
        let mut conflicts = Vec::new();
        loop {
            let listing = self.world.list(&keys::index_prefix(name), standing.listing.as_deref()).await?;
            let mut heads: Vec<(&str, &Object)> = listing
                .objects
                .iter()
                .filter_map(|object| keys::partition_of_head(name, &object.key).map(|partition| (partition, object)))
                .collect();
            heads.sort_by_key(|(partition, _)| *partition);
            let after = standing.after.clone();
            heads.retain(|(partition, _)| after.as_deref().is_none_or(|after| *partition > after));
            for (partition, object) in heads {
                let folding = self.fold_partition((name, parent), object, listing.store_time_ms, &standing.id);
                match folding.await {
                    Ok((amount, found)) => {
                        standing.completed += amount;
                        conflicts.extend(found);
                    }
                    Err(error) if error.kind == ErrorKind::Held => {
                        let step = standing.step(error.message);
                        return Ok(Some(Step { waiting: true, conflicts, total: None, ..step }));
                    }
                    Err(error) => return Err(error),
                }
                standing.after = Some(partition.to_owned());
                if self.is_over(deadline_ms) || conflicts.len() >= CONFLICTS_TOLD_MAX {
                    let step = standing.step(format!("folding {name} into {parent}"));
                    return Ok(Some(Step { conflicts, total: None, ..step }));
                }
            }
            let Some(next) = listing.cursor else { break };
            standing.listing = Some(next);
            standing.after = None;
        }
        standing.enter(Phase::Erase);
        if conflicts.is_empty() {
            return Ok(None);
        }
        // They must not be lost with what the deletion answers.
        let step = standing.step(format!("{name} is in {parent}"));
        Ok(Some(Step { conflicts, total: None, ..step }))
    }

    /// Folds one partition under the parent's lease.
    async fn fold_partition(
        &self,
        (name, parent): (&str, &str),
        object: &Object,
        store_time_ms: u64,
        id: &str,
    ) -> Result<(Amount, Vec<FoldConflict>)> {
        let head = match self.mark_head(name, object, store_time_ms, Mark::Sealed(id)).await? {
            Marked::Done(head) => head,
            // Made after the scope was closed: nothing can have been committed to it.
            Marked::Gone | Marked::Leased(_) => return Ok((Amount::default(), Vec::new())),
        };
        let address = Address::new(name, &head.partition);
        let commits = self.own_commits(address, &head).await?;
        if commits.is_empty() {
            return Ok((Amount::default(), Vec::new()));
        }
        let request = AcquireRequest {
            namespace: parent.to_owned(),
            partitions: vec![head.partition.clone()],
            ttl_ms: LEASE_TTL_MS,
            wait_ms: LEASE_WAIT_MS,
            holds_others: false,
        };
        let mut lease = self.acquire(&request).await?.pop();
        let mut amount = Amount { partitions: 1, ..Amount::default() };
        let mut conflicts = Vec::new();
        for (sequence, commit) in &commits {
            match self.fold_commit(address, parent, &head, *sequence, commit, lease.clone()).await {
                Ok((renewed, found)) => {
                    lease = renewed;
                    conflicts.extend(found);
                }
                Err(error) => {
                    if let Some(lease) = &lease {
                        let _ = self.release(parent, lease).await;
                    }
                    return Err(error);
                }
            }
            amount.items += commit.appended.len() as u64;
            amount.bytes += commit.appended.iter().map(|entry| entry.size).sum::<u64>();
        }
        if let Some(lease) = &lease {
            // What fails here is left to the lease's time to live.
            let _ = self.release(parent, lease).await;
        }
        self.mark_folded(address, &head).await?;
        Ok((amount, conflicts))
    }

    /// Commits to the parent what one commit of the scope did.
    async fn fold_commit(
        &self,
        address: Address<'_>,
        parent: &str,
        head: &Head,
        sequence: u64,
        commit: &Commit,
        lease: Option<Lease>,
    ) -> Result<(Option<Lease>, Vec<FoldConflict>)> {
        let places: Vec<Place> = commit.appended.iter().map(|entry| entry.place.clone()).collect();
        let mut append = Vec::with_capacity(commit.appended.len());
        for entry in &commit.appended {
            let description = entry.to_entry().description;
            // The content is at its place.
            append.push(NewEntry {
                description,
                content: self.world.blob(&[]).await?,
                version_cap: None,
                version: None,
            });
        }
        let request = PushRequest {
            namespace: parent.to_owned(),
            partition: address.partition.to_owned(),
            lease,
            commit_id: commit_id(address, &head.lineage, sequence),
            may_be_repeated: true,
            append,
            remove: commit.removed.clone(),
            release: false,
        };
        let source = Source::Namespace { name: address.namespace, places: &places };
        let receipt = self.push_of(&request, &source).await?;
        let own = commit.appended.iter().enumerate().filter(|(position, _)| !receipt.collected.contains(position));
        let renumbered =
            own.map(|(_, own)| own).zip(&receipt.entries).filter(|(own, folded)| own.version != folded.version);
        let conflict = |(own, folded): (&EntryRecord, &crate::types::Entry)| FoldConflict {
            partition: address.partition.to_owned(),
            name: own.name.clone(),
            version: own.version,
            folded_as: folded.version,
        };
        let conflicts = renumbered.map(conflict).collect();
        Ok((receipt.lease, conflicts))
    }

    /// What was committed in the scope and not folded yet, by sequence.
    async fn own_commits(&self, address: Address<'_>, head: &Head) -> Result<BTreeMap<u64, Commit>> {
        let inherited = head.inherited.unwrap_or(0);
        let mut records: Vec<Record> = Vec::new();
        for reference in head.segments.iter().filter(|reference| reference.newest > inherited) {
            records = merge(records, self.read_segment(address, reference).await?);
        }
        if let Some(buffer) = head.buffer.as_ref().filter(|reference| reference.newest > inherited) {
            records = merge(records, self.read_segment(address, buffer).await?);
        }
        records = merge(records, head.recent.clone());
        let mut commits: BTreeMap<u64, Commit> = BTreeMap::new();
        for record in records.into_iter().filter(|record| record.sequence() > inherited) {
            let commit = commits.entry(record.sequence()).or_default();
            match record {
                Record::Entry(entry) => commit.appended.push(entry),
                // What came and went within the scope was never the parent's.
                Record::Gone(gone) if gone.written <= inherited => {
                    commit.removed.push(VersionReference { name: gone.name, version: gone.version });
                }
                Record::Gone(_) => {}
            }
        }
        commits.retain(|_, commit| !commit.appended.is_empty() || !commit.removed.is_empty());
        Ok(commits)
    }

    /// Notes in the scope's head that there is nothing left to fold. Whoever does it again finds its commits by their ids.
    async fn mark_folded(&self, address: Address<'_>, head: &Head) -> Result<()> {
        let Some(Snapshot { root: Root::Head(current), etag, .. }) = self.fresh_root(address).await? else {
            return Ok(());
        };
        if current.sealed != head.sealed || current.inherited == Some(current.sequence) {
            return Ok(());
        }
        let marked = Head { inherited: Some(current.sequence), ..current };
        self.swap(address, Root::Head(marked), Some(&etag)).await.map(drop)
    }
}

/// The same for everybody who folds this commit, and no other's.
fn commit_id(address: Address<'_>, lineage: &str, sequence: u64) -> String {
    let identity = format!("{}/{}/{lineage}/{sequence}", address.namespace, address.partition);
    let digest = hexadecimal(&Sha256::digest(identity.as_bytes()));
    format!("fold-{}", &digest[..COMMIT_DIGITS])
}
