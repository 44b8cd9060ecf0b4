//! The steps of writers and keepers. A step is one request, or what a participant concludes from an answer.

use crate::rules::{Asks, Rules};
use crate::state::{At, Bounds, Head, Id, Role, Root, State, Write};

/// What must hold in every state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// What was acknowledged is there.
    NothingLost,
    /// A commit is done once.
    DoneOnce,
    /// At most one commits in an epoch.
    OneAnEpoch,
    /// Only who holds the lease commits.
    OnlyTheHolder,
    /// Nobody commits under the structural lock of another.
    KeptOut,
    /// Who is told that it has the structural lock has it.
    HasWhatItWasTold,
}

impl Property {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::NothingLost,
        Self::DoneOnce,
        Self::OneAnEpoch,
        Self::OnlyTheHolder,
        Self::KeptOut,
        Self::HasWhatItWasTold,
    ];
}

/// The three of them.
#[derive(Debug, Clone)]
pub struct Participants {
    pub roles: [Role; 3],
    pub rules: Rules,
    pub bounds: Bounds,
}

/// How a write ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is done or refused, and answered.
    Answered,
    /// It is on its way for as long as it likes; the sender has given it up. That its answer was lost is the same: it
    /// arrives at once.
    Late,
}

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A participant reads what it needs next.
    Read(Id),
    /// A participant finds somebody's lease and gives that holder up, by whatever clock.
    GiveUpHolder(Id),
    /// A participant writes what it wants to write next.
    Write(Id, Fate),
    /// A write that was given up arrives.
    Arrive(Id),
    /// The lease of a writer is renewed, whatever that one does: its own picture of the head is outdated then.
    Renew(Id),
}

impl Participants {
    /// What can happen next.
    pub fn steps(&self, state: &State, steps: &mut Vec<Step>) {
        for id in 0..3 {
            if state.late[id].is_some() {
                steps.push(Step::Arrive(id));
            }
            let may_renew = matches!(state.at[id], At::Held { .. } | At::FencingRoot { .. } | At::CommitUnsure { .. });
            if may_renew && state.head.lease == Some(id) && !state.renewed {
                steps.push(Step::Renew(id));
            }
            match state.at[id] {
                At::Done | At::End => {}
                At::Begin | At::Allowed | At::Looked | At::CommitUnsure { .. } | At::RenewalUnsure => {
                    steps.push(Step::Read(id));
                }
                At::Seen(head) if self.must_ask(head) => steps.push(Step::Read(id)),
                At::Seen(head) => {
                    // Whoever waits reads again.
                    if head.lease.is_some_and(|holder| holder != id) && state.head != head {
                        steps.push(Step::Read(id));
                    }
                    self.writes(state, id, steps);
                }
                At::Asking { cleared: false, .. } => {
                    steps.push(Step::Read(id));
                    if is_others(state.root.lease, id) {
                        steps.push(Step::GiveUpHolder(id));
                    }
                }
                At::Held { cleared: false, .. } => {
                    steps.push(Step::Read(id));
                    if is_others(state.root.lease, id) {
                        steps.push(Step::GiveUpHolder(id));
                        self.writes(state, id, steps);
                    }
                }
                At::Draining(_) => {
                    steps.push(Step::Read(id));
                    if is_others(state.head.lease, id) {
                        steps.push(Step::GiveUpHolder(id));
                    }
                }
                At::RootSeen(root) => {
                    if is_others(root.lease, id) && state.root != root {
                        steps.push(Step::Read(id));
                    }
                    self.writes(state, id, steps);
                }
                At::Asking { cleared: true, .. }
                | At::Held { cleared: true, .. }
                | At::Marking { .. }
                | At::FencingRoot { .. }
                | At::FencingHead { .. }
                | At::Drained(_)
                | At::Holding(_) => self.writes(state, id, steps),
            }
        }
    }

    /// The state after a step; none when it changes nothing.
    pub fn next(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        match step {
            Step::Arrive(id) => {
                let write = next.late[id].take()?;
                next.apply(id, write, self.rules.conditional);
            }
            Step::Renew(id) => {
                next.renewed = true;
                next.apply(id, Write::Head { matches: state.head.etag, new: state.head, commits: false }, true);
            }
            Step::Read(id) => self.read(&mut next, id),
            Step::GiveUpHolder(id) => self.give_up_holder(&mut next, id),
            Step::Write(id, fate) => {
                let write = self.write_of(state, id)?;
                let done = match fate {
                    Fate::Late => {
                        next.late[id] = Some(write);
                        None
                    }
                    Fate::Answered => Some(next.apply(id, write, self.rules.conditional)),
                };
                self.conclude(&mut next, id, done);
            }
        }
        for id in 0..3 {
            next.was_locked[id] |= matches!(next.at[id], At::Holding(_));
            // A write whose condition has passed will be refused, whenever it arrives.
            next.late[id] = next.late[id].filter(|write| next.is_possible(*write, self.rules.conditional));
        }
        (next != *state).then_some(next)
    }

