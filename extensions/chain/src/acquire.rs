//! Acquiring leases: what is free or given up is taken by a compare-and-swap, what is held is waited for.

use futures::future::join;

use crate::chain::{Chain, Reading, Swap};
use crate::error::{Error, ErrorKind, Result};
use crate::gate::{Gate, closed};
use crate::head::LeaseRecord;
use crate::keys;
use crate::lease::{Obstacle, lease_of};
use crate::limits::{
    ACQUIRE_PARTITIONS_MAX, HOLDER_TEXT_CHARACTERS, LEASE_TTL_MS_MAX, LEASE_TTL_MS_MIN, UNKNOWN_ATTEMPTS_MAX,
};
use crate::ports::{Holder, World};
use crate::refusal::namespace_absent;
use crate::root::{Address, Root, Snapshot};
use crate::types::{AcquireRequest, Lease};
use crate::wait::Wait;

/// What came of an acquisition.
#[derive(Debug)]
enum Acquired<T> {
    Done(T),
    /// Another living process has the namespace as a whole.
    Closed(Box<LeaseRecord>),
}

impl<W: World> Chain<W> {
    /// Acquires the leases of `request` in its order; on failure those already acquired are released.
    ///
    /// One request a warm, uncontended partition, the swap, and beside it one look at the queue, which a release that follows
    /// soon need not do again. One more where the head bears a mark (`gate`), two when this machine has never used the store.
    /// Not cancel safe: dropped, a lease may remain until its time to live is over.
    pub async fn acquire(&self, request: &AcquireRequest) -> Result<Vec<Lease>> {
        check_acquire(request)?;
        self.know_store(&request.namespace).await?;
        let deadline_ms = self.world.elapsed_ms().saturating_add(request.wait_ms);
        loop {
            match self.acquire_all(request, deadline_ms).await? {
                Acquired::Done(leases) => return Ok(leases),
                // Whoever has the namespace waits for what the caller holds.
                Acquired::Closed(holder) if request.holds_others => return Err(closed(&request.namespace, &holder)),
                Acquired::Closed(holder) => {
                    self.wait_for_structural(&request.namespace, holder, deadline_ms).await?;
                }
            }
        }
    }

    /// All leases, or none.
    async fn acquire_all(&self, request: &AcquireRequest, deadline_ms: u64) -> Result<Acquired<Vec<Lease>>> {
        let mut leases: Vec<Lease> = Vec::new();
        for partition in &request.partitions {
            let address = Address::new(&request.namespace, partition);
            match self.acquire_root(address, request.ttl_ms, deadline_ms, true).await {
                Ok(Acquired::Done((lease, _))) => leases.push(lease),
                Ok(Acquired::Closed(holder)) => {
                    self.give_up(&request.namespace, &leases).await;
                    return Ok(Acquired::Closed(holder));
                }
                Err(error) => {
                    self.give_up(&request.namespace, &leases).await;
                    return Err(error);
                }
            }
        }
        Ok(Acquired::Done(leases))
    }

    /// The lease of one root, and whether it was waited for; for a command that waits for no structural lock: `held` then.
    pub(crate) async fn acquire_one(
        &self,
        address: Address<'_>,
        ttl_ms: u64,
        deadline_ms: u64,
    ) -> Result<(Lease, bool)> {
        match self.acquire_root(address, ttl_ms, deadline_ms, false).await? {
            Acquired::Done(taken) => Ok(taken),
            Acquired::Closed(holder) => Err(closed(address.namespace, &holder)),
        }
    }

    /// Waits for and takes the lease of one root; answers whether it was waited for, too. `glances`: looks at the queue for the
    /// release that follows.
    async fn acquire_root(
        &self,
        address: Address<'_>,
        ttl_ms: u64,
        deadline_ms: u64,
        glances: bool,
    ) -> Result<Acquired<(Lease, bool)>> {
        let mut wait = Wait::new(deadline_ms, &self.world);
        let mut tried: Vec<String> = Vec::new();
        let outcome = self.take_when_free(address, (ttl_ms, glances), &mut wait, &mut tried).await;
        if !matches!(outcome, Ok(Acquired::Done(_))) {
            self.delete_tickets(address, wait.ticket()).await;
        }
        if let Err(error) = &outcome
            && error.is_unavailable()
            && !tried.is_empty()
        {
            // A swap of ours may still be applied: the next attempt of this machine must know its nonce.
            let _ = self.world.cache(&abandoned_key(address), tried.join("\n").as_bytes()).await;
        }
        match outcome? {
            Acquired::Closed(holder) => Ok(Acquired::Closed(holder)),
            Acquired::Done(lease) => {
                let lease = self.confirmed(address, lease).await?;
                Ok(Acquired::Done((lease, wait.ticket().is_some())))
            }
        }
    }

