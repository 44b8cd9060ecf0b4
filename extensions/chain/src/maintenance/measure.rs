//! How much room partitions take up, and which of them have something to collect: all of it is in their heads.

use crate::chain::Chain;
use crate::error::{Error, Result};
use crate::head::Head;
use crate::keys;
use crate::limits::CURSOR_BYTES_MAX;
use crate::maintenance::{Room, RoomPage};
use crate::ports::World;
use crate::root::{Address, Root};
use crate::segment::first_expiry;

impl<W: World> Chain<W> {
    /// A page of partitions: one listing, and one read for each head that this machine has not seen as it is now. Takes no
    /// lock. Cancel safe.
    pub async fn measure(&self, namespace: &str, cursor: Option<&str>) -> Result<RoomPage> {
        keys::check_namespace(namespace)?;
        if cursor.is_some_and(|cursor| cursor.len() > CURSOR_BYTES_MAX) {
            return Err(Error::input("cursor", "pass the cursor of the previous page back as it came"));
        }
        let listing = self.world.list(&keys::index_prefix(namespace), cursor).await?;
        let rooms = listing.objects.iter().filter_map(|object| {
            let partition = keys::partition_of_head(namespace, &object.key)?;
            Some(async move {
                let address = Address::new(namespace, partition);
                let found = self.listed_root(address, object, listing.store_time_ms).await?;
                Ok(match found.map(|found| found.root) {
                    Some(Root::Head(head)) => Some(room(partition, &head)),
                    Some(Root::Meta(_)) | None => None,
                })
            })
        });
        let rooms = self.all(rooms.collect()).await?.into_iter().flatten().collect();
        Ok(RoomPage { rooms, cursor: listing.cursor, now_ms: listing.store_time_ms })
    }
}

fn room(partition: &str, head: &Head) -> Room {
    let segments = head.buffer.iter().chain(&head.segments).filter_map(|segment| segment.expires_ms);
    let expires_ms = segments.chain(first_expiry(&head.recent)).min();
    Room { partition: partition.to_owned(), totals: head.totals, expires_ms }
}