    /// Whether a property holds in a state.
    pub fn holds(&self, property: Property, state: &State) -> bool {
        match property {
            Property::NothingLost => (0..3).all(|id| state.at[id] != At::Done || state.head.commits[id].is_some()),
            Property::DoneOnce => !state.head.twice,
            Property::OneAnEpoch => {
                let mut epochs: Vec<u8> = state.head.commits.iter().flatten().copied().collect();
                epochs.sort_unstable();
                epochs.windows(2).all(|two| two[0] != two[1])
            }
            Property::OnlyTheHolder => !state.trespassed,
            Property::KeptOut => !state.intruded,
            Property::HasWhatItWasTold => !state.misled,
        }
    }

    /// Everybody has what it wanted, or had it.
    pub fn are_all_through(&self, state: &State) -> bool {
        (0..3).all(|id| match self.roles[id] {
            Role::Writer => state.at[id] == At::Done,
            Role::Keeper => state.was_locked[id],
        })
    }

    /// Where the search ends.
    pub fn is_within_bounds(&self, state: &State) -> bool {
        state.head.etag <= self.bounds.head_writes && state.root.etag <= self.bounds.root_writes
    }

    /// A write in every way it can end; it is late only when no other one is.
    fn writes(&self, state: &State, id: Id, steps: &mut Vec<Step>) {
        steps.push(Step::Write(id, Fate::Answered));
        if state.late.iter().flatten().count() < self.bounds.late_writes {
            steps.push(Step::Write(id, Fate::Late));
        }
    }

    fn read(&self, next: &mut State, id: Id) {
        let (head, root) = (next.head, next.root);
        next.at[id] = match (self.roles[id], next.at[id]) {
            (Role::Writer, At::Begin) if self.rules.asks == Asks::BeforeTheHead => {
                if is_others(root.lease, id) {
                    At::Begin
                } else {
                    At::Allowed
                }
            }
            (Role::Writer, At::Seen(own)) if self.must_ask(own) => self.asked(own, root, id),
            (Role::Writer, At::Asking { head: own, .. }) => self.asked(own, root, id),
            (Role::Writer, At::Begin | At::Allowed | At::Seen(_)) => self.seen(head, id),
            (Role::Writer, At::Held { head: own, .. }) => At::Held { head: own, cleared: !is_others(root.lease, id) },
            (Role::Writer, At::CommitUnsure { head: own }) => self.look_again(own, head, id),
            (Role::Keeper, At::Begin) if !self.rules.locks_before_it_marks => {
                if is_others(head.lease, id) {
                    At::Begin
                } else if head.exists {
                    At::Marking { root, head }
                } else {
                    At::Looked
                }
            }
            (Role::Keeper, At::Begin | At::Looked | At::RootSeen(_)) if root.lease == Some(id) => self.locked(root),
            (Role::Keeper, At::Begin | At::Looked | At::RootSeen(_)) => At::RootSeen(root),
            (Role::Keeper, At::Draining(own)) if !head.exists => self.drained(next, own, id),
            (Role::Keeper, At::Draining(own)) if self.rules.keeper_marks && head.mark != Some(id) => {
                // It is left beside a lease too, so that nobody comes after.
                At::Marking { root: own, head }
            }
            (Role::Keeper, At::Draining(own)) if is_others(head.lease, id) => At::Draining(own),
            (Role::Keeper, At::Draining(own)) => self.drained(next, own, id),
            (Role::Keeper, At::RenewalUnsure) if root.lease == Some(id) && root.drained => At::Holding(root),
            (Role::Keeper, At::RenewalUnsure) if root.lease == Some(id) => At::Drained(root),
            (Role::Keeper, At::RenewalUnsure) => At::End,
            (_, other) => other,
        };
    }

    /// A head that bears a lease of our own is ours, also when the answer was lost.
    fn seen(&self, head: Head, id: Id) -> At {
        if head.lease == Some(id) { self.held(head, id) } else { At::Seen(head) }
    }

    /// With the lease: the commit may have been done before.
    fn held(&self, head: Head, id: Id) -> At {
        if self.rules.remembers_commits && head.commits[id].is_some() {
            return At::Done;
        }
        // It has made the head, or somebody marked it before the answer came.
        At::Held { head, cleared: self.rules.asks == Asks::Never || head.mark.is_none() }
    }

    /// A marked head is written after the root was asked.
    fn must_ask(&self, head: Head) -> bool {
        head.mark.is_some() && self.rules.asks == Asks::AfterTheHead
    }

    fn asked(&self, head: Head, root: Root, id: Id) -> At {
        At::Asking { head, cleared: !is_others(root.lease, id) }
    }

    fn locked(&self, root: Root) -> At {
        if self.rules.locks_before_it_marks { At::Draining(root) } else { At::Drained(root) }
    }

    /// After a commit without answer, or one that was refused.
    fn look_again(&self, own: Head, found: Head, id: Id) -> At {
        if self.rules.remembers_commits && found.commits[id].is_some() {
            At::Done
        } else if !self.rules.looks_at_lease_again || (found.lease == Some(id) && found.epoch == own.epoch) {
            At::Held { head: found, cleared: true }
        } else {
            At::Begin
        }
    }

