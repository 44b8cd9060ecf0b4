//! The rules of the protocol that the check depends on, each of which can be left out.

/// When a writer that finds a mark in the head asks the namespace root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// After it has read the head.
    AfterTheHead,
    /// Before it reads the head.
    BeforeTheHead,
    /// Not at all.
    Never,
}

/// What participants keep to.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The store looks at the condition of a write.
    pub conditional: bool,
    /// Who takes a lease over raises the epoch.
    pub takeover_raises_epoch: bool,
    /// Who tries a commit again makes sure that the lease is still its own.
    pub looks_at_lease_again: bool,
    /// Commits are found by their id before they are done again.
    pub remembers_commits: bool,
    /// When a writer asks the namespace root.
    pub asks: Asks,
    /// A head is made with a mark.
    pub makes_marked: bool,
    /// A writer that gives a structural holder up ends its lease before it goes on.
    pub writer_fences: bool,
    /// A structural command writes its lease first and marks the heads afterwards.
    pub locks_before_it_marks: bool,
    /// A structural command marks heads that nobody holds.
    pub keeper_marks: bool,
    /// A structural command that gives a writer up ends its lease before it goes on.
    pub keeper_fences: bool,
    /// A structural command renews its lease after the last head.
    pub renews_after_drain: bool,
}

impl Rules {
    /// The protocol.
    pub const ALL: Self = Self {
        conditional: true,
        takeover_raises_epoch: true,
        looks_at_lease_again: true,
        remembers_commits: true,
        asks: Asks::AfterTheHead,
        makes_marked: true,
        writer_fences: true,
        locks_before_it_marks: true,
        keeper_marks: true,
        keeper_fences: true,
        renews_after_drain: true,
    };
}
