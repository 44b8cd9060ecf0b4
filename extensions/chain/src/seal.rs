//! Sealing the heads of a namespace: the fence behind which nothing is committed any more, for moves, folds and deletions.
//!
//! The namespace root says first that no commits are taken. Then each head gets the id of the operation by compare-and-swap:
//! a commit that was on its way finds another head, reads it, asks the root (`gate`) and is refused. Whoever holds a head is
//! waited for, and it is marked meanwhile, so that nobody comes after; who is given up is fenced. A head that is made after
//! the root was written is made with a mark. The structural lock marks heads in the same way, but does not seal them.

use serde::{Deserialize, Serialize};

use crate::chain::{Chain, Swap};
use crate::error::{Error, ErrorKind, Result};
use crate::gate::Others;
use crate::head::{Head, LeaseRecord};
use crate::keys;
use crate::limits::{COMMIT_ATTEMPTS_MAX, STEP_MS_MAX, STEP_STATE_BYTES_MAX};
use crate::ports::{Object, World};
use crate::refusal::described;
use crate::root::{Address, Root};
use crate::types::{Amount, Step};

/// Pause before leases that somebody has are looked at again, in milliseconds.
const LOOK_AGAIN_MS: u64 = 500;

/// What a move, a fold or a deletion does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Phase {
    /// Heads are sealed.
    Seal,
    /// What is in them is copied, or committed to the parent.
    Carry,
    /// What is left is deleted.
    Erase,
}

/// Where such an operation stands. A hint: who has lost it begins with the first phase, and finds what is done.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Standing {
    /// Of the operation, as the namespace root has it.
    pub(crate) id: String,
    pub(crate) phase: Phase,
    /// Cursor of the listing page that is being worked on.
    pub(crate) listing: Option<String>,
    /// Partitions of it up to this one are done.
    pub(crate) after: Option<String>,
    pub(crate) completed: Amount,
    pub(crate) total: Amount,
}

/// What is left in a head, with the id of who leaves it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark<'a> {
    /// Of a structural lock: its own process goes on to write.
    Guarded(&'a str),
    /// Of a move, a fold or a deletion: nobody does.
    Sealed(&'a str),
}

/// What became of a head.
#[derive(Debug)]
pub(crate) enum Marked {
    /// It is not there any more.
    Gone,
    /// It has the mark, by now or before.
    Done(Box<Head>),
    /// Another living process has its lease. Nobody takes it afterwards without asking.
    Leased(Box<LeaseRecord>),
}

impl Mark<'_> {
    fn id(&self) -> &str {
        match self {
            Self::Guarded(id) | Self::Sealed(id) => id,
        }
    }

    fn is_in(&self, head: &Head) -> bool {
        match self {
            Self::Guarded(id) => head.guarded.as_deref() == Some(id),
            Self::Sealed(id) => head.sealed.as_deref() == Some(id),
        }
    }
}

impl Standing {
    pub(crate) fn new(id: String) -> Self {
        let (completed, total) = (Amount::default(), Amount::default());
        Self { id, phase: Phase::Seal, listing: None, after: None, completed, total }
    }

    pub(crate) fn parse(text: &str) -> Result<Self> {
        let invalid = || Error::input("state", "pass the state of the previous step back as it came, or none");
        if text.len() > STEP_STATE_BYTES_MAX {
            return Err(invalid());
        }
        let standing: Self = serde_json::from_str(text).map_err(|_| invalid())?;
        if keys::is_identity(&standing.id) { Ok(standing) } else { Err(invalid()) }
    }

    /// Begins the next phase.
    pub(crate) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.listing = None;
        self.after = None;
    }

    /// The step that ends here.
    pub(crate) fn step(&self, message: impl Into<String>) -> Step {
        Step {
            state: serde_json::to_string(self).expect("a standing has only string keys"),
            done: false,
            message: message.into(),
            waiting: false,
            completed: self.completed,
            total: (self.phase != Phase::Seal).then_some(self.total),
            conflicts: Vec::new(),
        }
    }
}

