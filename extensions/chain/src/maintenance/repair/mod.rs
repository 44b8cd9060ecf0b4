//! Repairing: what is damaged is made again where it can be, and what cannot leaves the index, so that everything else works.
//!
//! Content is put back at its place, with the bytes that the caller has: no record changes, so no lease is needed, and the
//! object is replaced by compare-and-swap. Everything else is one swap of the head under a lease, as a collection is. Nothing
//! is believed that a check said earlier: every damage is looked at again before it is touched.

mod contents;
mod head;
mod index;
mod root;

use std::collections::BTreeSet;

use crate::chain::{Chain, Reading};
use crate::error::{Error, ErrorKind, Result};
use crate::keys;
use crate::limits::{LEASE_TTL_MS_MAX, LEASE_TTL_MS_MIN, REPAIR_CONTENTS_MAX, REPAIR_INDEX_MAX};
use crate::ports::World;
use crate::root::{Address, Root};
use crate::types::{Entry, VersionReference};

/// What is to be repaired, and what the caller has for it.
#[derive(Debug)]
pub struct RepairRequest<B> {
    /// The namespace.
    pub namespace: String,
    /// The partition; none: the namespace root.
    pub partition: Option<String>,
    /// Time to live of the lease under which the head is changed.
    pub ttl_ms: u64,
    /// How long to wait for its holder.
    pub wait_ms: u64,
    /// Versions whose content a check found damaged, at most [`REPAIR_CONTENTS_MAX`].
    pub contents: Vec<Supplied<B>>,
    /// What the caller's index knows of the partition, at most [`REPAIR_INDEX_MAX`]: used where the store's is lost.
    pub index: Vec<KnownEntry<B>>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// A version with damaged content, and the content where the caller has it.
#[derive(Debug)]
pub struct Supplied<B> {
    /// Which.
    pub reference: VersionReference,
    /// Its content.
    pub content: Option<B>,
}

/// A version that the caller's index has.
#[derive(Debug)]
pub struct KnownEntry<B> {
    /// It.
    pub entry: Entry,
    /// Its content, where that is small and may have been in the index.
    pub content: Option<B>,
}

/// What was repaired, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Versions that are whole again.
    pub restored: Vec<VersionReference>,
    /// Versions that left the index, because nobody here has their content.
    pub lost: Vec<VersionReference>,
    /// Records that were in lost parts of the index and are not known here, at most.
    pub records_lost: u64,
    /// Commits of others may be lost that this machine has never heard of.
    pub may_lose_commits: bool,
    /// What was done, for a person.
    pub notes: Vec<String>,
}

impl<W: World> Chain<W> {
    /// Repairs one partition, or the namespace root. May be repeated, by anybody. Not cancel safe: dropped, a lease lasts for
    /// its time to live.
    pub async fn repair(&self, request: &RepairRequest<W::Blob>) -> Result<Repaired> {
        check_repair(request)?;
        let mut repaired = Repaired::default();
        let Some(partition) = &request.partition else {
            self.repair_store_record(request.dry_run, &mut repaired).await?;
            self.repair_root(&request.namespace, request.dry_run, &mut repaired).await?;
            return Ok(repaired);
        };
        let address = Address::new(&request.namespace, partition);
        let found = match self.read_root(address, None).await {
            Ok(Reading::Found(found)) => Some(found),
            Ok(_) => None,
            Err(error) if error.kind == ErrorKind::Corrupt => None,
            Err(error) => return Err(error),
        };
        self.check_gate(address.namespace).await?;
        let head = match found.map(|found| found.root) {
            Some(Root::Head(head)) => head,
            _ => self.repair_head(address, request, &mut repaired).await?,
        };
        let unsound = self.repair_contents(address, &head, request, &mut repaired).await?;
        self.repair_index(address, &head, request, &unsound, &mut repaired).await?;
        // Restored as records, and again as contents.
        let lost: BTreeSet<VersionReference> = std::mem::take(&mut repaired.lost).into_iter().collect();
        let restored: BTreeSet<VersionReference> = std::mem::take(&mut repaired.restored).into_iter().collect();
        repaired.restored = restored.difference(&lost).cloned().collect();
        repaired.lost = lost.into_iter().collect();
        Ok(repaired)
    }
}

fn check_repair<B>(request: &RepairRequest<B>) -> Result<()> {
    keys::check_namespace(&request.namespace)?;
    request.partition.as_deref().map_or(Ok(()), keys::check_partition)?;
    if let Some(parent) = keys::parent_of(&request.namespace) {
        let message = format!(
            "run scope {} is not repaired: its data is that of {parent} and of one pipeline; repair {parent}, open \
             another scope and run it again",
            request.namespace
        );
        return Err(Error::new(ErrorKind::Unsupported, &request.namespace, message));
    }
    if request.contents.len() > REPAIR_CONTENTS_MAX || request.index.len() > REPAIR_INDEX_MAX {
        let rule = format!("at most {REPAIR_CONTENTS_MAX} contents and {REPAIR_INDEX_MAX} entries");
        return Err(Error::input("contents", rule));
    }
    if !(LEASE_TTL_MS_MIN..=LEASE_TTL_MS_MAX).contains(&request.ttl_ms) {
        return Err(Error::input("ttl-ms", format!("{LEASE_TTL_MS_MIN} to {LEASE_TTL_MS_MAX} milliseconds")));
    }
    Ok(())
}
