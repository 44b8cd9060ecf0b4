//! Requests and answers of the datastore interfaces that move entries: leases, pull, push, fetch.

use std::collections::BTreeSet;

use peat_core::content::SharedContent;
use peat_core::entry::Entry;
use peat_core::identifiers::PartitionName;
use peat_core::lease::Lease;
use peat_core::ports::{
    ContentRequest, DatastoreError, DeltaMode, PartitionDelta, PullDepth, PullPage, PullRequest, PulledEntry,
    PushReceipt, PushRequest,
};
use wasmtime::component::Resource;

use super::entry::{
    entry_from_guest, new_entry_to_guest, partition_from_guest, reference_to_guest, references_from_guest,
};
use super::errors::refused;
use super::text::within;
use super::{Invalid, Validated, lease};
use crate::bindings::datastore::exports::peat::datastore::sync as guest;
use crate::bindings::hydration::exports::peat::datastore::hydration;
use crate::bindings::imports::interfaces::errors::Error;
use crate::bindings::imports::types::Lease as GuestLease;
use crate::capabilities::blobs::Blob;
use crate::limits::{PARTITION_VERSION_BYTES_MAX, TEXT_BYTES_MAX};
use crate::state::GuestState;

/// Exactly the wanted leases, in order.
pub(crate) fn leases_from_guest(leases: Vec<GuestLease>, wanted: &[PartitionName]) -> Validated<Vec<Lease>> {
    if leases.len() != wanted.len() {
        return Err(Invalid::field("leases", format!("{} for {} partitions", leases.len(), wanted.len())));
    }
    leases.into_iter().zip(wanted).map(|(found, partition)| lease::from_guest(found, partition)).collect()
}

pub(crate) fn pull_to_guest(request: &PullRequest, namespace: &str) -> guest::PullRequest {
    guest::PullRequest {
        namespace: namespace.to_owned(),
        partitions: request.partitions.as_ref().map(|names| names.iter().map(ToString::to_string).collect()),
        leases: request.leases.iter().map(lease::to_guest).collect(),
        depth: match request.depth {
            PullDepth::Partitions => guest::Depth::Partitions,
            PullDepth::Index => guest::Depth::Index,
            PullDepth::Content => guest::Depth::Content,
        },
        cursor: request.cursor.clone(),
    }
}

/// A page of news about the partitions that were asked for. The digests of its contents are not checked here.
pub(crate) fn page_from_guest(
    state: &mut GuestState,
    page: guest::PullPage,
    asked: Option<&BTreeSet<PartitionName>>,
) -> Validated<PullPage> {
    let mut seen = BTreeSet::new();
    let mut deltas = Vec::with_capacity(page.deltas.len());
    for delta in page.deltas {
        let partition = partition_from_guest(&delta.partition)?;
        if asked.is_some_and(|asked| !asked.contains(&partition)) {
            return Err(Invalid::field("deltas", format!("{partition} was not asked for")));
        }
        if !seen.insert(partition.clone()) {
            return Err(Invalid::field("deltas", format!("{partition} comes twice in one page")));
        }
        let only_told = delta.entries.is_empty() && delta.removed.is_empty() && !delta.continues;
        if delta.mode == guest::DeltaMode::Changed && !only_told {
            return Err(Invalid::field("deltas", format!("{partition} is `changed` and has entries")));
        }
        let entries = delta.entries.into_iter().map(|pulled| pulled_from_guest(state, pulled));
        deltas.push(PartitionDelta {
            mode: match delta.mode {
                guest::DeltaMode::Changed => DeltaMode::Changed,
                guest::DeltaMode::Extend => DeltaMode::Extend,
                guest::DeltaMode::Replace => DeltaMode::Replace,
            },
            version: within("version", delta.version, PARTITION_VERSION_BYTES_MAX)?,
            entries: entries.collect::<Validated<_>>()?,
            removed: references_from_guest(delta.removed)?,
            continues: delta.continues,
            partition,
        });
    }
    let cursor = page.cursor.map(|cursor| within("cursor", cursor, TEXT_BYTES_MAX)).transpose()?;
    Ok(PullPage { deltas, cursor, partitions_total: page.partitions_total })
}