impl<W: World> Chain<W> {
    /// Time by which a step that begins now should end.
    pub(crate) fn step_deadline_ms(&self) -> u64 {
        self.world.elapsed_ms().saturating_add(STEP_MS_MAX)
    }

    pub(crate) fn is_over(&self, deadline_ms: u64) -> bool {
        self.world.elapsed_ms() >= deadline_ms
    }

    /// Seals the heads of a namespace; answers the step that tells how far it came, none when all are sealed.
    pub(crate) async fn seal_heads(&self, namespace: &str, standing: &mut Standing) -> Result<Option<Step>> {
        let deadline_ms = self.step_deadline_ms();
        loop {
            let listing = self.world.list(&keys::index_prefix(namespace), standing.listing.as_deref()).await?;
            let heads =
                listing.objects.iter().filter(|object| keys::partition_of_head(namespace, &object.key).is_some());
            let seals = heads
                .map(|object| self.mark_head(namespace, object, listing.store_time_ms, Mark::Sealed(&standing.id)));
            let mut total = Amount::default();
            let mut leased = None;
            for sealed in self.all(seals.collect()).await? {
                match sealed {
                    Marked::Gone => {}
                    Marked::Done(head) => total += amount_of(&head),
                    Marked::Leased(lease) => leased = Some(lease),
                }
            }
            if let Some(lease) = leased {
                if self.is_over(deadline_ms) {
                    let message = format!("{namespace}: waiting for {} to end", described(&lease.holder));
                    return Ok(Some(Step { waiting: true, ..standing.step(message) }));
                }
                self.world.sleep(LOOK_AGAIN_MS).await;
                continue;
            }
            standing.total += total;
            match listing.cursor {
                None => return Ok(None),
                Some(next) => standing.listing = Some(next),
            }
            if self.is_over(deadline_ms) {
                return Ok(Some(
                    standing.step(format!("{namespace}: {} partitions are sealed", standing.total.partitions)),
                ));
            }
        }
    }

    /// Marks one head. One swap, two where somebody has its lease, none where it is done.
    pub(crate) async fn mark_head(
        &self,
        namespace: &str,
        object: &Object,
        store_time_ms: u64,
        mark: Mark<'_>,
    ) -> Result<Marked> {
        let Some(partition) = keys::partition_of_head(namespace, &object.key) else { return Ok(Marked::Gone) };
        let address = Address::new(namespace, partition);
        let mut found = self.listed_root(address, object, store_time_ms).await?;
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let Some(snapshot) = &found else { return Ok(Marked::Gone) };
            let Root::Head(head) = &snapshot.root else { return Ok(Marked::Gone) };
            let mut marked = Head { guarded: Some(mark.id().to_owned()), ..head.clone() };
            match (self.others_lease(snapshot), mark) {
                (Others::Unknown, _) => {
                    found = self.fresh_root(address).await?;
                    continue;
                }
                (Others::Living(lease), _) if head.guarded == marked.guarded => return Ok(Marked::Leased(lease)),
                // It keeps its lease. The next look finds both.
                (Others::Living(_), _) => {}
                (Others::None, _) | (Others::Own, Mark::Guarded(_)) if mark.is_in(head) => {
                    return Ok(Marked::Done(Box::new(head.clone())));
                }
                (Others::Own, Mark::Guarded(_)) => {}
                (Others::None, Mark::Guarded(_)) => {}
                (Others::None | Others::GivenUp | Others::Own, _) => {
                    marked.lease = None;
                    marked.epoch += 1;
                    if let Mark::Sealed(id) = mark {
                        marked.sealed = Some(id.to_owned());
                        marked.next = None;
                    }
                }
            }
            found = match self.swap(address, Root::Head(marked), Some(&snapshot.etag)).await? {
                Swap::Done(done) => Some(*done),
                Swap::Changed(current) => current.map(|current| *current),
            };
        }
        let message = format!("{partition} is changed by others faster than it can be marked; run the command again");
        Err(Error::new(ErrorKind::Unavailable(None), partition, message))
    }
}

/// How much a head holds.
pub(crate) fn amount_of(head: &Head) -> Amount {
    Amount { partitions: 1, items: head.totals.entries, bytes: head.totals.bytes }
}
