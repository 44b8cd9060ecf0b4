//! Waiting: jittered polling, bounded, fair, and telling for whom.
//!
//! A waiter never writes the head (that would make the holder's commit fail): it writes a ticket of its own and refreshes
//! it. Whoever releases names the oldest live ticket as `next`; a newcomer leaves it to that one for a while. Fairness is
//! best effort and never safety: a lost ticket costs a place in the queue, nothing else.

use serde::{Deserialize, Serialize};

use crate::chain::Chain;
use crate::error::{Error, ErrorKind, Result};
use crate::head::{LeaseRecord, Next};
use crate::integrity;
use crate::keys;
use crate::limits::{
    FORMAT, META_BYTES_MAX, NEXT_RESPECTED_MS, POLL_MS_FIRST, POLL_MS_MAX, TICKET_REFRESH_MS, TICKET_TTL_MS,
};
use crate::ports::{Condition, Holder, Listing, Lookup, Unit, World};
use crate::refusal::described;
use crate::root::{Address, Age};
use crate::types::Waiter;

/// Dead tickets are deleted by whoever releases after so many times their time to live.
const TICKET_LITTER_FACTOR: u64 = 10;

/// Waiters shown in one lease's status: a person reads them.
const WAITERS_SHOWN_MAX: usize = 20;

/// One wait for one root.
#[derive(Debug)]
pub(crate) struct Wait {
    began_ms: u64,
    deadline_ms: u64,
    poll_ms: u64,
    ticket: Option<Ticket>,
    paused: bool,
    queues: bool,
}

#[derive(Debug)]
struct Ticket {
    id: String,
    since_ms: u64,
    refreshed_ms: u64,
    ahead: u64,
}

/// What a ticket's object holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TicketRecord {
    format: u32,
    holder: Holder,
    since_ms: u64,
}

impl Wait {
    /// A wait until `deadline_ms` of the monotonic clock.
    pub(crate) fn new(deadline_ms: u64, clock: &impl crate::ports::Clock) -> Self {
        let began_ms = clock.elapsed_ms();
        Self { began_ms, deadline_ms, poll_ms: POLL_MS_FIRST, ticket: None, paused: false, queues: true }
    }

    /// A wait for the end of somebody's lease, by somebody who does not want that lease: takes no place in the queue.
    pub(crate) fn watching(deadline_ms: u64, clock: &impl crate::ports::Clock) -> Self {
        Self { queues: false, ..Self::new(deadline_ms, clock) }
    }

    pub(crate) fn deadline_ms(&self) -> u64 {
        self.deadline_ms
    }

    /// Our place in the queue.
    pub(crate) fn ticket(&self) -> Option<&str> {
        self.ticket.as_ref().map(|ticket| ticket.id.as_str())
    }

    /// One pause; `held` when the wait is over. Who waits for more than one pause takes a ticket.
    pub(crate) async fn pause<W: World>(
        &mut self,
        chain: &Chain<W>,
        address: Address<'_>,
        lease: Option<&LeaseRecord>,
        age: Option<Age>,
    ) -> Result<()> {
        let now_ms = chain.world.elapsed_ms();
        if now_ms >= self.deadline_ms {
            return Err(self.over(chain, address, lease, now_ms));
        }
        self.tell(chain, address, lease);
        if self.paused && self.queues {
            self.keep_ticket(chain, address, age, now_ms).await;
        }
        self.paused = true;
        let jittered = self.poll_ms * 3 / 4 + chain.below(self.poll_ms / 2);
        chain.world.sleep(jittered.min(self.deadline_ms - now_ms).max(1)).await;
        self.poll_ms = (self.poll_ms + self.poll_ms / 2).min(POLL_MS_MAX);
        Ok(())
    }

    /// Gives the place in the queue up.
    pub(crate) async fn leave<W: World>(&mut self, chain: &Chain<W>, address: Address<'_>) {
        if let Some(ticket) = self.ticket.take() {
            let _ = chain.world.delete(&[ticket_key(address, &ticket.id)]).await;
        }
    }