    async fn take_when_free(
        &self,
        address: Address<'_>,
        (ttl_ms, glances): (u64, bool),
        wait: &mut Wait,
        tried: &mut Vec<String>,
    ) -> Result<Acquired<Lease>> {
        let mut seen = self.cached_root(address).await.map(Box::new);
        let mut known = seen.is_some() && !self.is_contended(address).await;
        let mut failures = 0;
        loop {
            if !known {
                let asked_ms = self.world.elapsed_ms();
                let etag = seen.as_ref().map(|seen| seen.etag.clone());
                seen = match self.read_root(address, etag.as_deref()).await? {
                    Reading::Found(found) => Some(found),
                    Reading::Absent => None,
                    Reading::NotModified => {
                        self.note_contended(address, false).await;
                        seen
                    }
                };
                wait.saw(asked_ms, self.world.elapsed_ms(), seen.as_deref());
                known = true;
            }
            let (root, etag) = match &seen {
                Some(found) => {
                    if let Some(lease) = found.root.lease()
                        && tried.contains(&lease.nonce)
                    {
                        self.delete_tickets(address, wait.ticket()).await;
                        return self.admitted(address, found).await;
                    }
                    match self.obstacle(found, wait.ticket()) {
                        Obstacle::None => {}
                        Obstacle::Unknown => {
                            (seen, known) = (None, false);
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
            let mut root = root;
            if let Root::Head(head) = &mut root
                && head.is_marked()
            {
                match self.gate(address.namespace).await? {
                    Gate::Open => head.unmark(),
                    Gate::Ours => head.sealed = None,
                    Gate::Closed(holder) => return Ok(Acquired::Closed(holder)),
                }
            }
            failures += 1;
            if failures > 4 * UNKNOWN_ATTEMPTS_MAX && self.world.elapsed_ms() >= wait.deadline_ms() {
                return Err(self.contended(address));
            }
            let lease = self.new_lease(ttl_ms, wait.ticket());
            tried.push(lease.nonce.clone());
            if let (Root::Head(head), None) = (&mut root, &etag) {
                head.guarded = Some(lease.nonce.clone());
            }
            // Others keep away: it is as good as taken. Whoever only tries keeps its place until it has the lease.
            let is_our_turn = wait.ticket().is_some_and(|own| root.next().is_some_and(|next| next.ticket == own));
            root.lease_to(lease);
            let was_cached = seen.as_ref().is_some_and(|seen| seen.age.is_none());
            let beside = async {
                if glances {
                    let ticket = wait.ticket().filter(|_| is_our_turn);
                    join(self.glance(address, &root), self.delete_tickets(address, ticket)).await;
                }
            };
            match join(self.swap(address, root.clone(), etag.as_deref()), beside).await.0? {
                Swap::Done(done) => {
                    if !(glances && is_our_turn) {
                        self.delete_tickets(address, wait.ticket()).await;
                    }
                    return self.admitted(address, &done).await;
                }
                Swap::Changed(current) => {
                    if was_cached {
                        self.note_contended(address, true).await;
                    }
                    seen = current;
                }
            }
        }
    }

    /// What was taken, unless the head bears a mark: of its making, for whoever has the namespace may not have seen it then,
    /// or of somebody who came before the answer.
    async fn admitted(&self, address: Address<'_>, found: &Snapshot) -> Result<Acquired<Lease>> {
        let lease = lease_of(address.partition, found);
        let Root::Head(head) = &found.root else { return Ok(Acquired::Done(lease)) };
        if !head.is_marked() {
            return Ok(Acquired::Done(lease));
        }
        let refused = match self.gate(address.namespace).await {
            Ok(Gate::Open | Gate::Ours) => return Ok(Acquired::Done(lease)),
            Ok(Gate::Closed(holder)) => Ok(Acquired::Closed(holder)),
            Err(error) => Err(error),
        };
        let _ = self.release(address.namespace, &lease).await;
        refused
    }

    /// One pause, then what is at the address now.
    async fn wait_for_change(
        &self,
        address: Address<'_>,
        found: &Snapshot,
        wait: &mut Wait,
        holder: Option<&LeaseRecord>,
    ) -> Result<Option<Box<Snapshot>>> {
        wait.pause(self, address, holder, Some(found)).await?;
        let asked_ms = self.world.elapsed_ms();
        let current = match self.read_root(address, Some(&found.etag)).await? {
            Reading::NotModified => Some(Box::new(found.clone())),
            Reading::Found(found) => Some(found),
            Reading::Absent => None,
        };
        wait.saw(asked_ms, self.world.elapsed_ms(), current.as_deref());
        Ok(current)
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
        let mut gate = Gate::Closed(holder);
        while let Gate::Closed(holder) = &gate {
            wait.pause(self, address, Some(holder), None).await?;
            gate = self.gate(namespace).await?;
        }
        Ok(())
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
        self.new_head(address).await.map(Root::Head)
    }

    /// Others write here between our own acquisitions: then it is cheaper to ask what is there before the swap than to
    /// have it refused.
    async fn is_contended(&self, address: Address<'_>) -> bool {
        matches!(self.world.cached(&contended_key(address)).await, Ok(Some(noted)) if !noted.is_empty())
    }

    async fn note_contended(&self, address: Address<'_>, contended: bool) {
        let _ = self.world.cache(&contended_key(address), if contended { b"1" } else { b"" }).await;
    }

    /// An earlier acquisition of this machine wrote it without getting an answer; nobody works under it.
    async fn is_abandoned(&self, address: Address<'_>, lease: &LeaseRecord) -> bool {
        let cached = self.world.cached(&abandoned_key(address)).await.ok().flatten().unwrap_or_default();
        cached.split(|byte| *byte == b'\n').any(|nonce| nonce == lease.nonce.as_bytes())
    }

    /// This process, as leases name it.
    pub(crate) fn current_holder(&self) -> Holder {
        bounded_holder(self.world.current())
    }

    fn new_lease(&self, ttl_ms: u64, ticket: Option<&str>) -> LeaseRecord {
        LeaseRecord {
            holder: self.current_holder(),
            nonce: self.new_id(),
            ttl_ms,
            acquired_at_ms: self.world.now_ms(),
            beat: 0,
            ticket: ticket.map(str::to_owned),
        }
    }

    fn contended(&self, address: Address<'_>) -> Error {
        let message = format!("{} is changed by others faster than it can be acquired; try again", address.partition);
        Error::new(ErrorKind::Held, address.partition, message)
    }
}

fn abandoned_key(address: Address<'_>) -> String {
    format!("abandoned/{}", address.key())
}

fn contended_key(address: Address<'_>) -> String {
    format!("contended/{}", address.key())
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
