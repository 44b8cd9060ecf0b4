//! The fields of the generated values, in the order in which they travel.

use super::codec::{choice, record};
use super::{Malformed, Reader, Wire};
use crate::bindings::datastore::exports::peat::datastore::{capabilities, sync};
use crate::bindings::hydration::exports::peat::datastore::hydration;
use crate::bindings::imports::interfaces::{data, errors, files, holders, log, objects, progress};
use crate::bindings::imports::types as entries;
use crate::bindings::locks::exports::peat::datastore::locks;
use crate::bindings::maintenance::exports::peat::datastore::maintenance;
use crate::bindings::model::types as model;
use crate::bindings::namespaces::exports::peat::datastore::namespaces;

choice! {
    errors::ErrorKind {
        0 => Conflict, 1 => NotFound, 2 => Unavailable(retry_after_ms), 3 => Denied, 4 => LeaseLost, 5 => Held,
        6 => Corrupt, 7 => Unsupported, 8 => InvalidConfig, 9 => InvalidInput, 10 => Exhausted, 11 => Cancelled,
    }
    log::Level { 0 => Trace, 1 => Debug, 2 => Info, 3 => Warn, 4 => Error }
    progress::Unit { 0 => Items, 1 => Bytes }
    data::Lifetime { 0 => Infinite, 1 => DurationMs(duration_ms), 2 => Run }
    files::EntryKind { 0 => File, 1 => Directory, 2 => Other }
    objects::Lookup { 0 => Found(found), 1 => NotModified }
    objects::Condition { 0 => Always, 1 => Absent, 2 => Matches(etag) }
    capabilities::Verdict { 0 => Passed, 1 => Failed, 2 => Skipped }
    maintenance::Part { 0 => Root, 1 => Head, 2 => Segment, 3 => Content, 4 => Totals }
    sync::Depth { 0 => Partitions, 1 => Index, 2 => Content }
    namespaces::State {
        0 => Active, 1 => Filling(from), 2 => Moving(to), 3 => Moved(to), 4 => Folding, 5 => Deleting,
    }
    sync::DeltaMode { 0 => Changed, 1 => Extend, 2 => Replace }
}

record! {
    errors::Error { kind, subject, message }
    progress::Update { message, done, total, unit }
    data::Tag { name, value }
    data::Attributes { content_type, lifetime, tags }
    data::Artifact { name, version, size, digest, created_at_ms, attributes }
    data::Page { artifacts, cursor }
    files::Entry { name, kind, size }
    files::Listing { entries, cursor }
    holders::Holder { host, boot_id, pid_namespace, pid, process_start, command }
    objects::Object { key, size, etag, modified_ms }
    objects::Found { object, content, store_time_ms }
    objects::Range { offset, length }
    objects::Listing { objects, cursor, store_time_ms }
    objects::Failure { key, error }
    model::Invocation {
        run_id, model_id, model_name, model_type, method, model_arguments, arguments, deadline_elapsed_ms,
    }
    model::Outcome { summary }
    model::Failure { message, transient }
    entries::Entry {
        name, version, size, digest, content_type, lifetime, tags, created_at_ms, run_id, of_failed_run, location,
    }
    entries::NewEntry {
        name, content, size, digest, content_type, lifetime, tags, created_at_ms, run_id, of_failed_run, version_cap,
        version,
    }
    entries::VersionReference { name, version }
    entries::Lease { partition, epoch, nonce, ttl_ms, state }
    capabilities::Description { summary, features, inline_limit }
    capabilities::Finding { name, verdict, detail }
    capabilities::Profile { store_id, format_version, findings }
    sync::PullRequest { namespace, partitions, leases, depth, cursor }
    sync::PulledEntry { entry, content }
    sync::PartitionDelta { partition, mode, version, entries, removed, continues }
    sync::PullPage { deltas, cursor, partitions_total }
    sync::PushRequest { namespace, partition, lease, commit_id, may_be_repeated, append, remove, release }
    sync::Receipt { entries, collected, removed, version, lease }
    locks::AcquireRequest { namespace, partitions, ttl_ms, wait_ms, holds_others }
    locks::Waiter { holder, since_ms }
    locks::Status { partition, epoch, nonce, holder, ttl_ms, acquired_at_ms, renewed_at_ms, stale, queue }
    locks::StatusPage { leases, cursor }
    maintenance::Room { partition, entries, bytes, tombstones, tombstone_bytes, expires_at_ms }
    maintenance::RoomPage { rooms, cursor, now_ms }
    maintenance::CollectRequest {
        namespace, partitions, ttl_ms, wait_ms, now_ms, grace_ms, dry_run, sweep_orphans, compact,
    }
    maintenance::Collected {
        partition, expired, expired_bytes, objects_deleted, bytes_deleted, bytes_waiting, version, left, more,
    }
    maintenance::DamagedVersion { name, version, size, digest }
    maintenance::Damage { partition, part, key, what, versions, versions_total }
    maintenance::CheckRequest { namespace, partitions, expected, read_data, cursor }
    maintenance::CheckPage {
        damage, damage_total, partitions, entries, bytes_read, orphans, orphan_bytes, cursor, partitions_total,
    }
    maintenance::Supplied { name, version, content }
    maintenance::KnownEntry { entry, content }
    maintenance::RepairRequest { namespace, partition, ttl_ms, wait_ms, contents, index, dry_run }
    maintenance::Repaired { restored, lost, records_lost, may_lose_commits, notes }
    namespaces::Namespace { name, state, created_at_ms, parent, expires_at_ms, expired }
    namespaces::Page { namespaces, cursor }
    namespaces::Amount { partitions, items, bytes }
    namespaces::FoldConflict { partition, name, version, folded_as }
    namespaces::Step { state, done, message, waiting, completed, total, conflicts }
    hydration::Wanted { partition, name, version, size, digest, location }
}

/// Each feature and its bit, which is its place in the contract.
const FEATURES: [capabilities::Features; 4] = [
    capabilities::Features::LOCKS,
    capabilities::Features::HYDRATION,
    capabilities::Features::MAINTENANCE,
    capabilities::Features::NAMESPACES,
];

impl Wire for capabilities::Features {
    fn write(&self, bytes: &mut Vec<u8>) {
        let bits = FEATURES.iter().enumerate().filter(|(_, feature)| self.contains(**feature));
        bytes.push(bits.fold(0, |bits, (at, _)| bits | 1 << at));
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let bits = u8::read(reader)?;
        if bits >> FEATURES.len() != 0 {
            return Err(Malformed::Choice(bits));
        }
        let set = FEATURES.into_iter().enumerate().filter(|(at, _)| bits & 1 << at != 0);
        Ok(set.fold(Self::empty(), |sum, (_, feature)| sum | feature))
    }
}
