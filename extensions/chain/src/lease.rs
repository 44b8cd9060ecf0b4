//! Leases: acquire, renew, release, break. All are compare-and-swaps of the root; no clock is trusted for safety, clocks
//! only decide how soon a dead holder is given up.

use crate::chain::{Chain, Reading, Swap, join_state, split_state};
use crate::error::{Error, ErrorKind, Result};
use crate::head::LeaseRecord;
use crate::keys;
use crate::limits::{
    ACQUIRE_PARTITIONS_MAX, HOLDER_TEXT_CHARACTERS, LEASE_STATE_BYTES_MAX, LEASE_TTL_MS_MAX, LEASE_TTL_MS_MIN,
    UNKNOWN_ATTEMPTS_MAX,
};
use crate::meta::State;
use crate::ports::{Holder, World};
use crate::queue::Wait;
use crate::root::{Address, Root, Snapshot};
use crate::types::{AcquireRequest, Lease};

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
    /// Acquires the leases of `request` in its order; on failure those already acquired are released.
    ///
    /// Two requests a warm, uncontended partition (the swap and, once for all, the conditional read of the namespace
    /// root). Not cancel safe: dropped, a lease may remain until its time to live is over.
    pub async fn acquire(&self, request: &AcquireRequest) -> Result<Vec<Lease>> {
        check_acquire(request)?;
        let deadline_ms = self.world.elapsed_ms().saturating_add(request.wait_ms);
        loop {
            let mut leases: Vec<Lease> = Vec::new();
            for partition in &request.partitions {
                let address = Address::new(&request.namespace, partition);
                match self.acquire_root(address, request.ttl_ms, deadline_ms).await {
                    Ok(lease) => leases.push(lease),
                    Err(error) => {
                        self.give_up(&request.namespace, &leases).await;
                        return Err(error);
                    }
                }
            }
            // After the heads are ours: either this read sees a seal or a structural lease, or its owner's listing of the
            // heads, made after it was written, sees our leases.
            match self.structural_obstacle(&request.namespace).await {
                Ok(Obstacle::Held(holder)) => {
                    self.give_up(&request.namespace, &leases).await;
                    self.wait_for_structural(&request.namespace, holder, deadline_ms).await?;
                }
                Ok(_) => return Ok(leases),
                Err(error) => {
                    self.give_up(&request.namespace, &leases).await;
                    return Err(error);
                }
            }
        }
    }

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

    /// Gives a lease up without a commit, in favour of the oldest waiter. Two requests.
    pub async fn release(&self, namespace: &str, lease: &Lease) -> Result<()> {
        let address = Address::new(namespace, &lease.partition);
        let next = self.next_waiter(address).await;
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
        let message = format!("the lease of {partition} changed hands meanwhile; look again with `peat lock status`");
        Err(Error::new(ErrorKind::Conflict, partition, message))
    }

    /// Waits for and takes the lease of one root.
    pub(crate) async fn acquire_root(&self, address: Address<'_>, ttl_ms: u64, deadline_ms: u64) -> Result<Lease> {
        let mut wait = Wait::new(deadline_ms, &self.world);
        let mut tried: Vec<String> = Vec::new();
        let outcome = self.take_when_free(address, ttl_ms, &mut wait, &mut tried).await;
        wait.leave(self, address).await;
        if let Err(error) = &outcome
            && error.is_unavailable()
            && !tried.is_empty()
        {
            // A swap of ours may still be applied: the next attempt of this machine must know its nonce.
            let _ = self.world.cache(&abandoned_key(address), tried.join("\n").as_bytes()).await;
        }
        outcome
    }

    async fn take_when_free(
        &self,
        address: Address<'_>,
        ttl_ms: u64,
        wait: &mut Wait,
        tried: &mut Vec<String>,
    ) -> Result<Lease> {
        let mut seen = self.cached_root(address).await.map(Box::new);
        let mut known = seen.is_some();
        let mut failures = 0;
        loop {
            if !known {
                seen = match self.read_root(address, None).await? {
                    Reading::Found(found) => Some(found),
                    Reading::Absent | Reading::NotModified => None,
                };
                known = true;
            }
            let (root, etag) = match &seen {
                Some(found) => {
                    if let Some(lease) = found.root.lease()
                        && tried.contains(&lease.nonce)
                    {
                        return Ok(lease_of(address.partition, found));
                    }
                    match self.obstacle(found, wait.ticket()) {
                        Obstacle::None => {}
                        Obstacle::Unknown => {
                            known = false;
                            continue;
                        }
                        Obstacle::Held(holder) if self.is_abandoned(address, &holder).await => {}
                        Obstacle::Held(holder) => {
                            seen = self.wait_for_change(address, found, wait, Some(&holder)).await?;
                            continue;
                        }
                        Obstacle::Next => {
                            seen = self.wait_for_change(address, found, wait, None).await?;
                            continue;
                        }
                    }
                    (found.root.clone(), Some(found.etag.clone()))
                }
                None => (self.absent_root(address).await?, None),
            };
            if let Root::Head(head) = &root
                && let Some(moved_to) = &head.sealed
            {
                return Err(sealed_error(address.namespace, moved_to));
            }
            failures += 1;
            if failures > 4 * UNKNOWN_ATTEMPTS_MAX && self.world.elapsed_ms() >= wait.deadline_ms() {
                return Err(self.contended(address));
            }
            let lease = self.new_lease(ttl_ms);
            tried.push(lease.nonce.clone());
            let mut root = root;
            root.lease_to(lease);
            match self.swap(address, root, etag.as_deref()).await? {
                Swap::Done(done) => return Ok(lease_of(address.partition, &done)),
                Swap::Changed(current) => seen = current,
            }
        }
    }

    /// One pause, then what is at the address now.
    async fn wait_for_change(
        &self,
        address: Address<'_>,
        found: &Snapshot,
        wait: &mut Wait,
        holder: Option<&LeaseRecord>,
    ) -> Result<Option<Box<Snapshot>>> {
        wait.pause(self, address, holder, found.age).await?;
        Ok(match self.read_root(address, Some(&found.etag)).await? {
            Reading::NotModified => Some(Box::new(found.clone())),
            Reading::Found(found) => Some(found),
            Reading::Absent => None,
        })
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
    async fn change_leased(&self, namespace: &str, lease: &Lease, change: impl Fn(&mut Root)) -> Result<Box<Snapshot>> {
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

    /// Releases what was acquired so far; what fails is left to its time to live.
    async fn give_up(&self, namespace: &str, leases: &[Lease]) {
        for lease in leases {
            let _ = self.release(namespace, lease).await;
        }
    }

    /// Waits until no structural command of another process is at work.
    async fn wait_for_structural(&self, namespace: &str, holder: Box<LeaseRecord>, deadline_ms: u64) -> Result<()> {
        let address = Address::new(namespace, keys::STRUCTURAL);
        let mut wait = Wait::watching(deadline_ms, &self.world);
        let mut obstacle = Obstacle::Held(holder);
        while let Obstacle::Held(holder) = &obstacle {
            wait.pause(self, address, Some(holder), None).await?;
            obstacle = self.structural_obstacle(namespace).await?;
        }
        Ok(())
    }

    /// The namespace root, or why the namespace may not be written. `Held` when a structural command of another process
    /// is at work.
    async fn structural_obstacle(&self, namespace: &str) -> Result<Obstacle> {
        let address = Address::new(namespace, keys::STRUCTURAL);
        let found = self.current_meta(namespace).await?;
        if let Root::Meta(meta) = &found.root {
            check_state(meta)?;
        }
        if found.root.lease().is_some_and(|lease| lease.holder == bounded_holder(self.world.current())) {
            return Ok(Obstacle::None);
        }
        match self.obstacle(&found, None) {
            Obstacle::Unknown => match self.read_root(address, None).await? {
                Reading::Found(found) => Ok(self.obstacle(&found, None)),
                _ => Err(namespace_absent(namespace)),
            },
            Obstacle::Next => Ok(Obstacle::None),
            obstacle => Ok(obstacle),
        }
    }

    /// The namespace root as it is now: one request, cheap when unchanged.
    pub(crate) async fn current_meta(&self, namespace: &str) -> Result<Snapshot> {
        let address = Address::new(namespace, keys::STRUCTURAL);
        let cached = self.cached_root(address).await;
        let etag = cached.as_ref().map(|cached| cached.etag.clone());
        match (self.read_root(address, etag.as_deref()).await?, cached) {
            (Reading::Found(found), _) => Ok(*found),
            (Reading::NotModified, Some(cached)) => Ok(cached),
            _ => Err(namespace_absent(namespace)),
        }
    }

    /// What is written where nothing is yet: only in a namespace that was set up.
    async fn absent_root(&self, address: Address<'_>) -> Result<Root> {
        if address.is_structural() {
            return Err(namespace_absent(address.namespace));
        }
        let meta = Address::new(address.namespace, keys::STRUCTURAL);
        if self.cached_root(meta).await.is_none() {
            self.current_meta(address.namespace).await?;
        }
        Ok(Root::Head(crate::head::Head::new(address.partition, self.new_id())))
    }

    /// An earlier acquisition of this machine wrote it without getting an answer; nobody works under it.
    async fn is_abandoned(&self, address: Address<'_>, lease: &LeaseRecord) -> bool {
        let cached = self.world.cached(&abandoned_key(address)).await.ok().flatten().unwrap_or_default();
        cached.split(|byte| *byte == b'\n').any(|nonce| nonce == lease.nonce.as_bytes())
    }

    fn new_lease(&self, ttl_ms: u64) -> LeaseRecord {
        LeaseRecord {
            holder: bounded_holder(self.world.current()),
            nonce: self.new_id(),
            ttl_ms,
            acquired_at_ms: self.world.now_ms(),
            beat: 0,
        }
    }

    fn contended(&self, address: Address<'_>) -> Error {
        let message = format!("{} is changed by others faster than it can be acquired; try again", address.partition);
        Error::new(ErrorKind::Held, address.partition, message)
    }
}

/// A lease with the state that makes the next call need no read.
pub(crate) fn lease_of(partition: &str, found: &Snapshot) -> Lease {
    let (nonce, ttl_ms) = found.root.lease().map(|lease| (lease.nonce.clone(), lease.ttl_ms)).unwrap_or_default();
    let state = join_state(&found.etag, &found.root.encode());
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
    Ok(Snapshot { root, etag, age: None })
}

/// The root is leased under exactly this acquisition.
pub(crate) fn holds(root: &Root, lease: &Lease) -> bool {
    root.epoch() == lease.epoch && root.lease().is_some_and(|record| record.nonce == lease.nonce)
}

/// The error for a lease that is somebody else's or nobody's.
pub(crate) fn lease_lost(address: Address<'_>, root: &Root) -> Error {
    let now = match root.lease() {
        Some(lease) => format!("is held by {} now (epoch {})", described(&lease.holder), root.epoch()),
        None => format!("was broken or released (epoch {})", root.epoch()),
    };
    let message = format!(
        "the lease of {} {now}; nothing of this run was written to the store, run it or push its results again",
        address.partition
    );
    Error::new(ErrorKind::LeaseLost, address.partition, message)
}

pub(crate) fn lease_gone(address: Address<'_>) -> Error {
    let message = format!("{} does not exist any more; the namespace was deleted meanwhile", address.key());
    Error::new(ErrorKind::LeaseLost, address.partition, message)
}

/// The error for a namespace that nobody set up.
pub(crate) fn namespace_absent(namespace: &str) -> Error {
    let message = format!("namespace {namespace} does not exist in this store; make it with `peat datastore setup`");
    Error::new(ErrorKind::NotFound, namespace, message)
}

/// Whether the namespace may be written.
pub(crate) fn check_state(meta: &crate::meta::Meta) -> Result<()> {
    match &meta.state {
        State::Active => Ok(()),
        State::Sealed => Err(sealed_error(&meta.namespace, "")),
        State::Moved { to } => Err(sealed_error(&meta.namespace, to)),
    }
}

/// The error for a namespace that takes no commits any more.
pub(crate) fn sealed_error(namespace: &str, moved_to: &str) -> Error {
    let message = if moved_to.is_empty() {
        format!("namespace {namespace} is sealed: it is being moved or folded; try again when that is over")
    } else {
        let to: String = moved_to.chars().take(80).collect();
        format!("namespace {namespace} was moved to {to}; set `namespace: {to}` in peat.yaml")
    };
    Error::new(ErrorKind::Denied, namespace, message)
}

/// A holder for a person.
pub(crate) fn described(holder: &Holder) -> String {
    format!("{} (pid {}, {})", holder.host, holder.pid, holder.command)
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

fn abandoned_key(address: Address<'_>) -> String {
    format!("abandoned/{}", address.key())
}

fn bounded_holder(holder: Holder) -> Holder {
    let bounded = |text: String| text.chars().take(HOLDER_TEXT_CHARACTERS).collect();
    Holder {
        host: bounded(holder.host),
        boot_id: bounded(holder.boot_id),
        pid_namespace: bounded(holder.pid_namespace),
        command: bounded(holder.command),
        ..holder
    }
}

fn check_acquire(request: &AcquireRequest) -> Result<()> {
    keys::check_namespace(&request.namespace)?;
    request.partitions.iter().try_for_each(|partition| keys::check_partition(partition))?;
    if request.partitions.len() > ACQUIRE_PARTITIONS_MAX {
        return Err(Error::input("partitions", format!("at most {ACQUIRE_PARTITIONS_MAX} leases at once")));
    }
    if !request.partitions.is_sorted_by(|left, right| left < right) {
        return Err(Error::input("partitions", "sorted and without duplicates"));
    }
    if !(LEASE_TTL_MS_MIN..=LEASE_TTL_MS_MAX).contains(&request.ttl_ms) {
        return Err(Error::input("ttl-ms", format!("{LEASE_TTL_MS_MIN} to {LEASE_TTL_MS_MAX} milliseconds")));
    }
    Ok(())
}
