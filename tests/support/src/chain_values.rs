//! Between the records of the shared-store protocol and those of the host, for tests that run the protocol natively.

use std::sync::Arc;
use std::time::Duration;

use peat_chain::maintenance;
use peat_chain::ports::Blob;
use peat_chain::types as chain;
use peat_chain::{Error, ErrorKind};
use peat_core::content::{self, SharedContent};
use peat_core::digest::Digest;
use peat_core::entry::{self, Entry, VersionReference};
use peat_core::identifiers::{DataName, Epoch, PartitionName, RunId, Version};
use peat_core::lease::Lease;
use peat_core::ports::{self, DatastoreError};

/// Largest thing that is brought into memory here, in bytes.
const READ_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Content of the host as a blob of the protocol.
#[derive(Debug, Clone)]
pub struct Bytes(pub SharedContent);

impl Bytes {
    /// A blob of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(content::in_memory(bytes))
    }

    /// All of its bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        content::read_all(&*self.0, READ_BYTES_MAX).unwrap()
    }
}

impl Blob for Bytes {
    fn size(&self) -> u64 {
        self.0.size()
    }

    async fn read(&self, offset: u64, length: u32) -> peat_chain::Result<Vec<u8>> {
        let rest = self.0.size().saturating_sub(offset).min(u64::from(length));
        let part = content::slice(&self.0, offset, rest).unwrap();
        Ok(content::read_all(&*part, READ_BYTES_MAX).unwrap())
    }

    fn slice(&self, offset: u64, length: u64) -> peat_chain::Result<Self> {
        let outside = || Error::new(ErrorKind::InvalidInput, "slice", "outside the blob");
        content::slice(&self.0, offset, length).map(Self).ok_or_else(outside)
    }
}

/// An error of the protocol as the host sees it.
pub fn refused(error: Error) -> DatastoreError {
    let kind = match error.kind {
        ErrorKind::Conflict => ports::ErrorKind::Conflict,
        ErrorKind::NotFound => ports::ErrorKind::NotFound,
        ErrorKind::Unavailable(after) => {
            ports::ErrorKind::Unavailable { retry_after: after.map(Duration::from_millis) }
        }
        ErrorKind::Denied => ports::ErrorKind::Denied,
        ErrorKind::LeaseLost => ports::ErrorKind::LeaseLost,
        ErrorKind::Held => ports::ErrorKind::Held,
        ErrorKind::Corrupt => ports::ErrorKind::Corrupt,
        ErrorKind::Unsupported => ports::ErrorKind::Unsupported,
        ErrorKind::InvalidConfig => ports::ErrorKind::InvalidConfig,
        ErrorKind::InvalidInput => ports::ErrorKind::InvalidInput,
        ErrorKind::Exhausted => ports::ErrorKind::Exhausted,
        ErrorKind::Cancelled => ports::ErrorKind::Cancelled,
    };
    DatastoreError::Refused { kind, subject: error.subject, message: error.message }
}

/// A profile.
pub fn profile(profile: chain::Profile) -> ports::StoreProfile {
    let finding = |finding: chain::Finding| ports::Finding {
        name: finding.name,
        verdict: match finding.verdict {
            chain::Verdict::Passed => ports::Verdict::Passed,
            chain::Verdict::Failed => ports::Verdict::Failed,
            chain::Verdict::Skipped => ports::Verdict::Skipped,
        },
        detail: finding.detail,
    };
    ports::StoreProfile {
        store_id: profile.store_id,
        format_version: profile.format_version,
        findings: profile.findings.into_iter().map(finding).collect(),
    }
}

/// Wanted leases.
pub fn acquire_request(namespace: &str, request: &ports::AcquireRequest) -> chain::AcquireRequest {
    chain::AcquireRequest {
        namespace: namespace.to_owned(),
        partitions: request.partitions.iter().map(ToString::to_string).collect(),
        ttl_ms: millis(request.ttl),
        wait_ms: millis(request.wait),
        holds_others: request.holds_others,
    }
}

/// A lease, to the host.
pub fn lease(lease: chain::Lease) -> Lease {
    Lease {
        partition: PartitionName::parse(&lease.partition).unwrap(),
        epoch: Epoch(lease.epoch),
        nonce: lease.nonce,
        ttl: Duration::from_millis(lease.ttl_ms),
        state: lease.state,
    }
}

