//! Who holds and who waits for what. Takes no lock.

use crate::chain::{Chain, Reading};
use crate::error::{Error, Result};
use crate::keys;
use crate::limits::INSPECT_HEADS_MAX;
use crate::ports::{Object, World};
use crate::root::{Address, Age, Snapshot};
use crate::types::{LeaseStatus, StatusPage};

/// Longest cursor that is read back, in bytes.
const CURSOR_BYTES_MAX: usize = 4 * 1024;

/// A root that somebody holds.
#[derive(Debug)]
struct HeldRoot {
    /// Without those who wait.
    status: LeaseStatus,
    /// The holder's own, which may still be there.
    ticket: Option<String>,
}

impl<W: World> Chain<W> {
    /// A page of leases: one listing of heads, one read a head that this machine has not seen as it is now, and where
    /// anything is held one listing of those who wait, and one read for each of them.
    pub async fn inspect(&self, namespace: &str, cursor: Option<&str>) -> Result<StatusPage> {
        keys::check_namespace(namespace)?;
        let (listing_cursor, after) = read_cursor(cursor)?;
        let listing = self.world.list(&keys::index_prefix(namespace), listing_cursor.as_deref()).await?;
        let is_left = |object: &&Object| after.as_deref().is_none_or(|after| object.key.as_str() > after);
        let left: Vec<&Object> = listing.objects.iter().filter(is_left).collect();
        let (mut held, mut last) = (Vec::new(), None);
        // A page of the listing is gone through once, unless more is held than fits into one answer.
        for group in left.chunks(INSPECT_HEADS_MAX) {
            let statuses = group.iter().map(|object| self.status(namespace, object, listing.store_time_ms)).collect();
            held.extend(self.all(statuses).await?.into_iter().flatten());
            last = group.last();
            if held.len() >= INSPECT_HEADS_MAX {
                break;
            }
        }
        let cursor = match (last, left.last()) {
            (Some(last), Some(end)) if last.key != end.key => {
                Some(write_cursor(listing_cursor.as_deref(), Some(&last.key)))
            }
            _ => listing.cursor.as_deref().map(|next| write_cursor(Some(next), None)),
        };
        Ok(StatusPage { leases: self.with_waiters(namespace, held).await?, cursor })
    }

    /// The leases with those who wait for them.
    async fn with_waiters(&self, namespace: &str, held: Vec<HeldRoot>) -> Result<Vec<LeaseStatus>> {
        let tickets = match held.as_slice() {
            [] => return Ok(Vec::new()),
            [one] => self.tickets(&keys::queue_prefix(namespace, &one.status.partition), 1).await,
            many => self.tickets(&keys::queues_prefix(namespace), many.len()).await,
        };
        let tickets = &tickets;
        let waiting = held.into_iter().map(|HeldRoot { status, ticket }| async move {
            let address = Address::new(namespace, &status.partition);
            let queue = self.waiters(address, ticket.as_deref(), tickets).await;
            Ok(LeaseStatus { queue, ..status })
        });
        self.all(waiting.collect()).await
    }

    async fn status(&self, namespace: &str, object: &Object, store_time_ms: u64) -> Result<Option<HeldRoot>> {
        let partition = match keys::partition_of_head(namespace, &object.key) {
            Some(partition) => partition,
            None if object.key == keys::meta(namespace) => keys::STRUCTURAL,
            None => return Ok(None),
        };
        let address = Address::new(namespace, partition);
        let Some(found) = self.listed_root(address, object, store_time_ms).await? else { return Ok(None) };
        let Some(lease) = found.root.lease() else { return Ok(None) };
        let status = LeaseStatus {
            partition: partition.to_owned(),
            epoch: found.root.epoch(),
            nonce: lease.nonce.clone(),
            holder: lease.holder.clone(),
            ttl_ms: lease.ttl_ms,
            acquired_at_ms: lease.acquired_at_ms,
            renewed_at_ms: object.modified_ms,
            stale: self.world.is_dead(&lease.holder) || self.is_stale(&found, lease),
            queue: Vec::new(),
        };
        Ok(Some(HeldRoot { status, ticket: lease.ticket.clone() }))
    }

    /// The root that a listing names: from the cache when it has that ETag, else read.
    pub(crate) async fn listed_root(
        &self,
        address: Address<'_>,
        object: &Object,
        store_time_ms: u64,
    ) -> Result<Option<Snapshot>> {
        let age = Age {
            store_ms: store_time_ms.saturating_sub(object.modified_ms),
            store_now_ms: store_time_ms,
            seen_elapsed_ms: self.world.elapsed_ms(),
        };
        if let Some(cached) = self.cached_root(address).await.filter(|cached| cached.etag == object.etag) {
            return Ok(Some(Snapshot { age: Some(age), ..cached }));
        }
        self.fresh_root(address).await
    }

    /// The root as it is now, with its age.
    pub(crate) async fn fresh_root(&self, address: Address<'_>) -> Result<Option<Snapshot>> {
        Ok(match self.read_root(address, None).await? {
            Reading::Found(found) => Some(*found),
            Reading::Absent | Reading::NotModified => None,
        })
    }
}

fn read_cursor(cursor: Option<&str>) -> Result<(Option<String>, Option<String>)> {
    let Some(text) = cursor else { return Ok((None, None)) };
    let invalid = || Error::input("cursor", "pass the cursor of the previous page back as it came");
    if text.len() > CURSOR_BYTES_MAX {
        return Err(invalid());
    }
    serde_json::from_str(text).map_err(|_| invalid())
}

fn write_cursor(listing: Option<&str>, after: Option<&str>) -> String {
    serde_json::to_string(&(listing, after)).expect("a cursor is text")
}
