//! The calls of a datastore extension in the types of the SDK, carried out by the protocol.

use peat_sdk::content::Blob;
use peat_sdk::datastore as wit;
use peat_sdk::datastore::host::ObjectStore;

use super::convert::{
    from_lease, from_lifetime, from_reference, to_entry, to_holder, to_host_error, to_lease, to_reference,
};
use super::world::{HostBlob, HostWorld};
use crate::chain::Chain;
use crate::limits::INLINE_BYTES_MAX;
use crate::ports::ObjectStore as _;
use crate::types;

/// Result in the terms of the SDK.
pub(super) type Result<T> = std::result::Result<T, peat_sdk::Error>;

/// The protocol over a store that the host opened.
#[derive(Debug)]
pub struct Shared {
    pub(super) chain: Chain<HostWorld>,
}

impl Shared {
    /// The protocol over this store.
    pub fn new(store: ObjectStore) -> Self {
        Self { chain: Chain::new(HostWorld::new(store)) }
    }

    /// What it is. No request.
    pub fn describe(&self) -> wit::Description {
        wit::Description {
            summary: self.chain.world().description(),
            features: wit::Features::empty(),
            inline_limit: u32::try_from(INLINE_BYTES_MAX).unwrap_or(u32::MAX),
        }
    }

    /// Creates what is missing and probes the store.
    pub async fn setup(&self, namespace: &str) -> Result<wit::Profile> {
        self.chain.setup(namespace).await.map(to_profile).map_err(to_host_error)
    }

    /// Probes the store again.
    pub async fn verify(&self, namespace: &str) -> Result<wit::Profile> {
        self.chain.verify(namespace).await.map(to_profile).map_err(to_host_error)
    }

    /// One page of news.
    pub async fn pull(&self, request: wit::PullRequest) -> Result<wit::PullPage> {
        let request = types::PullRequest {
            namespace: request.namespace,
            partitions: request.partitions,
            leases: request.leases.into_iter().map(from_lease).collect(),
            depth: match request.depth {
                wit::Depth::Partitions => types::Depth::Partitions,
                wit::Depth::Index => types::Depth::Index,
                wit::Depth::Content => types::Depth::Content,
            },
            cursor: request.cursor,
        };
        let page = self.chain.pull(&request).await.map_err(to_host_error)?;
        Ok(wit::PullPage {
            deltas: page.deltas.into_iter().map(to_delta).collect(),
            cursor: page.cursor,
            partitions_total: page.partitions_total,
        })
    }

    /// One commit.
    pub async fn push(&self, request: wit::PushRequest) -> Result<wit::Receipt> {
        let request = types::PushRequest {
            namespace: request.namespace,
            partition: request.partition,
            lease: request.lease.map(from_lease),
            commit_id: request.commit_id,
            may_be_repeated: request.may_be_repeated,
            append: request.append.into_iter().map(from_new_entry).collect(),
            remove: request.remove.into_iter().map(from_reference).collect(),
            release: request.release,
        };
        let receipt = self.chain.push(&request).await.map_err(to_host_error)?;
        Ok(wit::Receipt {
            entries: receipt.entries.into_iter().map(to_entry).collect(),
            collected: receipt.collected.into_iter().map(|position| position as u32).collect(),
            removed: receipt.removed.into_iter().map(to_reference).collect(),
            version: receipt.version,
            lease: receipt.lease.map(to_lease),
        })
    }

    /// Leases of partitions.
    pub async fn acquire(&self, request: wit::AcquireRequest) -> Result<Vec<wit::Lease>> {
        let request = types::AcquireRequest {
            namespace: request.namespace,
            partitions: request.partitions,
            ttl_ms: request.ttl_ms,
            wait_ms: request.wait_ms,
            holds_others: request.holds_others,
        };
        let leases = self.chain.acquire(&request).await.map_err(to_host_error)?;
        Ok(leases.into_iter().map(to_lease).collect())
    }

    /// The lease of the namespace.
    pub async fn acquire_structural(&self, namespace: &str, ttl_ms: u64, wait_ms: u64) -> Result<wit::Lease> {
        self.chain.acquire_structural(namespace, ttl_ms, wait_ms).await.map(to_lease).map_err(to_host_error)
    }

