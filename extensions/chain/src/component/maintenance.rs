//! The calls of `maintenance` in the types of the SDK.

use peat_sdk::datastore as wit;

use super::convert::{to_host_error, to_reference};
use super::shared::{Result, Shared};
use crate::maintenance;

impl Shared {
    /// A page of partitions.
    pub async fn measure(&self, namespace: &str, cursor: Option<&str>) -> Result<wit::RoomPage> {
        let page = self.chain.measure(namespace, cursor).await.map_err(to_host_error)?;
        let rooms = page.rooms.into_iter().map(to_room).collect();
        Ok(wit::RoomPage { rooms, cursor: page.cursor, now_ms: page.now_ms })
    }

    /// Collects from some partitions.
    pub async fn collect(&self, request: wit::CollectRequest) -> Result<Vec<wit::Collected>> {
        let request = maintenance::CollectRequest {
            namespace: request.namespace,
            partitions: request.partitions,
            ttl_ms: request.ttl_ms,
            wait_ms: request.wait_ms,
            now_ms: request.now_ms,
            grace_ms: request.grace_ms,
            dry_run: request.dry_run,
            sweep_orphans: request.sweep_orphans,
            compact: request.compact,
        };
        let collected = self.chain.collect(&request).await.map_err(to_host_error)?;
        Ok(collected.into_iter().map(to_collected).collect())
    }
}

fn to_room(room: maintenance::Room) -> wit::Room {
    wit::Room {
        partition: room.partition,
        entries: room.totals.entries,
        bytes: room.totals.bytes,
        tombstones: room.totals.tombstones,
        tombstone_bytes: room.totals.tombstone_bytes,
        expires_at_ms: room.expires_ms,
    }
}

fn to_collected(collected: maintenance::Collected) -> wit::Collected {
    wit::Collected {
        partition: collected.partition,
        expired: collected.expired.into_iter().map(to_reference).collect(),
        expired_bytes: collected.expired_bytes,
        objects_deleted: collected.objects_deleted,
        bytes_deleted: collected.bytes_deleted,
        bytes_waiting: collected.bytes_waiting,
        version: collected.version,
        left: collected.left,
        more: collected.more,
    }
}
