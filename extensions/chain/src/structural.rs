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
use crate::limits::{LEASE_TTL_MS_MAX, LEASE_TTL_MS_MIN, MARKED_AT_ONCE};
use crate::ports::World;
use crate::root::Address;
use crate::seal::{Mark, Marked};
use crate::types::Lease;
use crate::wait::Wait;

/// The lock while the namespace is drained.
#[derive(Debug)]
struct Held<'a> {
    namespace: &'a str,
    lease: Lease,
    ttl_ms: u64,
    /// By the monotonic clock, before the request.
    renewed_ms: u64,
}

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
        let (lease, _) = self.acquire_one(address, ttl_ms, deadline_ms).await?;
        let mut held = Held { namespace, lease, ttl_ms, renewed_ms: self.world.elapsed_ms() };
        match self.drain(&mut held, deadline_ms).await {
            Ok(()) => self.renew(namespace, &held.lease).await,
            Err(error) => {
                let _ = self.release(namespace, &held.lease).await;
                Err(error)
            }
        }
    }

    /// Waits until all heads are marked and nobody else has one.
    async fn drain(&self, held: &mut Held<'_>, deadline_ms: u64) -> Result<()> {
        let mut wait = Wait::watching(deadline_ms, &self.world);
        while let Some((partition, holder)) = self.leased_head(held).await? {
            wait.pause(self, Address::new(held.namespace, &partition), Some(&holder), None).await?;
        }
        Ok(())
    }

    /// A head that another living process holds, if there is one. All of them are marked; leases that are given up are fenced.
    async fn leased_head(&self, held: &mut Held<'_>) -> Result<Option<(String, Box<LeaseRecord>)>> {
        let namespace = held.namespace;
        let mut cursor = None;
        let mut leased = None;
        loop {
            let listing = self.world.list(&keys::index_prefix(namespace), cursor.as_deref()).await?;
            for some in listing.objects.chunks(MARKED_AT_ONCE) {
                let mark = Mark::Guarded(&held.lease.nonce);
                let heads = some.iter().filter_map(|object| {
                    let partition = keys::partition_of_head(namespace, &object.key)?;
                    Some(async move {
                        let marked = self.mark_head(namespace, object, listing.store_time_ms, mark).await?;
                        Ok((partition, marked))
                    })
                });
                for (partition, marked) in self.all(heads.collect()).await? {
                    if let Marked::Leased(lease) = marked {
                        leased = Some((partition.to_owned(), lease));
                    }
                }
                self.keep(held).await?;
            }
            if listing.cursor.is_none() {
                return Ok(leased);
            }
            cursor = listing.cursor;
        }
    }

    /// Renews the lock when a third of its time is over: a drain may take longer than it lasts.
    async fn keep(&self, held: &mut Held<'_>) -> Result<()> {
        let now_ms = self.world.elapsed_ms();
        if now_ms - held.renewed_ms > held.ttl_ms / 3 {
            held.lease = self.renew(held.namespace, &held.lease).await?;
            held.renewed_ms = now_ms;
        }
        Ok(())
    }
}
