//! Checks and repairs in the types of the SDK.

use peat_sdk::datastore as wit;

use super::convert::{from_lifetime, to_host_error, to_reference};
use super::shared::{Result, Shared};
use super::world::HostBlob;
use crate::maintenance::check::{CheckPage, CheckRequest, Damage, Part};
use crate::maintenance::repair::{KnownEntry, RepairRequest, Repaired, Supplied};
use crate::types;

impl Shared {
    /// A page of what is damaged.
    pub async fn check(&self, request: wit::CheckRequest) -> Result<wit::CheckPage> {
        let request = CheckRequest {
            namespace: request.namespace,
            partitions: request.partitions,
            expected: request.expected,
            read_data: request.read_data,
            cursor: request.cursor,
        };
        self.chain.check(&request).await.map(to_page).map_err(to_host_error)
    }

    /// Repairs one partition.
    pub async fn repair(&self, request: wit::RepairRequest) -> Result<wit::Repaired> {
        let request = RepairRequest {
            namespace: request.namespace,
            partition: request.partition,
            ttl_ms: request.ttl_ms,
            wait_ms: request.wait_ms,
            contents: request.contents.into_iter().map(from_supplied).collect(),
            index: request.index.into_iter().map(from_known).collect(),
            dry_run: request.dry_run,
        };
        self.chain.repair(&request).await.map(to_repaired).map_err(to_host_error)
    }
}

fn from_supplied(supplied: wit::Supplied) -> Supplied<HostBlob> {
    Supplied {
        reference: types::VersionReference { name: supplied.name, version: supplied.version },
        content: supplied.content.map(HostBlob),
    }
}

fn from_known(known: wit::KnownEntry) -> KnownEntry<HostBlob> {
    let entry = known.entry;
    let tags = entry.tags.into_iter().map(|tag| types::Tag { name: tag.name, value: tag.value }).collect();
    let description = types::Description {
        name: entry.name,
        size: entry.size,
        digest: entry.digest,
        content_type: entry.content_type,
        lifetime: from_lifetime(entry.lifetime),
        tags,
        created_at_ms: entry.created_at_ms,
        run_id: entry.run_id,
        of_failed_run: entry.of_failed_run,
    };
    KnownEntry {
        entry: types::Entry { description, version: entry.version, location: entry.location },
        content: known.content.map(HostBlob),
    }
}

fn to_page(page: CheckPage) -> wit::CheckPage {
    wit::CheckPage {
        damage: page.damage.into_iter().map(to_damage).collect(),
        damage_total: page.damage_total,
        partitions: page.partitions,
        entries: page.entries,
        bytes_read: page.bytes_read,
        orphans: page.orphans,
        orphan_bytes: page.orphan_bytes,
        cursor: page.cursor,
        partitions_total: page.partitions_total,
    }
}

fn to_damage(damage: Damage) -> wit::Damage {
    let versions = damage.versions.into_iter().map(|version| wit::DamagedVersion {
        name: version.name,
        version: version.version,
        size: version.size,
        digest: version.digest,
    });
    wit::Damage {
        partition: damage.partition,
        part: match damage.part {
            Part::Root => wit::Part::Root,
            Part::Head => wit::Part::Head,
            Part::Segment => wit::Part::Segment,
            Part::Content => wit::Part::Content,
            Part::Totals => wit::Part::Totals,
        },
        key: damage.key,
        what: damage.what,
        versions: versions.collect(),
        versions_total: damage.versions_total,
    }
}

fn to_repaired(repaired: Repaired) -> wit::Repaired {
    wit::Repaired {
        restored: repaired.restored.into_iter().map(to_reference).collect(),
        lost: repaired.lost.into_iter().map(to_reference).collect(),
        records_lost: repaired.records_lost,
        may_lose_commits: repaired.may_lose_commits,
        notes: repaired.notes,
    }
}