/// A lease, to the protocol.
pub fn chain_lease(lease: &Lease) -> chain::Lease {
    chain::Lease {
        partition: lease.partition.to_string(),
        epoch: lease.epoch.0,
        nonce: lease.nonce.clone(),
        ttl_ms: millis(lease.ttl),
        state: lease.state.clone(),
    }
}

/// What to bring.
pub fn pull_request(namespace: &str, request: &ports::PullRequest) -> chain::PullRequest {
    let names = |partitions: &Vec<PartitionName>| partitions.iter().map(ToString::to_string).collect();
    chain::PullRequest {
        namespace: namespace.to_owned(),
        partitions: request.partitions.as_ref().map(names),
        leases: request.leases.iter().map(chain_lease).collect(),
        depth: match request.depth {
            ports::PullDepth::Partitions => chain::Depth::Partitions,
            ports::PullDepth::Index => chain::Depth::Index,
            ports::PullDepth::Content => chain::Depth::Content,
        },
        cursor: request.cursor.clone(),
    }
}

/// A page of news, its contents checked against their digests as the port promises.
pub fn page(page: chain::PullPage<Bytes>) -> Result<ports::PullPage, DatastoreError> {
    let deltas = page.deltas.into_iter().map(delta).collect::<Result<_, _>>()?;
    Ok(ports::PullPage { deltas, cursor: page.cursor, partitions_total: page.partitions_total })
}

fn delta(delta: chain::PartitionDelta<Bytes>) -> Result<ports::PartitionDelta, DatastoreError> {
    let pulled = |pulled: chain::PulledEntry<Bytes>| {
        let entry = entry(pulled.entry);
        let damaged = |content: &Bytes| content::digest(&*content.0).unwrap() != entry.description.digest;
        if pulled.content.as_ref().is_some_and(damaged) {
            return Err(other_digest(&entry.description.name, entry.version));
        }
        Ok(ports::PulledEntry { entry, content: pulled.content.map(|content| content.0) })
    };
    Ok(ports::PartitionDelta {
        partition: PartitionName::parse(&delta.partition).unwrap(),
        mode: match delta.mode {
            chain::DeltaMode::Changed => ports::DeltaMode::Changed,
            chain::DeltaMode::Extend => ports::DeltaMode::Extend,
            chain::DeltaMode::Replace => ports::DeltaMode::Replace,
        },
        version: delta.version,
        entries: delta.entries.into_iter().map(pulled).collect::<Result<_, _>>()?,
        removed: delta.removed.into_iter().map(reference).collect(),
        continues: delta.continues,
    })
}

/// A commit.
pub fn push_request(namespace: &str, request: &ports::PushRequest) -> chain::PushRequest<Bytes> {
    let new = |new: &entry::NewEntry| chain::NewEntry {
        description: chain_description(&new.description),
        content: Bytes(Arc::clone(&new.content)),
        version_cap: new.version_cap,
        version: new.version.map(|version| version.0),
    };
    let gone =
        |gone: &VersionReference| chain::VersionReference { name: gone.name.to_string(), version: gone.version.0 };
    chain::PushRequest {
        namespace: namespace.to_owned(),
        partition: request.changes.partition.to_string(),
        lease: request.lease.as_ref().map(chain_lease),
        commit_id: request.changes.commit_id.to_string(),
        may_be_repeated: request.may_be_repeated,
        append: request.changes.append.iter().map(new).collect(),
        remove: request.changes.remove.iter().map(gone).collect(),
        release: request.release,
    }
}

/// What is to be collected.
pub fn collect_request(namespace: &str, request: &ports::CollectRequest) -> maintenance::CollectRequest {
    maintenance::CollectRequest {
        namespace: namespace.to_owned(),
        partitions: request.partitions.iter().map(ToString::to_string).collect(),
        ttl_ms: millis(request.ttl),
        wait_ms: millis(request.wait),
        now_ms: request.now_ms,
        grace_ms: millis(request.grace),
        dry_run: request.dry_run,
        sweep_orphans: request.sweep_orphans,
        compact: request.compact,
    }
}

