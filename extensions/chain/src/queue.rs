//! The queue of those who wait for a root: one ticket each, written by the waiter alone.
//!
//! Whoever releases names the oldest live ticket as `next`; others leave the lease to that one for a while. A ticket's
//! place tells when the wait began, not when it was written. Fairness is best effort and never safety: a lost ticket costs
//! a place in the queue, nothing else.

use serde::{Deserialize, Serialize};

use crate::chain::Chain;
use crate::head::Next;
use crate::integrity;
use crate::keys;
use crate::limits::{FORMAT, META_BYTES_MAX, NEXT_RESPECTED_MS, QUEUE_FRESH_MS, TICKET_TTL_MS};
use crate::ports::{Condition, Holder, Listing, Lookup, World};
use crate::root::{Address, Age, Root};
use crate::types::Waiter;

/// Dead tickets are deleted by whoever releases after so many times their time to live.
const TICKET_LITTER_FACTOR: u64 = 10;

/// Waiters shown in one lease's status: a person reads them.
const WAITERS_SHOWN_MAX: usize = 20;

/// A place in the queue.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// Sorts by when the wait began.
    pub(crate) id: String,
    /// When the wait began, by the store's clock.
    pub(crate) since_ms: u64,
}

/// What a ticket's object holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TicketRecord {
    format: u32,
    holder: Holder,
    since_ms: u64,
}

/// A look at the queue, kept in the replica's cache for the release that follows soon.
#[derive(Debug, Serialize, Deserialize)]
struct Glance {
    nonce: String,
    elapsed_ms: u64,
    first: Option<String>,
}

impl Ticket {
    /// A place for who has waited since `began_ms` of our monotonic clock, by the store's clock as `age` shows it.
    pub(crate) fn new<W: World>(chain: &Chain<W>, began_ms: u64, age: Option<Age>) -> Self {
        let since_ms = match age {
            Some(age) if age.seen_elapsed_ms >= began_ms => {
                age.store_now_ms.saturating_sub(age.seen_elapsed_ms - began_ms)
            }
            Some(age) => age.store_now_ms.saturating_add(began_ms - age.seen_elapsed_ms),
            None => chain.world.now_ms().saturating_sub(chain.world.elapsed_ms().saturating_sub(began_ms)),
        };
        Self { id: format!("{since_ms:013}-{}", chain.new_id()), since_ms }
    }
}

impl<W: World> Chain<W> {
    /// Writes or refreshes a ticket; answers how many are before it, where that could be learned.
    pub(crate) async fn write_ticket(&self, address: Address<'_>, ticket: &Ticket) -> Option<u64> {
        let record = TicketRecord { format: FORMAT, holder: self.world.current(), since_ms: ticket.since_ms };
        let blob = self.world.blob(&integrity::seal(&record)).await.ok()?;
        self.world.put(&ticket_key(address, &ticket.id), &blob, Condition::Always).await.ok()?;
        let listing = self.world.list(&keys::queue_prefix(address.namespace, address.partition), None).await.ok()?;
        Some(live_tickets(address, &listing).iter().take_while(|other| **other < ticket.id.as_str()).count() as u64)
    }

    /// Takes tickets out of the queue. What fails is left to whoever releases, and to their time to live.
    pub(crate) async fn delete_tickets(&self, address: Address<'_>, ids: impl IntoIterator<Item = &str>) {
        let keys: Vec<String> = ids.into_iter().map(|id| ticket_key(address, id)).collect();
        if !keys.is_empty() {
            let _ = self.world.delete(&keys).await;
        }
    }