fn pulled_from_guest(state: &mut GuestState, pulled: guest::PulledEntry) -> Validated<PulledEntry> {
    let content = pulled.content.map(|content| taken(state, content)).transpose()?;
    Ok(PulledEntry { entry: entry_from_guest(pulled.entry)?, content })
}

pub(crate) fn push_to_guest(
    state: &mut GuestState,
    request: &PushRequest,
    namespace: String,
) -> wasmtime::Result<guest::PushRequest> {
    let changes = &request.changes;
    let append = changes.append.iter().map(|entry| {
        let content = state.push_blob(SharedContent::clone(&entry.content))?;
        Ok(new_entry_to_guest(entry, content))
    });
    Ok(guest::PushRequest {
        namespace,
        partition: changes.partition.to_string(),
        lease: request.lease.as_ref().map(lease::to_guest),
        commit_id: changes.commit_id.to_string(),
        may_be_repeated: request.may_be_repeated,
        append: append.collect::<wasmtime::Result<_>>()?,
        remove: changes.remove.iter().map(reference_to_guest).collect(),
        release: request.release,
    })
}

/// A receipt for exactly the entries that were pushed, in order.
pub(crate) fn receipt_from_guest(receipt: guest::Receipt, request: &PushRequest) -> Validated<PushReceipt> {
    let pushed = &request.changes.append;
    let collected: Vec<usize> = receipt.collected.into_iter().map(|position| position as usize).collect();
    if !collected.is_sorted_by(|earlier, later| earlier < later) {
        return Err(Invalid::field("collected", "positions in rising order"));
    }
    if let Some(position) = collected.last().filter(|position| **position >= pushed.len()) {
        return Err(Invalid::field("collected", format!("position {position} of {} pushed entries", pushed.len())));
    }
    if receipt.entries.len() + collected.len() != pushed.len() {
        let rule = format!("{} for {} pushed entries", receipt.entries.len(), pushed.len() - collected.len());
        return Err(Invalid::field("entries", rule));
    }
    let kept = receipt.lease.filter(|_| !request.release);
    let receipt = PushReceipt {
        entries: receipt.entries.into_iter().map(entry_from_guest).collect::<Validated<Vec<Entry>>>()?,
        collected,
        removed: references_from_guest(receipt.removed)?,
        version: within("version", receipt.version, PARTITION_VERSION_BYTES_MAX)?,
        lease: kept.map(|kept| lease::from_guest(kept, &request.changes.partition)).transpose()?,
    };
    for (entry, pushed) in receipt.entries.iter().zip(receipt.confirmed(pushed)) {
        let (found, sent) = (&entry.description, &pushed.description);
        if (&found.name, found.size, &found.digest) != (&sent.name, sent.size, &sent.digest) {
            return Err(Invalid::field("entries", format!("{} was pushed and {} confirmed", sent.name, found.name)));
        }
        if let Some(version) = pushed.version.filter(|version| *version != entry.version) {
            let rule = format!("{} was pushed as version {version} and confirmed as {}", sent.name, entry.version);
            return Err(Invalid::field("entries", rule));
        }
    }
    Ok(receipt)
}

pub(crate) fn wanted_to_guest(wanted: &ContentRequest) -> hydration::Wanted {
    hydration::Wanted {
        partition: wanted.partition.to_string(),
        name: wanted.name.to_string(),
        version: wanted.version.0,
        size: wanted.size,
        digest: wanted.digest.to_string(),
        location: wanted.location.clone(),
    }
}

/// One content or error for each that was wanted. Their digests are not checked here.
pub(crate) fn contents_from_guest(
    state: &mut GuestState,
    contents: Vec<Result<Resource<Blob>, Error>>,
    wanted: usize,
) -> Validated<Vec<Result<SharedContent, DatastoreError>>> {
    if contents.len() != wanted {
        return Err(Invalid::field("contents", format!("{} for {wanted} wanted", contents.len())));
    }
    let content = |fetched: Result<Resource<Blob>, Error>| match fetched {
        Ok(blob) => taken(state, blob).map(Ok),
        Err(error) => Ok(Err(refused(error))),
    };
    contents.into_iter().map(content).collect()
}

/// The content of a blob that the guest gave away.
fn taken(state: &mut GuestState, blob: Resource<Blob>) -> Validated<SharedContent> {
    let blob = state.table.delete(blob).map_err(|error| Invalid::field("content", error))?;
    Ok(blob.content())
}
