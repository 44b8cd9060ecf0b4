//! Room and what frees it.

use peat_core::identifiers::PartitionName;
use peat_core::ports::{CollectRequest, Collected, Room, RoomPage};

use super::entry::{partition_from_guest, references_from_guest};
use super::lease::millis;
use super::text::{line, within};
use super::{Invalid, Validated};
use crate::bindings::maintenance::exports::peat::datastore::maintenance as guest;
use crate::limits::{LEASE_STATE_BYTES_MAX, PARTITION_VERSION_BYTES_MAX};

pub(crate) fn request_to_guest(request: &CollectRequest, namespace: &str) -> guest::CollectRequest {
    guest::CollectRequest {
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

pub(crate) fn page_from_guest(page: guest::RoomPage) -> Validated<RoomPage> {
    let rooms = page.rooms.into_iter().map(|room| {
        Ok(Room {
            partition: partition_from_guest(&room.partition)?,
            entries: room.entries,
            bytes: room.bytes,
            tombstones: room.tombstones,
            tombstone_bytes: room.tombstone_bytes,
            expires_at_ms: room.expires_at_ms,
        })
    });
    let rooms = rooms.collect::<Validated<_>>()?;
    let cursor = page.cursor.map(|cursor| within("cursor", cursor, LEASE_STATE_BYTES_MAX)).transpose()?;
    Ok(RoomPage { rooms, cursor, now_ms: page.now_ms })
}

/// One answer for each of `partitions`, in their order.
pub(crate) fn collected_from_guest(
    collected: Vec<guest::Collected>,
    partitions: &[PartitionName],
) -> Validated<Vec<Collected>> {
    if collected.len() != partitions.len() {
        let rule = format!("{} answers for {} partitions", collected.len(), partitions.len());
        return Err(Invalid::field("collected", rule));
    }
    let both = collected.into_iter().zip(partitions);
    both.map(|(collected, partition)| one_from_guest(collected, partition)).collect()
}

fn one_from_guest(collected: guest::Collected, partition: &PartitionName) -> Validated<Collected> {
    if collected.partition != partition.as_str() {
        return Err(Invalid::field("collected.partition", format!("it must be {partition}")));
    }
    let version = collected.version.map(|version| within("collected.version", version, PARTITION_VERSION_BYTES_MAX));
    Ok(Collected {
        partition: partition.clone(),
        expired: references_from_guest(collected.expired)?,
        expired_bytes: collected.expired_bytes,
        objects_deleted: collected.objects_deleted,
        bytes_deleted: collected.bytes_deleted,
        bytes_waiting: collected.bytes_waiting,
        version: version.transpose()?,
        left: collected.left.map(|left| line(&left)),
        more: collected.more,
    })
}