    fn drained(&self, next: &mut State, own: Root, id: Id) -> At {
        if self.rules.renews_after_drain {
            return At::Drained(own);
        }
        next.misled |= next.root.lease != Some(id);
        At::Holding(own)
    }

    fn give_up_holder(&self, next: &mut State, id: Id) {
        let (head, root) = (next.head, next.root);
        next.at[id] = match next.at[id] {
            At::Held { head: own, .. } if self.rules.writer_fences => At::FencingRoot { head: own, root, holds: true },
            At::Held { head: own, .. } => At::Held { head: own, cleared: true },
            At::Asking { head: own, .. } if self.rules.writer_fences => {
                At::FencingRoot { head: own, root, holds: false }
            }
            At::Asking { head: own, .. } => At::Asking { head: own, cleared: true },
            At::Draining(own) if self.rules.keeper_fences => At::FencingHead { root: own, head },
            At::Draining(own) => self.drained(next, own, id),
            other => other,
        };
    }

    /// What a participant writes next.
    fn write_of(&self, state: &State, id: Id) -> Option<Write> {
        Some(match state.at[id] {
            At::Seen(head) | At::Asking { head, cleared: true } => {
                let raised = head.lease.is_none() || self.rules.takeover_raises_epoch;
                let mark = (!head.exists && self.rules.makes_marked).then_some(id);
                let new = Head { exists: true, epoch: head.epoch + u8::from(raised), lease: Some(id), mark, ..head };
                Write::Head { matches: head.etag, new, commits: false }
            }
            // Somebody has the structural lock: the lease is given back.
            At::Held { head, cleared: false } => {
                Write::Head { matches: head.etag, new: Head { lease: None, ..head }, commits: false }
            }
            At::Held { head, cleared: true } => {
                // The first one commits without giving its lease up, and is never heard of again.
                let mark = head.mark.filter(|by| *by != id);
                let mut new = Head { lease: (id == 0).then_some(id), mark, ..head };
                new.twice |= new.commits[id].replace(head.epoch).is_some();
                Write::Head { matches: head.etag, new, commits: true }
            }
            At::FencingRoot { root, .. } => {
                Write::Root { matches: root.etag, new: Root { lease: None, drained: false, ..root } }
            }
            At::FencingHead { head, .. } => {
                let new = Head { epoch: head.epoch + 1, lease: None, mark: Some(id), ..head };
                Write::Head { matches: head.etag, new, commits: false }
            }
            At::Marking { head, .. } => {
                Write::Head { matches: head.etag, new: Head { mark: Some(id), ..head }, commits: false }
            }
            At::RootSeen(root) => {
                Write::Root { matches: root.etag, new: Root { lease: Some(id), drained: false, ..root } }
            }
            At::Drained(root) => Write::Root { matches: root.etag, new: Root { drained: true, ..root } },
            At::Holding(root) => Write::Root { matches: root.etag, new: Root { lease: None, drained: false, ..root } },
            _ => return None,
        })
    }

    /// What a participant makes of the answer to its write; none when there was none.
    fn conclude(&self, next: &mut State, id: Id, done: Option<bool>) {
        let (head, root) = (next.head, next.root);
        next.at[id] = match (next.at[id], done) {
            (At::Seen(_) | At::Asking { .. }, Some(true)) => self.held(head, id),
            (At::Seen(_) | At::Asking { .. }, Some(false)) => self.seen(head, id),
            (At::Seen(_) | At::Asking { .. } | At::RootSeen(_), None) => At::Begin,
            (At::Marking { .. }, _) if !self.rules.locks_before_it_marks => At::Looked,
            (At::Marking { root: own, .. }, _) => At::Draining(own),
            (At::Held { cleared: false, .. }, _) => At::End,
            (At::Held { cleared: true, .. }, Some(true)) => At::Done,
            (At::Held { head: own, .. }, Some(false)) => self.look_again(own, head, id),
            (At::Held { head: own, .. }, None) => At::CommitUnsure { head: own },
            (At::FencingRoot { head: own, holds: true, .. }, done) => {
                At::Held { head: own, cleared: done == Some(true) }
            }
            (At::FencingRoot { head: own, holds: false, .. }, done) => {
                At::Asking { head: own, cleared: done == Some(true) }
            }
            (At::FencingHead { root: own, .. }, Some(true)) => self.drained(next, own, id),
            (At::FencingHead { root: own, .. }, _) => At::Draining(own),
            (At::RootSeen(_), Some(true)) => self.locked(root),
            (At::RootSeen(_), Some(false)) => At::RootSeen(root),
            (At::Drained(_), Some(true)) => At::Holding(root),
            (At::Drained(_), _) => At::RenewalUnsure,
            (At::Holding(_), _) => At::End,
            (other, _) => other,
        };
    }
}

fn is_others(lease: Option<Id>, id: Id) -> bool {
    lease.is_some_and(|holder| holder != id)
}