    /// Whose turn it is after the release of this root: the oldest live ticket. One request, none when the queue was
    /// looked at a moment ago; none is named when it fails, for fairness must not stop a commit.
    pub(crate) async fn next_waiter(&self, address: Address<'_>, root: &Root) -> Option<Next> {
        let first = match self.glanced(address, root).await {
            Some(glance) => {
                // It was for this release: nothing is to be kept of it.
                let _ = self.world.cache(&glance_key(address), b"").await;
                glance.first
            }
            None => self.first_waiter(address, root, true).await?,
        };
        Some(Next { ticket: first?, respected_ms: NEXT_RESPECTED_MS })
    }

    /// Looks at the queue for the release of this root. One request. The holder's own ticket is the caller's to delete.
    pub(crate) async fn glance(&self, address: Address<'_>, root: &Root) {
        let Some(lease) = root.lease() else { return };
        let Some(first) = self.first_waiter(address, root, false).await else { return };
        let glance = Glance { nonce: lease.nonce.clone(), elapsed_ms: self.world.elapsed_ms(), first };
        let bytes = serde_json::to_vec(&glance).expect("a glance has only string keys");
        let _ = self.world.cache(&glance_key(address), &bytes).await;
    }

    async fn glanced(&self, address: Address<'_>, root: &Root) -> Option<Glance> {
        let bytes = self.world.cached(&glance_key(address)).await.ok()??;
        let glance: Glance = serde_json::from_slice(&bytes).ok()?;
        let age_ms = self.world.elapsed_ms().checked_sub(glance.elapsed_ms)?;
        let is_ours = root.lease().is_some_and(|lease| lease.nonce == glance.nonce);
        (is_ours && age_ms <= QUEUE_FRESH_MS && glance.first.as_deref().is_none_or(keys::is_identity)).then_some(glance)
    }

    /// The oldest live ticket, the holder's own left out; the outer none when the store did not say.
    /// Deletes tickets of the dead, and the holder's `own` where that is said.
    async fn first_waiter(&self, address: Address<'_>, root: &Root, deletes_own: bool) -> Option<Option<String>> {
        let listing = self.world.list(&keys::queue_prefix(address.namespace, address.partition), None).await.ok()?;
        let own = root.lease().and_then(|lease| lease.ticket.as_deref());
        let prefix = keys::queue_prefix(address.namespace, address.partition);
        let is_litter = |modified_ms: u64, id: &str| {
            (deletes_own && own == Some(id))
                || listing.store_time_ms.saturating_sub(modified_ms) > TICKET_TTL_MS * TICKET_LITTER_FACTOR
        };
        let ids =
            listing.objects.iter().filter_map(|object| Some((object.modified_ms, object.key.strip_prefix(&prefix)?)));
        let litter = ids.filter(|(modified_ms, id)| is_litter(*modified_ms, id)).map(|(_, id)| id);
        self.delete_tickets(address, litter).await;
        Some(live_tickets(address, &listing).into_iter().find(|id| own != Some(*id)).map(str::to_owned))
    }

    /// The tickets below a prefix, in at most so many requests. What cannot be listed now is not shown.
    pub(crate) async fn tickets(&self, prefix: &str, pages_max: usize) -> Listing {
        let mut tickets = Listing { objects: Vec::new(), cursor: None, store_time_ms: 0 };
        for _ in 0..pages_max {
            let Ok(page) = self.world.list(prefix, tickets.cursor.as_deref()).await else { break };
            tickets.objects.extend(page.objects);
            (tickets.cursor, tickets.store_time_ms) = (page.cursor, page.store_time_ms);
            if tickets.cursor.is_none() {
                break;
            }
        }
        tickets
    }

    /// Who of `tickets` waits for this root, oldest first, `own` left out.
    pub(crate) async fn waiters(&self, address: Address<'_>, own: Option<&str>, tickets: &Listing) -> Vec<Waiter> {
        let mut waiters = Vec::new();
        let waiting = live_tickets(address, tickets).into_iter().filter(|id| own != Some(*id));
        for id in waiting.take(WAITERS_SHOWN_MAX) {
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

fn glance_key(address: Address<'_>) -> String {
    format!("queue/{}", address.key())
}
