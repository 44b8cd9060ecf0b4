//! Damage, and what makes it good.

use std::collections::BTreeSet;

use peat_core::content::SharedContent;
use peat_core::digest::Digest;
use peat_core::entry::VersionReference;
use peat_core::identifiers::{DataName, PartitionName, Version};
use peat_core::ports::{CheckPage, CheckRequest, Damage, DamagedPart, DamagedVersion, RepairRequest, Repaired};
use wasmtime::component::Resource;

use super::entry::{entry_to_guest, partition_from_guest, references_from_guest};
use super::lease::millis;
use super::text::{line, within};
use super::{Invalid, Validated};
use crate::bindings::maintenance::exports::peat::datastore::maintenance as guest;
use crate::capabilities::blobs::Blob;
use crate::limits::TEXT_BYTES_MAX;
use crate::state::GuestState;

/// Damages of one page, versions of one damage, and notes of one repair.
const TOLD_MAX: usize = 1_000;

pub(crate) fn check_to_guest(request: &CheckRequest, namespace: &str) -> guest::CheckRequest {
    let names = |names: &[PartitionName]| names.iter().map(ToString::to_string).collect();
    guest::CheckRequest {
        namespace: namespace.to_owned(),
        partitions: request.partitions.as_deref().map(names),
        expected: names(&request.expected),
        read_data: request.read_data,
        cursor: request.cursor.clone(),
    }
}

/// A page about the partitions that were asked for.
pub(crate) fn page_from_guest(page: guest::CheckPage, asked: Option<&BTreeSet<PartitionName>>) -> Validated<CheckPage> {
    if page.damage.len() > TOLD_MAX || page.damage_total < page.damage.len() as u64 {
        return Err(Invalid::field("damage", format!("{} told of {}", page.damage.len(), page.damage_total)));
    }
    let damage = page.damage.into_iter().map(|damage| damage_from_guest(damage, asked));
    Ok(CheckPage {
        damage: damage.collect::<Validated<_>>()?,
        damage_total: page.damage_total,
        partitions: page.partitions,
        entries: page.entries,
        bytes_read: page.bytes_read,
        orphans: page.orphans,
        orphan_bytes: page.orphan_bytes,
        cursor: page.cursor.map(|cursor| within("cursor", cursor, TEXT_BYTES_MAX)).transpose()?,
        partitions_total: page.partitions_total,
    })
}

fn damage_from_guest(damage: guest::Damage, asked: Option<&BTreeSet<PartitionName>>) -> Validated<Damage> {
    let partition = damage.partition.map(|partition| partition_from_guest(&partition)).transpose()?;
    if let (Some(partition), Some(asked)) = (&partition, asked)
        && !asked.contains(partition)
    {
        return Err(Invalid::field("damage", format!("{partition} was not asked for")));
    }
    if damage.versions.len() > TOLD_MAX {
        return Err(Invalid::field("damage", format!("{} versions of one object", damage.versions.len())));
    }
    let versions = damage.versions.into_iter().map(|version| {
        let name = DataName::parse(&version.name).map_err(|invalid| Invalid(invalid.to_string()))?;
        let digest = Digest::parse(&version.digest).map_err(|invalid| Invalid(invalid.to_string()))?;
        Ok(DamagedVersion { reference: VersionReference { name, version: Version(version.version) }, digest })
    });
    Ok(Damage {
        partition,
        part: match damage.part {
            guest::Part::Root => DamagedPart::Root,
            guest::Part::Head => DamagedPart::Head,
            guest::Part::Segment => DamagedPart::Segment,
            guest::Part::Content => DamagedPart::Content,
            guest::Part::Totals => DamagedPart::Totals,
        },
        key: line(&damage.key),
        what: line(&damage.what),
        versions: versions.collect::<Validated<_>>()?,
        versions_total: damage.versions_total,
    })
}

pub(crate) fn repair_to_guest(
    state: &mut GuestState,
    request: &RepairRequest,
    namespace: String,
) -> wasmtime::Result<guest::RepairRequest> {
    let mut handle = |content: &Option<SharedContent>| -> wasmtime::Result<Option<Resource<Blob>>> {
        content.as_ref().map(|content| state.push_blob(SharedContent::clone(content))).transpose()
    };
    let mut contents = Vec::with_capacity(request.contents.len());
    for (name, version, content) in &request.contents {
        let content = handle(content)?;
        contents.push(guest::Supplied { name: name.to_string(), version: version.0, content });
    }
    let mut index = Vec::with_capacity(request.index.len());
    for (entry, content) in &request.index {
        index.push(guest::KnownEntry { entry: entry_to_guest(entry), content: handle(content)? });
    }
    Ok(guest::RepairRequest {
        namespace,
        partition: request.partition.as_ref().map(ToString::to_string),
        ttl_ms: millis(request.ttl),
        wait_ms: millis(request.wait),
        contents,
        index,
        dry_run: request.dry_run,
    })
}

pub(crate) fn repaired_from_guest(repaired: guest::Repaired) -> Validated<Repaired> {
    if repaired.notes.len() > TOLD_MAX {
        return Err(Invalid::field("notes", format!("{} of one repair", repaired.notes.len())));
    }
    Ok(Repaired {
        restored: references_from_guest(repaired.restored)?,
        lost: references_from_guest(repaired.lost)?,
        records_lost: repaired.records_lost,
        may_lose_commits: repaired.may_lose_commits,
        notes: repaired.notes.iter().map(|note| line(note)).collect(),
    })
}
