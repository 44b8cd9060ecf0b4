//! The structural lock: the lease in the namespace root, for commands that touch the whole namespace.
//!
//! It is written first and the heads are looked at afterwards; whoever acquires a head looks at the namespace root
//! afterwards (`clearance`). So either they see the lock, or their lease is seen here, and it is waited for. A lease whose
//! holder is given up is not passed over but fenced, for its holder may wake and commit. In the end the lock itself is
//! renewed: it may have been lost during a long drain.

use crate::chain::{Chain, Swap};
use crate::clearance::Others;
use crate::error::{Error, Result};
use crate::head::LeaseRecord;
use crate::keys;
use crate::lease::checked_address;
use crate::limits::{LEASE_TTL_MS_MAX, LEASE_TTL_MS_MIN, UNKNOWN_ATTEMPTS_MAX};
use crate::ports::{Object, World};
use crate::root::Address;
use crate::types::Lease;
use crate::wait::Wait;

impl<W: World> Chain<W> {
    /// Takes the structural lease and waits until no partition is leased by another process. On failure it is given back.
    ///
    /// One listing per 1,000 partitions and one read for each head that this machine has not seen as it is now: no head's
    /// age shows that nobody holds it, since a holder may sleep for as long as it likes. Two requests more for the lease.
    pub async fn acquire_structural(&self, namespace: &str, ttl_ms: u64, wait_ms: u64) -> Result<Lease> {
        let address = checked_address(namespace, keys::STRUCTURAL)?;
        if !(LEASE_TTL_MS_MIN..=LEASE_TTL_MS_MAX).contains(&ttl_ms) {
            return Err(Error::input("ttl-ms", format!("{LEASE_TTL_MS_MIN} to {LEASE_TTL_MS_MAX} milliseconds")));
        }
        let deadline_ms = self.world.elapsed_ms().saturating_add(wait_ms);
        let (mut lease, ticket) = self.acquire_root(address, ttl_ms, deadline_ms).await?;
        self.delete_tickets(address, ticket.as_deref()).await;
        let mut renewed_ms = self.world.elapsed_ms();
        let mut wait = Wait::watching(deadline_ms, &self.world);
        loop {
            let step = match self.leased_head(namespace).await {
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

    /// A head that another living process holds, if there is one. Leases of others that are given up are fenced.
    async fn leased_head(&self, namespace: &str) -> Result<Option<(String, Box<LeaseRecord>)>> {
        let mut cursor = None;
        loop {
            let listing = self.world.list(&keys::index_prefix(namespace), cursor.as_deref()).await?;
            let heads = listing.objects.iter().filter_map(|object| {
                let partition = keys::partition_of_head(namespace, &object.key)?;
                Some(self.living_lease(Address::new(namespace, partition), object, listing.store_time_ms))
            });
            let held = self.all(heads.collect()).await?.into_iter().flatten().next();
            if held.is_some() || listing.cursor.is_none() {
                return Ok(held);
            }
            cursor = listing.cursor;
        }
    }

    /// The lease of a listed head, when another living process has it.
    async fn living_lease(
        &self,
        address: Address<'_>,
        object: &Object,
        store_time_ms: u64,
    ) -> Result<Option<(String, Box<LeaseRecord>)>> {
        let named = |lease: Box<LeaseRecord>| Some((address.partition.to_owned(), lease));
        let mut found = self.listed_root(address, object, store_time_ms).await?;
        for _ in 0..UNKNOWN_ATTEMPTS_MAX {
            let Some(snapshot) = &found else { return Ok(None) };
            match self.others_lease(snapshot) {
                Others::None => return Ok(None),
                Others::Living(lease) => return Ok(named(lease)),
                Others::Unknown => found = self.fresh_root(address).await?,
                Others::GivenUp => match self.fence(address, snapshot).await? {
                    Swap::Done(_) => return Ok(None),
                    Swap::Changed(current) => found = current.map(|current| *current),
                },
            }
        }
        // It changes all the time: somebody is at work.
        Ok(found.and_then(|found| found.root.lease().cloned()).and_then(|lease| named(Box::new(lease))))
    }
}
