//! The structural lock: the lease in the namespace root, for commands that touch the whole namespace.
//!
//! It is written first and the heads are listed afterwards; whoever acquires a head reads the namespace root afterwards.
//! So either they see the lock, or the listing sees their lease, and it is waited for.

use crate::chain::Chain;
use crate::error::{Error, Result};
use crate::head::LeaseRecord;
use crate::keys;
use crate::lease::{Obstacle, checked_address};
use crate::limits::{LEASE_TTL_MS_MAX, LEASE_TTL_MS_MIN};
use crate::ports::{Object, World};
use crate::queue::Wait;
use crate::root::Address;
use crate::types::Lease;

impl<W: World> Chain<W> {
    /// Takes the structural lease and waits until no partition is leased by another process. On failure it is given back.
    pub async fn acquire_structural(&self, namespace: &str, ttl_ms: u64, wait_ms: u64) -> Result<Lease> {
        let address = checked_address(namespace, keys::STRUCTURAL)?;
        if !(LEASE_TTL_MS_MIN..=LEASE_TTL_MS_MAX).contains(&ttl_ms) {
            return Err(Error::input("ttl-ms", format!("{LEASE_TTL_MS_MIN} to {LEASE_TTL_MS_MAX} milliseconds")));
        }
        let deadline_ms = self.world.elapsed_ms().saturating_add(wait_ms);
        let mut lease = self.acquire_root(address, ttl_ms, deadline_ms).await?;
        let mut renewed_ms = self.world.elapsed_ms();
        let mut wait = Wait::watching(deadline_ms, &self.world);
        loop {
            let step = match self.leased_head(namespace).await {
                Ok(None) => return Ok(lease),
                Ok(Some((partition, holder))) => {
                    wait.pause(self, Address::new(namespace, &partition), Some(&holder), None).await
                }
                Err(error) => Err(error),
            };
            // The drain may take longer than the lease lasts.
            let step = match step {
                Ok(()) if self.world.elapsed_ms() - renewed_ms > ttl_ms / 3 => {
                    renewed_ms = self.world.elapsed_ms();
                    self.renew(namespace, &lease).await.map(|renewed| lease = renewed)
                }
                step => step,
            };
            if let Err(error) = step {
                let _ = self.release(namespace, &lease).await;
                return Err(error);
            }
        }
    }

    /// A head that somebody else holds, if there is one. Only heads written within twice the longest time to live can be.
    async fn leased_head(&self, namespace: &str) -> Result<Option<(String, Box<LeaseRecord>)>> {
        let mut cursor = None;
        loop {
            let listing = self.world.list(&keys::index_prefix(namespace), cursor.as_deref()).await?;
            let is_young =
                |object: &&Object| listing.store_time_ms.saturating_sub(object.modified_ms) <= 2 * LEASE_TTL_MS_MAX;
            let reads = listing.objects.iter().filter(is_young).filter_map(|object| {
                let partition = keys::partition_of_head(namespace, &object.key)?;
                Some(async move {
                    let address = Address::new(namespace, partition);
                    let found = self.listed_root(address, object, listing.store_time_ms).await?;
                    Ok(found.map(|found| (partition.to_owned(), self.obstacle(&found, None))))
                })
            });
            let heads = self.all(reads.collect()).await?;
            let mine = self.world.current();
            let held = heads.into_iter().flatten().find_map(|(partition, obstacle)| match obstacle {
                Obstacle::Held(lease) if lease.holder != mine => Some((partition, lease)),
                _ => None,
            });
            if held.is_some() || listing.cursor.is_none() {
                return Ok(held);
            }
            cursor = listing.cursor;
        }
    }
}