    async fn keep_ticket<W: World>(&mut self, chain: &Chain<W>, address: Address<'_>, age: Option<Age>, now_ms: u64) {
        if self.ticket.as_ref().is_some_and(|ticket| now_ms - ticket.refreshed_ms < TICKET_REFRESH_MS) {
            return;
        }
        let mut ticket = self.ticket.take().unwrap_or_else(|| {
            let since_ms = age.map_or_else(
                || chain.world.now_ms(),
                |age| age.store_now_ms.saturating_add(now_ms.saturating_sub(age.seen_elapsed_ms)),
            );
            Ticket { id: format!("{since_ms:013}-{}", chain.new_id()), since_ms, refreshed_ms: 0, ahead: 0 }
        });
        let record = TicketRecord { format: FORMAT, holder: chain.world.current(), since_ms: ticket.since_ms };
        let bytes = integrity::seal(&record);
        let key = ticket_key(address, &ticket.id);
        if let Ok(blob) = chain.world.blob(&bytes).await
            && chain.world.put(&key, &blob, Condition::Always).await.is_ok()
            && let Ok(listing) = chain.world.list(&keys::queue_prefix(address.namespace, address.partition), None).await
        {
            let live = live_tickets(address, &listing);
            ticket.ahead = live.iter().take_while(|other| **other != ticket.id).count() as u64;
        }
        ticket.refreshed_ms = now_ms;
        self.ticket = Some(ticket);
    }

    fn tell<W: World>(&self, chain: &Chain<W>, address: Address<'_>, lease: Option<&LeaseRecord>) {
        let whom = whom(chain, lease);
        let ahead = self.ticket.as_ref().map_or(0, |ticket| ticket.ahead);
        let others = if ahead > 0 { format!(", {ahead} ahead of us") } else { String::new() };
        let message = format!("waiting for {}: {whom}{others}", address.partition);
        chain.world.report(&message, chain.world.elapsed_ms() - self.began_ms, None, Unit::Items);
    }

    fn over<W: World>(
        &self,
        chain: &Chain<W>,
        address: Address<'_>,
        lease: Option<&LeaseRecord>,
        now_ms: u64,
    ) -> Error {
        let message = format!(
            "{} is {}; waited {} ms. Wait longer with --lock-timeout, or run the command again when it is over",
            address.partition,
            whom(chain, lease),
            now_ms - self.began_ms
        );
        Error::new(ErrorKind::Held, address.partition, message)
    }
}

impl<W: World> Chain<W> {
    /// Whose turn it is after the release of this root: the oldest live ticket. One request; none when it fails, for
    /// fairness must not stop a commit.
    pub(crate) async fn next_waiter(&self, address: Address<'_>) -> Option<Next> {
        let listing = self.world.list(&keys::queue_prefix(address.namespace, address.partition), None).await.ok()?;
        let is_litter =
            |modified_ms: u64| listing.store_time_ms.saturating_sub(modified_ms) > TICKET_TTL_MS * TICKET_LITTER_FACTOR;
        let litter: Vec<String> = listing
            .objects
            .iter()
            .filter(|ticket| is_litter(ticket.modified_ms))
            .map(|object| object.key.clone())
            .collect();
        if !litter.is_empty() {
            let _ = self.world.delete(&litter).await;
        }
        let ticket = live_tickets(address, &listing).first()?.to_string();
        Some(Next { ticket, respected_ms: NEXT_RESPECTED_MS })
    }

    /// Who waits for this root, oldest first.
    pub(crate) async fn waiters(&self, address: Address<'_>) -> Vec<Waiter> {
        let prefix = keys::queue_prefix(address.namespace, address.partition);
        let Ok(listing) = self.world.list(&prefix, None).await else { return Vec::new() };
        let mut waiters = Vec::new();
        for id in live_tickets(address, &listing).into_iter().take(WAITERS_SHOWN_MAX) {
            let key = ticket_key(address, id);
            if let Ok(Lookup::Found { content, .. }) = self.world.get(&key, None).await
                && let Ok(bytes) = self.read_all(&key, &content, META_BYTES_MAX).await
                && let Ok(record) = integrity::unseal::<TicketRecord>(&key, &bytes, META_BYTES_MAX)
            {
                waiters.push(Waiter { holder: record.holder, since_ms: record.since_ms });
            }
        }
        waiters
    }
}

fn live_tickets<'a>(address: Address<'_>, listing: &'a Listing) -> Vec<&'a str> {
    let prefix = keys::queue_prefix(address.namespace, address.partition);
    let is_live = |modified_ms: u64| listing.store_time_ms.saturating_sub(modified_ms) <= TICKET_TTL_MS;
    listing
        .objects
        .iter()
        .filter(|object| is_live(object.modified_ms))
        .filter_map(|object| object.key.strip_prefix(&prefix))
        .filter(|id| keys::is_identity(id))
        .collect()
}

fn ticket_key(address: Address<'_>, id: &str) -> String {
    format!("{}{id}", keys::queue_prefix(address.namespace, address.partition))
}

fn whom<W: World>(chain: &Chain<W>, lease: Option<&LeaseRecord>) -> String {
    let Some(lease) = lease else { return "promised to the next in the queue".to_owned() };
    let age_s = chain.world.now_ms().saturating_sub(lease.acquired_at_ms) / 1_000;
    format!("held by {} for {age_s} s", described(&lease.holder))
}