/// What was collected.
pub fn collected(collected: maintenance::Collected) -> ports::Collected {
    ports::Collected {
        partition: PartitionName::parse(&collected.partition).unwrap(),
        expired: collected.expired.into_iter().map(reference).collect(),
        expired_bytes: collected.expired_bytes,
        objects_deleted: collected.objects_deleted,
        bytes_deleted: collected.bytes_deleted,
        bytes_waiting: collected.bytes_waiting,
        version: collected.version,
        left: collected.left,
        more: collected.more,
    }
}

/// A page of partitions.
pub fn room_page(page: maintenance::RoomPage) -> ports::RoomPage {
    let room = |room: maintenance::Room| ports::Room {
        partition: PartitionName::parse(&room.partition).unwrap(),
        entries: room.totals.entries,
        bytes: room.totals.bytes,
        tombstones: room.totals.tombstones,
        tombstone_bytes: room.totals.tombstone_bytes,
        expires_at_ms: room.expires_ms,
    };
    ports::RoomPage { rooms: page.rooms.into_iter().map(room).collect(), cursor: page.cursor, now_ms: page.now_ms }
}

/// A receipt.
pub fn receipt(receipt: chain::Receipt) -> ports::PushReceipt {
    ports::PushReceipt {
        entries: receipt.entries.into_iter().map(entry).collect(),
        collected: receipt.collected,
        removed: receipt.removed.into_iter().map(reference).collect(),
        version: receipt.version,
        lease: receipt.lease.map(lease),
    }
}

/// Wanted content.
pub fn wanted(request: &ports::ContentRequest) -> chain::Wanted {
    chain::Wanted {
        partition: request.partition.to_string(),
        name: request.name.to_string(),
        version: request.version.0,
        size: request.size,
        digest: request.digest.to_string(),
        location: request.location.clone(),
    }
}

/// What the port promises of every content: it has the digest that was asked for.
pub fn checked(content: SharedContent, request: &ports::ContentRequest) -> Result<SharedContent, DatastoreError> {
    if content.size() == request.size && content::digest(&*content).unwrap() == request.digest {
        return Ok(content);
    }
    Err(other_digest(&request.name, request.version))
}

fn other_digest(name: &DataName, version: Version) -> DatastoreError {
    refused(Error::new(ErrorKind::Corrupt, name.as_str(), format!("{name} version {version} has another digest")))
}

fn entry(entry: chain::Entry) -> Entry {
    let description = entry.description;
    Entry {
        description: entry::Description {
            name: DataName::parse(&description.name).unwrap(),
            size: description.size,
            digest: Digest::parse(&description.digest).unwrap(),
            content_type: description.content_type,
            lifetime: match description.lifetime {
                chain::Lifetime::Infinite => entry::Lifetime::Infinite,
                chain::Lifetime::DurationMs(duration_ms) => entry::Lifetime::DurationMs(duration_ms),
                chain::Lifetime::Run => entry::Lifetime::Run,
            },
            tags: description.tags.into_iter().map(|tag| entry::Tag { name: tag.name, value: tag.value }).collect(),
            created_at_ms: description.created_at_ms,
            run_id: RunId::parse(&description.run_id).unwrap(),
            of_failed_run: description.of_failed_run,
        },
        version: Version(entry.version),
        location: entry.location,
    }
}

fn chain_description(description: &entry::Description) -> chain::Description {
    let tag = |tag: &entry::Tag| chain::Tag { name: tag.name.clone(), value: tag.value.clone() };
    chain::Description {
        name: description.name.to_string(),
        size: description.size,
        digest: description.digest.to_string(),
        content_type: description.content_type.clone(),
        lifetime: match description.lifetime {
            entry::Lifetime::Infinite => chain::Lifetime::Infinite,
            entry::Lifetime::DurationMs(duration_ms) => chain::Lifetime::DurationMs(duration_ms),
            entry::Lifetime::Run => chain::Lifetime::Run,
        },
        tags: description.tags.iter().map(tag).collect(),
        created_at_ms: description.created_at_ms,
        run_id: description.run_id.to_string(),
        of_failed_run: description.of_failed_run,
    }
}

fn reference(reference: chain::VersionReference) -> VersionReference {
    VersionReference { name: DataName::parse(&reference.name).unwrap(), version: Version(reference.version) }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}
