//! Clearance: whether a namespace may be written under leases that are already held.
//!
//! Whoever seals, moves or structurally locks a namespace writes its root first and looks at the heads afterwards. Whoever
//! acquires a head looks at the root afterwards. So either they see what was written, or their lease is seen, and waited
//! for or fenced. It does not matter how long afterwards they look, as long as it is before they commit: a caller may do
//! it beside other work.

use futures::future::join;

use crate::chain::{Chain, Reading, Swap};
use crate::error::{Error, ErrorKind, Result};
use crate::head::LeaseRecord;
use crate::keys;
use crate::lease::{Obstacle, checked_address, lease_snapshot};
use crate::limits::UNKNOWN_ATTEMPTS_MAX;
use crate::ports::World;
use crate::refusal::{check_readable, check_state, described, namespace_absent};
use crate::root::{Address, Root, Snapshot};
use crate::types::Lease;

impl<W: World> Chain<W> {
    /// What [`Self::acquire`] leaves out when its clearance is deferred: `denied` when the namespace is sealed or moved,
    /// `held` when another process has its structural lease. One conditional read of the namespace root; beside it one look
    /// at the queue of each lease, which a release that follows soon need not do again. The leases stay as they are.
    /// Cancel safe.
    pub async fn clearance(&self, namespace: &str, leases: &[Lease]) -> Result<()> {
        keys::check_namespace(namespace)?;
        let held = leases.iter().map(|lease| {
            let address = checked_address(namespace, &lease.partition)?;
            Ok((address, lease_snapshot(address, lease)?.root))
        });
        let held = held.collect::<Result<Vec<_>>>()?;
        let glances = held.iter().map(|(address, root)| async move {
            self.glance(*address, root).await;
            Ok(())
        });
        let (holder, glanced) = join(self.structural_holder(namespace), self.all(glances.collect())).await;
        glanced?;
        match holder? {
            None => Ok(()),
            Some(lease) => {
                let message = format!(
                    "namespace {namespace} is held by {} for a command that needs all of it; run the command again when \
                     that one is over",
                    described(&lease.holder)
                );
                Err(Error::new(ErrorKind::Held, keys::STRUCTURAL, message))
            }
        }
    }

    /// The structural lease, when a living process other than this one has it; an error when the namespace takes no
    /// commits. One request, more only when there is such a lease.
    ///
    /// A holder that is given up is fenced before that is said: it may only be slow, and must learn from its next renewal
    /// that others have worked since.
    pub(crate) async fn structural_holder(&self, namespace: &str) -> Result<Option<Box<LeaseRecord>>> {
        let address = Address::new(namespace, keys::STRUCTURAL);
        let mut found = Box::new(self.current_meta(namespace).await?);
        for _ in 0..UNKNOWN_ATTEMPTS_MAX {
            if let Root::Meta(meta) = &found.root {
                check_state(meta)?;
            }
            match self.others_lease(&found) {
                Others::None => return Ok(None),
                Others::Living(lease) => return Ok(Some(lease)),
                Others::Unknown => match self.read_root(address, None).await? {
                    Reading::Found(current) => found = current,
                    Reading::Absent | Reading::NotModified => return Err(namespace_absent(namespace)),
                },
                Others::GivenUp => match self.fence(address, &found).await? {
                    Swap::Done(_) => return Ok(None),
                    Swap::Changed(Some(current)) => found = current,
                    Swap::Changed(None) => return Err(namespace_absent(namespace)),
                },
            }
        }
        // It changes all the time: somebody is at work.
        Ok(found.root.lease().cloned().map(Box::new))
    }

    /// Whether a sealed head may be written all the same: only where the namespace is active, so that what sealed it was
    /// given up. To be asked after the head was read: then a later seal, which bears another id, makes the write fail.
    pub(crate) async fn check_seal(&self, namespace: &str) -> Result<()> {
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

    /// What another process' lease of this root means to us.
    pub(crate) fn others_lease(&self, found: &Snapshot) -> Others {
        match found.root.lease() {
            None => Others::None,
            Some(lease) if lease.holder == self.current_holder() => Others::None,
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

/// Another process' lease of a root.
#[derive(Debug)]
pub(crate) enum Others {
    /// There is none.
    None,
    /// It cannot be told from what is known: the root must be read.
    Unknown,
    /// It must be waited for.
    Living(Box<LeaseRecord>),
    /// Its holder is dead or silent for too long. It may still write until it is fenced.
    GivenUp,
}
