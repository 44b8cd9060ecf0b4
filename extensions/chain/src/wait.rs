//! Waiting for a root: jittered polling, bounded, fair, and telling for whom.
//!
//! A waiter never writes the head (that would make the holder's commit fail): it writes a ticket of its own (`queue`) and
//! refreshes it. Whoever is next, or next but one, asks again and again; who has more before it asks the less often the more
//! they are, and all ask less often the longer one lease lasts. Each hears that things move before its turn comes: those
//! before it need longer than it pauses.

use futures::future::join;

use crate::chain::Chain;
use crate::error::{Error, ErrorKind, Result};
use crate::head::LeaseRecord;
use crate::limits::{POLL_HALF_ROUND_TRIPS, POLL_MS_MAX, POLL_MS_MIN, POLL_PARTS, TICKET_REFRESH_MS, WATCH_PARTS};
use crate::ports::{Clock, Unit, World};
use crate::queue::Ticket;
use crate::refusal::described;
use crate::root::{Address, Snapshot};

/// One wait for one root.
#[derive(Debug)]
pub(crate) struct Wait {
    began_ms: u64,
    deadline_ms: u64,
    /// The root was last seen to change hands: a renewal or a commit of its holder says nothing of its end.
    changed_ms: u64,
    /// Its epoch then, and whether somebody had it.
    seen: Option<(u64, bool)>,
    /// What the last two answers took: one that was late says nothing of the next.
    round_trips_ms: [u64; 2],
    queues: bool,
    ticket: Option<Ticket>,
    refreshed_ms: u64,
    ahead: u64,
}

impl Wait {
    /// A wait until `deadline_ms` of the monotonic clock.
    pub(crate) fn new(deadline_ms: u64, clock: &impl Clock) -> Self {
        let now_ms = clock.elapsed_ms();
        Self {
            began_ms: now_ms,
            deadline_ms,
            changed_ms: now_ms,
            seen: None,
            round_trips_ms: [0; 2],
            queues: true,
            ticket: None,
            refreshed_ms: 0,
            ahead: 0,
        }
    }

    /// A wait for the end of somebody's lease, by somebody who does not want that lease: takes no place in the queue.
    pub(crate) fn watching(deadline_ms: u64, clock: &impl Clock) -> Self {
        Self { queues: false, ..Self::new(deadline_ms, clock) }
    }

    pub(crate) fn deadline_ms(&self) -> u64 {
        self.deadline_ms
    }

    /// Our place in the queue.
    pub(crate) fn ticket(&self) -> Option<&str> {
        self.ticket.as_ref().map(|ticket| ticket.id.as_str())
    }

    /// A question that was answered: how long that took, and what is there now.
    pub(crate) fn saw(&mut self, asked_ms: u64, now_ms: u64, found: Option<&Snapshot>) {
        let (took_ms, [before_ms, _]) = (now_ms - asked_ms, self.round_trips_ms);
        self.round_trips_ms = [took_ms, if before_ms == 0 { took_ms } else { before_ms }];
        let Some(found) = found else { return };
        let (epoch, held) = (found.root.epoch(), found.root.lease().is_some());
        if self.seen == Some((epoch, held)) {
            return;
        }
        if let Some((before, _)) = self.seen {
            // Whoever has had the lease meanwhile was before us.
            self.ahead = self.ahead.saturating_sub(epoch.saturating_sub(before));
        }
        self.changed_ms = now_ms;
        self.seen = Some((epoch, held));
    }

    /// One pause, beside which the ticket is written or refreshed; `held` when the wait is over.
    pub(crate) async fn pause<W: World>(
        &mut self,
        chain: &Chain<W>,
        address: Address<'_>,
        lease: Option<&LeaseRecord>,
        found: Option<&Snapshot>,
    ) -> Result<()> {
        let now_ms = chain.world.elapsed_ms();
        if now_ms >= self.deadline_ms {
            return Err(self.over(chain, address, lease, now_ms));
        }
        self.tell(chain, address, lease);
        let pause_ms = self.pause_ms(now_ms);
        let jittered_ms = pause_ms * 3 / 4 + chain.below(pause_ms / 2 + 1);
        let sleep = chain.world.sleep(jittered_ms.min(self.deadline_ms - now_ms).max(1));
        if self.queues {
            join(sleep, self.keep_ticket(chain, address, found, now_ms)).await;
        } else {
            sleep.await;
        }
        Ok(())
    }

    fn pause_ms(&self, now_ms: u64) -> u64 {
        let quiet_ms = now_ms.saturating_sub(self.changed_ms);
        let parts = if self.queues { POLL_PARTS } else { WATCH_PARTS };
        let round_trip_ms = self.round_trips_ms.into_iter().min().unwrap_or_default();
        let next_ms = POLL_MS_MIN.max(round_trip_ms * POLL_HALF_ROUND_TRIPS / 2).max(quiet_ms / parts);
        next_ms.saturating_mul(self.ahead.max(1)).min(POLL_MS_MAX)
    }

    async fn keep_ticket<W: World>(
        &mut self,
        chain: &Chain<W>,
        address: Address<'_>,
        found: Option<&Snapshot>,
        now_ms: u64,
    ) {
        if self.ticket.is_some() && now_ms - self.refreshed_ms < TICKET_REFRESH_MS {
            return;
        }
        self.refreshed_ms = now_ms;
        let age = found.and_then(|found| found.age);
        let began_ms = self.began_ms;
        let ticket = self.ticket.get_or_insert_with(|| Ticket::new(chain, began_ms, age));
        if let Some(ahead) = chain.write_ticket(address, ticket).await {
            self.ahead = ahead;
        }
    }

    fn tell<W: World>(&self, chain: &Chain<W>, address: Address<'_>, lease: Option<&LeaseRecord>) {
        let whom = whom(chain, lease);
        let others = if self.ahead > 0 { format!(", {} ahead of us", self.ahead) } else { String::new() };
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

fn whom<W: World>(chain: &Chain<W>, lease: Option<&LeaseRecord>) -> String {
    let Some(lease) = lease else { return "promised to the next in the queue".to_owned() };
    let age_s = chain.world.now_ms().saturating_sub(lease.acquired_at_ms) / 1_000;
    format!("held by {} for {age_s} s", described(&lease.holder))
}
