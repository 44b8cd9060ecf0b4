//! The state of the model: a head, a namespace root, what each participant knows, and writes that are still on their way.

/// A participant.
pub type Id = usize;

/// What a participant wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// To commit once.
    Writer,
    /// The structural lock, once.
    Keeper,
}

/// Where the search ends.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub head_writes: u8,
    pub root_writes: u8,
    /// Writes on their way at once whose sender does not wait any more.
    pub late_writes: usize,
}

/// A head. Every write has an ETag of its own, which is what fresh nonces are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Head {
    pub etag: u8,
    /// Somebody has made it.
    pub exists: bool,
    pub epoch: u8,
    pub lease: Option<Id>,
    /// Whoever writes asks the root first; who left it.
    pub mark: Option<Id>,
    /// Of each participant the epoch in which its commit was done.
    pub commits: [Option<u8>; 3],
    /// A commit was done again.
    pub twice: bool,
}

/// A namespace root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Root {
    pub etag: u8,
    pub lease: Option<Id>,
    /// Its holder has seen that nobody else holds a head.
    pub drained: bool,
}

/// What a participant is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum At {
    /// It knows nothing, or not whether its last write was done.
    Begin,
    /// A writer that has asked the root too early.
    Allowed,
    /// A writer that has read the head.
    Seen(Head),
    /// A writer that has read a marked head, and has asked the root or is about to.
    Asking { head: Head, cleared: bool },
    /// A writer that has the lease, as far as it knows. Not cleared: it has made the head, and must ask.
    Held { head: Head, cleared: bool },
    /// A writer that has given a structural holder up; it has the lease by then, or not.
    FencingRoot { head: Head, root: Root, holds: bool },
    /// A writer that does not know whether its commit was done.
    CommitUnsure { head: Head },
    /// Its commit was acknowledged.
    Done,
    /// A keeper that has marked the head too early.
    Looked,
    /// A keeper that has read the root.
    RootSeen(Root),
    /// A keeper that has the structural lease and looks at the head.
    Draining(Root),
    /// A keeper that is about to mark the head.
    Marking { root: Root, head: Head },
    /// A keeper that has given a writer up.
    FencingHead { root: Root, head: Head },
    /// A keeper that has seen the last head.
    Drained(Root),
    /// A keeper that does not know whether its renewal was done.
    RenewalUnsure,
    /// A keeper that was told it has the lock.
    Holding(Root),
    /// It is over: released, or given up.
    End,
}

/// A write under a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Write {
    Head { matches: u8, new: Head, commits: bool },
    Root { matches: u8, new: Root },
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub head: Head,
    pub root: Root,
    pub at: [At; 3],
    /// Of each participant a write whose answer it does not wait for any more.
    pub late: [Option<Write>; 3],
    /// A writer's lease was renewed: once is enough to meet everything.
    pub renewed: bool,
    /// A keeper had the structural lock.
    pub was_locked: [bool; 3],
    /// Somebody committed while another had the structural lock.
    pub intruded: bool,
    /// Somebody committed in the epoch of another.
    pub trespassed: bool,
    /// Somebody was told that it has the structural lock and had it not.
    pub misled: bool,
}

impl State {
    /// Nobody has done anything.
    pub fn new() -> Self {
        Self {
            head: Head { etag: 0, exists: false, epoch: 0, lease: None, mark: None, commits: [None; 3], twice: false },
            root: Root { etag: 0, lease: None, drained: false },
            at: [At::Begin; 3],
            late: [None; 3],
            renewed: false,
            was_locked: [false; 3],
            intruded: false,
            trespassed: false,
            misled: false,
        }
    }

    /// The condition of a write holds.
    pub fn is_possible(&self, write: Write, conditional: bool) -> bool {
        match write {
            Write::Head { matches, .. } => !conditional || matches == self.head.etag,
            Write::Root { matches, .. } => !conditional || matches == self.root.etag,
        }
    }

    /// The store gets a write of participant `by`. Answers whether it did it.
    pub fn apply(&mut self, by: Id, write: Write, conditional: bool) -> bool {
        if !self.is_possible(write, conditional) {
            return false;
        }
        match write {
            Write::Head { new, commits, .. } => {
                if commits {
                    self.intruded |= self.root.drained && self.root.lease.is_some_and(|holder| holder != by);
                    self.trespassed |= self.head.lease != Some(by);
                }
                self.head = Head { etag: self.head.etag + 1, ..new };
                true
            }
            Write::Root { new, .. } => {
                self.root = Root { etag: self.root.etag + 1, ..new };
                true
            }
        }
    }
}
