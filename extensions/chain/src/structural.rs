//! The structural lock: the lease in the namespace root, for commands that touch the whole namespace.
//!
//! It is written first; then every head gets a mark (`gate`), so that whoever writes it next asks the root and finds the
//! lock. Who holds a head meanwhile is waited for: the mark is left beside the lease, so that nobody comes after. A lease
//! whose holder is given up is not passed over but fenced, for its holder may wake and commit. In the end the lock itself
//! is renewed: it may have been lost during a long drain.

use crate::chain::Chain;
use crate::error::{Error, Result};
use crate::head::LeaseRecord;
use crate::keys;
use crate::lease::checked_address;
use crate::limits::{LEASE_TTL_MS_MAX, LEASE_TTL_MS_MIN};
use crate::ports::World;
use crate::root::Address;
use crate::seal::{Mark, Marked};
use crate::types::Lease;
use crate::wait::Wait;

impl<W: World> Chain<W> {
    /// Takes the structural lease and waits until no partition is leased by another process. On failure it is given back.
    ///
    /// One listing per 1,000 partitions, one swap a head, and one read for each head that this machine has not seen as it is
    /// now. Two requests more for the lease.
    pub async fn acquire_structural(&self, namespace: &str, ttl_ms: u64, wait_ms: u64) -> Result<Lease> {
        let address = checked_address(namespace, keys::STRUCTURAL)?;
        if !(LEASE_TTL_MS_MIN..=LEASE_TTL_MS_MAX).contains(&ttl_ms) {
            return Err(Error::input("ttl-ms", format!("{LEASE_TTL_MS_MIN} to {LEASE_TTL_MS_MAX} milliseconds")));
        }
        let deadline_ms = self.world.elapsed_ms().saturating_add(wait_ms);
        let (mut lease, _) = self.acquire_one(address, ttl_ms, deadline_ms).await?;
        let mut renewed_ms = self.world.elapsed_ms();
        let mut wait = Wait::watching(deadline_ms, &self.world);
        loop {
            let step = match self.leased_head(namespace, &lease.nonce).await {
                Ok(None) => return self.renew(namespace, &lease).await,
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

    /// A head that another living process holds, if there is one. All of them are marked; leases that are given up are fenced.
    async fn leased_head(&self, namespace: &str, id: &str) -> Result<Option<(String, Box<LeaseRecord>)>> {
        let mut cursor = None;
        let mut held = None;
        loop {
            let listing = self.world.list(&keys::index_prefix(namespace), cursor.as_deref()).await?;
            let heads = listing.objects.iter().filter_map(|object| {
                let partition = keys::partition_of_head(namespace, &object.key)?;
                Some(async move {
                    let marked = self.mark_head(namespace, object, listing.store_time_ms, Mark::Guarded(id)).await?;
                    Ok((partition, marked))
                })
            });
            for (partition, marked) in self.all(heads.collect()).await? {
                if let Marked::Leased(lease) = marked {
                    held = Some((partition.to_owned(), lease));
                }
            }
            if listing.cursor.is_none() {
                return Ok(held);
            }
            cursor = listing.cursor;
        }
    }
}
