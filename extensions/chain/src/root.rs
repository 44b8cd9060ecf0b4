//! What heads and namespace roots have in common: epoch, nonce, lease, next; and where they lie.

use crate::error::Result;
use crate::head::{Head, LeaseRecord, Next};
use crate::keys;
use crate::meta::Meta;

/// A root record that can be leased.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "nearly every root is a head")]
pub(crate) enum Root {
    /// Of a partition.
    Head(Head),
    /// Of the namespace.
    Meta(Meta),
}

/// Names a root: a partition's head, or with [`keys::STRUCTURAL`] the namespace root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) partition: &'a str,
}

/// A root as it was at one answer of the store.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) root: Root,
    /// `root`, as it lies in the store.
    pub(crate) sealed: Vec<u8>,
    pub(crate) etag: String,
    /// How old it was by the store's clock, and when that was on our own; none when it comes from the cache.
    pub(crate) age: Option<Age>,
}

/// Age of an object by the store's clock, seen at a time of our own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Age {
    /// How old it was.
    pub(crate) store_ms: u64,
    /// The store's clock then.
    pub(crate) store_now_ms: u64,
    /// Our own monotonic clock then.
    pub(crate) seen_elapsed_ms: u64,
}

impl<'a> Address<'a> {
    pub(crate) fn new(namespace: &'a str, partition: &'a str) -> Self {
        Self { namespace, partition }
    }

    pub(crate) fn is_structural(&self) -> bool {
        self.partition == keys::STRUCTURAL
    }

    pub(crate) fn key(&self) -> String {
        if self.is_structural() { keys::meta(self.namespace) } else { keys::head(self.namespace, self.partition) }
    }

    /// Where the replica keeps it.
    pub(crate) fn cache_key(&self) -> String {
        format!("root/{}", self.key())
    }

    pub(crate) fn decode(&self, bytes: &[u8]) -> Result<Root> {
        let key = self.key();
        if self.is_structural() {
            Meta::decode(&key, self.namespace, bytes).map(Root::Meta)
        } else {
            Head::decode(&key, self.partition, bytes).map(Root::Head)
        }
    }
}

macro_rules! both {
    ($self:expr, $root:ident => $value:expr) => {
        match $self {
            Root::Head($root) => $value,
            Root::Meta($root) => $value,
        }
    };
}

impl Root {
    pub(crate) fn encode(&self) -> Vec<u8> {
        both!(self, root => root.encode())
    }

    pub(crate) fn epoch(&self) -> u64 {
        both!(self, root => root.epoch)
    }

    pub(crate) fn nonce(&self) -> &str {
        both!(self, root => &root.nonce)
    }

    pub(crate) fn set_nonce(&mut self, nonce: String) {
        both!(self, root => root.nonce = nonce);
    }

    pub(crate) fn lease(&self) -> Option<&LeaseRecord> {
        both!(self, root => root.lease.as_ref())
    }

    pub(crate) fn lease_mut(&mut self) -> Option<&mut LeaseRecord> {
        both!(self, root => root.lease.as_mut())
    }

    pub(crate) fn next(&self) -> Option<&Next> {
        both!(self, root => root.next.as_ref())
    }

    /// Gives the lease to somebody: a new epoch, whoever had it before is fenced.
    pub(crate) fn lease_to(&mut self, lease: LeaseRecord) {
        both!(self, root => {
            root.epoch += 1;
            root.lease = Some(lease);
            root.next = None;
        });
    }

    /// Takes the lease away; `next` says whose turn it is.
    pub(crate) fn free(&mut self, next: Option<Next>) {
        both!(self, root => {
            root.lease = None;
            root.next = next;
        });
    }

    /// Takes the lease away from a holder that did not give it up: a new epoch fences it.
    pub(crate) fn break_lease(&mut self) {
        both!(self, root => {
            root.epoch += 1;
            root.lease = None;
        });
    }
}
