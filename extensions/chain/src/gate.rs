//! The gate: whether a namespace may be written, and when that has to be asked.
//!
//! A head that bears a mark (`guarded`, `sealed`) is written only by whoever asked the namespace root after reading it. Every
//! other head is written without asking. So whoever closes a namespace, for a structural lock or a move, writes the root
//! first and marks every head afterwards: a commit that was on its way finds another head, reads it, and asks. A head is
//! made with a mark, because whoever marks heads may have listed them before it was there.
//!
//! A mark says nothing but "ask": what put it there may be long over, and then the next writer takes it away.

use crate::chain::{Chain, Reading, Swap};
use crate::error::{Error, ErrorKind, Result};
use crate::head::LeaseRecord;
use crate::keys;
use crate::lease::Obstacle;
use crate::limits::UNKNOWN_ATTEMPTS_MAX;
use crate::ports::World;
use crate::refusal::{check_readable, check_state, described, namespace_absent};
use crate::root::{Address, Root, Snapshot};

/// What the namespace root says to whoever wants to write.
#[derive(Debug)]
pub(crate) enum Gate {
    /// Marks are of something that is over.
    Open,
    /// This process has the structural lease: it writes, and leaves the marks where they are.
    Ours,
    /// Another living process has it.
    Closed(Box<LeaseRecord>),
}

impl<W: World> Chain<W> {
    /// Asks the namespace root, after a marked head was read; an error when the namespace takes no commits. One request,
    /// cheap when unchanged, and more only when there is a structural lease.
    ///
    /// A holder that is given up is fenced before that is said: it may only be slow, and must learn from its next renewal
    /// that others have worked since.
    pub(crate) async fn gate(&self, namespace: &str) -> Result<Gate> {
        let address = Address::new(namespace, keys::STRUCTURAL);
        let mut found = Box::new(self.current_meta(namespace).await?);
        for _ in 0..UNKNOWN_ATTEMPTS_MAX {
            if let Root::Meta(meta) = &found.root {
                check_state(meta)?;
            }
            match self.others_lease(&found) {
                Others::None => return Ok(Gate::Open),
                Others::Own => return Ok(Gate::Ours),
                Others::Living(lease) => return Ok(Gate::Closed(lease)),
                Others::Unknown => match self.read_root(address, None).await? {
                    Reading::Found(current) => found = current,
                    Reading::Absent | Reading::NotModified => return Err(namespace_absent(namespace)),
                },
                Others::GivenUp => match self.fence(address, &found).await? {
                    Swap::Done(_) => return Ok(Gate::Open),
                    Swap::Changed(Some(current)) => found = current,
                    Swap::Changed(None) => return Err(namespace_absent(namespace)),
                },
            }
        }
        // It changes all the time: somebody is at work.
        Ok(found.root.lease().cloned().map_or(Gate::Open, |lease| Gate::Closed(Box::new(lease))))
    }

    /// The same, where nobody waits: `held` when another process has the structural lease.
    pub(crate) async fn check_gate(&self, namespace: &str) -> Result<Gate> {
        match self.gate(namespace).await? {
            Gate::Closed(lease) => Err(closed(namespace, &lease)),
            gate => Ok(gate),
        }
    }

    /// Whether the namespace is in use: neither on its way elsewhere nor being folded or deleted. One request.
    pub(crate) async fn check_active(&self, namespace: &str) -> Result<()> {
        match &self.current_meta(namespace).await?.root {
            Root::Meta(meta) => check_state(meta),
            Root::Head(_) => Err(namespace_absent(namespace)),
        }
    }

    /// Why something that should be there is not: `Ok` where the namespace can be read. One request.
    pub(crate) async fn check_readable(&self, namespace: &str) -> Result<()> {
        match &self.current_meta(namespace).await?.root {
            Root::Meta(meta) => check_readable(meta),
            Root::Head(_) => Err(namespace_absent(namespace)),
        }
    }

    /// What the lease of this root means to us.
    pub(crate) fn others_lease(&self, found: &Snapshot) -> Others {
        match found.root.lease() {
            None => Others::None,
            Some(lease) if lease.holder == self.current_holder() => Others::Own,
            Some(_) => match self.obstacle(found, None) {
                Obstacle::Held(lease) => Others::Living(lease),
                Obstacle::Unknown => Others::Unknown,
                Obstacle::None | Obstacle::Next => Others::GivenUp,
            },
        }
    }

    /// Ends the lease of a root whose holder was given up, so that nothing it still sends can be applied.
    pub(crate) async fn fence(&self, address: Address<'_>, found: &Snapshot) -> Result<Swap> {
        let mut root = found.root.clone();
        root.break_lease();
        self.swap(address, root, Some(&found.etag)).await
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
}

/// Whose the lease of a root is.
#[derive(Debug)]
pub(crate) enum Others {
    /// There is none.
    None,
    /// It is this process' own.
    Own,
    /// It cannot be told from what is known: the root must be read.
    Unknown,
    /// It must be waited for.
    Living(Box<LeaseRecord>),
    /// Its holder is dead or silent for too long. It may still write until it is fenced.
    GivenUp,
}

/// The error for a namespace that somebody has as a whole. Its subject says that it is not about one partition.
pub(crate) fn closed(namespace: &str, lease: &LeaseRecord) -> Error {
    let message = format!(
        "namespace {namespace} is held by {} for a command that needs all of it; run the command again when that one is over",
        described(&lease.holder)
    );
    Error::new(ErrorKind::Held, keys::STRUCTURAL, message)
}
