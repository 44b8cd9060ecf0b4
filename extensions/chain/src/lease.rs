//! Leases: renew, release, break, and what stands in the way of an acquisition. All are compare-and-swaps of the root; no
//! clock is trusted for safety, clocks only decide how soon a dead holder is given up.

use crate::chain::{Chain, Reading, Swap, join_state, split_state};
use crate::error::{Error, ErrorKind, Result};
use crate::head::LeaseRecord;
use crate::keys;
use crate::limits::{LEASE_STATE_BYTES_MAX, LEASE_TTL_MS_MAX, LEASE_TTL_MS_MIN, UNKNOWN_ATTEMPTS_MAX};
use crate::ports::World;
use crate::refusal::{lease_gone, lease_lost};
use crate::root::{Address, Root, Snapshot};
use crate::types::Lease;

/// What stands in the way of whoever wants a root.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// Nothing: it may be tried.
    None,
    /// It cannot be told from what is known: the root must be read.
    Unknown,
    /// Somebody holds it.
    Held(Box<LeaseRecord>),
    /// Somebody else is next.
    Next,
}

impl<W: World> Chain<W> {
    /// Prolongs a lease. One request. `lease-lost` when it is somebody else's by now.
    pub async fn renew(&self, namespace: &str, lease: &Lease) -> Result<Lease> {
        let renewed = self.change_leased(namespace, lease, |root| {
            if let Some(record) = root.lease_mut() {
                record.beat += 1;
                record.ttl_ms = lease.ttl_ms.clamp(LEASE_TTL_MS_MIN, LEASE_TTL_MS_MAX);
            }
        });
        let renewed = renewed.await?;
        Ok(lease_of(&lease.partition, &renewed))
    }

    /// Gives a lease up without a commit, in favour of the oldest waiter. Two requests, or one when the queue was looked at
    /// a moment ago.
    pub async fn release(&self, namespace: &str, lease: &Lease) -> Result<()> {
        let address = Address::new(namespace, &lease.partition);
        let next = self.next_waiter(address, &lease_snapshot(address, lease)?.root).await;
        self.change_leased(namespace, lease, |root| root.free(next.clone())).await.map(drop)
    }

    /// Ends the lease with this nonce, fenced by a new epoch. Takes no lock. `conflict` when it is not there any more.
    pub async fn break_lease(&self, namespace: &str, partition: &str, nonce: &str) -> Result<()> {
        let address = checked_address(namespace, partition)?;
        for _ in 0..UNKNOWN_ATTEMPTS_MAX {
            let Reading::Found(found) = self.read_root(address, None).await? else { break };
            if found.root.lease().is_none_or(|lease| lease.nonce != nonce) {
                break;
            }
            let mut root = found.root;
            root.break_lease();
            if let Swap::Done(_) = self.swap(address, root, Some(&found.etag)).await? {
                return Ok(());
            }
        }
        let message =
            format!("the lease of {partition} changed hands meanwhile; look again with `peat datastore lock status`");
        Err(Error::new(ErrorKind::Conflict, partition, message))
    }

    /// What keeps us from the lease of this root, as far as it is known.
    pub(crate) fn obstacle(&self, found: &Snapshot, own_ticket: Option<&str>) -> Obstacle {
        if let Some(lease) = found.root.lease() {
            return if self.world.is_dead(&lease.holder) {
                Obstacle::None
            } else if found.age.is_none() {
                Obstacle::Unknown
            } else if self.is_stale(found, lease) {
                Obstacle::None
            } else {
                Obstacle::Held(Box::new(lease.clone()))
            };
        }
        match (found.root.next(), found.age) {
            (Some(next), _) if own_ticket == Some(next.ticket.as_str()) => Obstacle::None,
            (Some(_), None) => Obstacle::Unknown,
            (Some(next), Some(age)) => {
                let watched_ms = self.world.elapsed_ms().saturating_sub(age.seen_elapsed_ms);
                if age.store_ms.saturating_add(watched_ms) > next.respected_ms.min(LEASE_TTL_MS_MAX) {
                    Obstacle::None
                } else {
                    Obstacle::Next
                }
            }
            (None, _) => Obstacle::None,
        }
    }