    /// Prolongs a lease.
    pub async fn renew(&self, namespace: &str, lease: wit::Lease) -> Result<wit::Lease> {
        self.chain.renew(namespace, &from_lease(lease)).await.map(to_lease).map_err(to_host_error)
    }

    /// Gives a lease up.
    pub async fn release(&self, namespace: &str, lease: wit::Lease) -> Result<()> {
        self.chain.release(namespace, &from_lease(lease)).await.map_err(to_host_error)
    }

    /// Who holds and who waits.
    pub async fn inspect(&self, namespace: &str, cursor: Option<&str>) -> Result<wit::StatusPage> {
        let page = self.chain.inspect(namespace, cursor).await.map_err(to_host_error)?;
        Ok(wit::StatusPage { leases: page.leases.into_iter().map(to_status).collect(), cursor: page.cursor })
    }

    /// Ends another holder's lease.
    pub async fn break_lease(&self, namespace: &str, partition: &str, nonce: &str) -> Result<()> {
        self.chain.break_lease(namespace, partition, nonce).await.map_err(to_host_error)
    }

    /// Content of entries.
    pub async fn fetch(&self, namespace: &str, wanted: Vec<wit::Wanted>) -> Result<Vec<Result<Blob>>> {
        let wanted: Vec<types::Wanted> = wanted
            .into_iter()
            .map(|wanted| types::Wanted {
                partition: wanted.partition,
                name: wanted.name,
                version: wanted.version,
                size: wanted.size,
                digest: wanted.digest,
                location: wanted.location,
            })
            .collect();
        let fetched = self.chain.fetch(namespace, &wanted).await.map_err(to_host_error)?;
        Ok(fetched.into_iter().map(|answer| answer.map(|blob| blob.0).map_err(to_host_error)).collect())
    }
}

fn from_new_entry(new: wit::NewEntry) -> types::NewEntry<HostBlob> {
    types::NewEntry {
        description: types::Description {
            name: new.name,
            size: new.size,
            digest: new.digest,
            content_type: new.content_type,
            lifetime: from_lifetime(new.lifetime),
            tags: new.tags.into_iter().map(|tag| types::Tag { name: tag.name, value: tag.value }).collect(),
            created_at_ms: new.created_at_ms,
            run_id: new.run_id,
            of_failed_run: new.of_failed_run,
        },
        content: HostBlob(new.content),
        version_cap: new.version_cap,
        version: new.version,
    }
}

fn to_delta(delta: types::PartitionDelta<HostBlob>) -> wit::PartitionDelta {
    wit::PartitionDelta {
        partition: delta.partition,
        mode: match delta.mode {
            types::DeltaMode::Changed => wit::DeltaMode::Changed,
            types::DeltaMode::Extend => wit::DeltaMode::Extend,
            types::DeltaMode::Replace => wit::DeltaMode::Replace,
        },
        version: delta.version,
        entries: delta
            .entries
            .into_iter()
            .map(|pulled| wit::PulledEntry {
                entry: to_entry(pulled.entry),
                content: pulled.content.map(|content| content.0),
            })
            .collect(),
        removed: delta.removed.into_iter().map(to_reference).collect(),
        continues: delta.continues,
    }
}

fn to_profile(profile: types::Profile) -> wit::Profile {
    let findings = profile.findings.into_iter().map(|finding| wit::Finding {
        name: finding.name,
        verdict: match finding.verdict {
            types::Verdict::Passed => wit::Verdict::Passed,
            types::Verdict::Failed => wit::Verdict::Failed,
            types::Verdict::Skipped => wit::Verdict::Skipped,
        },
        detail: finding.detail,
    });
    wit::Profile { store_id: profile.store_id, format_version: profile.format_version, findings: findings.collect() }
}

fn to_status(status: types::LeaseStatus) -> wit::Status {
    let waiters = status.queue.into_iter();
    wit::Status {
        partition: status.partition,
        epoch: status.epoch,
        nonce: status.nonce,
        holder: to_holder(status.holder),
        ttl_ms: status.ttl_ms,
        acquired_at_ms: status.acquired_at_ms,
        renewed_at_ms: status.renewed_at_ms,
        stale: status.stale,
        queue: waiters
            .map(|waiter| wit::Waiter { holder: to_holder(waiter.holder), since_ms: waiter.since_ms })
            .collect(),
    }
}