    /// Nobody renewed the lease for too long: twice its time to live by the store's clock, or one time to live and a
    /// margin by our own, watching the ETag.
    pub(crate) fn is_stale(&self, found: &Snapshot, lease: &LeaseRecord) -> bool {
        let Some(age) = found.age else { return false };
        let ttl_ms = lease.ttl_ms.clamp(LEASE_TTL_MS_MIN, LEASE_TTL_MS_MAX);
        let watched_ms = self.world.elapsed_ms().saturating_sub(age.seen_elapsed_ms);
        age.store_ms.saturating_add(watched_ms) > 2 * ttl_ms || watched_ms > ttl_ms + stale_margin_ms(ttl_ms)
    }

    /// Writes the change of a root whose lease is ours. One request when nothing is lost.
    pub(crate) async fn change_leased(
        &self,
        namespace: &str,
        lease: &Lease,
        change: impl Fn(&mut Root),
    ) -> Result<Box<Snapshot>> {
        let address = checked_address(namespace, &lease.partition)?;
        let mut found = Box::new(lease_snapshot(address, lease)?);
        let original = found.root.nonce().to_owned();
        for _ in 0..=UNKNOWN_ATTEMPTS_MAX {
            if !holds(&found.root, lease) {
                // Our release may have been applied late: then nobody holds it, and that is what was wanted; but it cannot
                // be told from a lease that was broken, so the answer is the same.
                return Err(lease_lost(address, &found.root));
            }
            let mut root = found.root.clone();
            change(&mut root);
            match self.swap(address, root, Some(&found.etag)).await? {
                Swap::Done(done) => return Ok(done),
                Swap::Changed(Some(current)) => found = current,
                Swap::Changed(None) => return Err(lease_gone(address)),
            }
        }
        let message = format!(
            "whether the lease of {} was written is unknown after {UNKNOWN_ATTEMPTS_MAX} tries (head nonce {original}); the \
             store does not answer",
            lease.partition
        );
        Err(Error::new(ErrorKind::Unavailable(None), lease.partition.clone(), message))
    }
}

/// A lease with the state that makes the next call need no read.
pub(crate) fn lease_of(partition: &str, found: &Snapshot) -> Lease {
    let (nonce, ttl_ms) = found.root.lease().map(|lease| (lease.nonce.clone(), lease.ttl_ms)).unwrap_or_default();
    let state = join_state(&found.etag, &found.sealed);
    Lease { partition: partition.to_owned(), epoch: found.root.epoch(), nonce, ttl_ms, state }
}

/// The root that a lease's state carries.
pub(crate) fn lease_snapshot(address: Address<'_>, lease: &Lease) -> Result<Snapshot> {
    let invalid = || Error::input(format!("lease of {}", lease.partition), "its state is not what `acquire` answered");
    if lease.state.len() > LEASE_STATE_BYTES_MAX {
        return Err(invalid());
    }
    let (etag, bytes) = split_state(&lease.state).ok_or_else(invalid)?;
    let root = address.decode(bytes).map_err(|_| invalid())?;
    Ok(Snapshot { root, sealed: bytes.to_vec(), etag, age: None })
}

/// The root is leased under exactly this acquisition.
pub(crate) fn holds(root: &Root, lease: &Lease) -> bool {
    root.epoch() == lease.epoch && root.lease().is_some_and(|record| record.nonce == lease.nonce)
}

/// Checks an address given by a caller.
pub(crate) fn checked_address<'a>(namespace: &'a str, partition: &'a str) -> Result<Address<'a>> {
    keys::check_namespace(namespace)?;
    if partition != keys::STRUCTURAL {
        keys::check_partition(partition)?;
    }
    Ok(Address::new(namespace, partition))
}

/// A quarter of the time to live and a second: covers a slow request and a coarse clock.
fn stale_margin_ms(ttl_ms: u64) -> u64 {
    ttl_ms / 4 + 1_000
}
