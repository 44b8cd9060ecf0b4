//! The roots above the heads: `peat.json` of the store and `_meta.json` of a namespace.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::head::{LeaseRecord, Next};
use crate::integrity;
use crate::keys;
use crate::limits::{FORMAT, IDENTITY_BYTES_MAX, META_BYTES_MAX, NUMBER_MAX};

/// `peat.json`: made once by the first setup, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoreRecord {
    /// [`FORMAT`].
    pub format: u32,
    /// The same for everybody who uses this store.
    pub store_id: String,
    /// By the clock of whoever set it up.
    pub created_at_ms: u64,
}

/// `_meta.json`: the namespace root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Meta {
    /// [`FORMAT`].
    pub format: u32,
    /// The namespace it belongs to.
    pub namespace: String,
    /// Whether it may be written.
    pub state: State,
    /// The namespace it is to be folded into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// A run scope is collected after this time, by the store's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
    /// The move that filled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filled_by: Option<String>,
    /// By the clock of whoever made it.
    pub created_at_ms: u64,
    /// Grows with every structural acquisition.
    pub epoch: u64,
    /// Fresh for every write.
    pub nonce: String,
    /// The structural lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseRecord>,
    /// Whose turn it is after a release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
}

/// Whether a namespace may be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// It may.
    Active,
    /// Not yet: a move brings what is in it.
    Filling {
        /// From where.
        from: String,
        /// Which move.
        id: String,
    },
    /// Not any more: it is on its way.
    Moving {
        /// Where to.
        to: String,
        /// Which move.
        id: String,
    },
    /// It is elsewhere now.
    Moved {
        /// Where.
        to: String,
        /// Which move.
        id: String,
    },
    /// Not any more: a run scope is committed into its parent.
    Folding {
        /// Which fold.
        id: String,
    },
    /// Not any more: everything in it is being deleted.
    Deleting {
        /// Which deletion.
        id: String,
        /// Nobody has a run scope of it, and nobody can open one: what is in it may go. Until then it can become active
        /// again.
        erases: bool,
    },
    /// It is not there. The root stays: a delete has no condition and could come late, for the next namespace of that name;
    /// and a late write could make the one that was deleted again. Of run scopes, whose names are used once, it is deleted
    /// when no such request can be on its way any more.
    Deleted,
}

impl State {
    /// What is wrong with a state read from the store.
    fn fault(&self) -> Option<&'static str> {
        let (namespace, id) = match self {
            Self::Active | Self::Deleted => return None,
            Self::Filling { from: other, id } | Self::Moving { to: other, id } | Self::Moved { to: other, id } => {
                (Some(other), id)
            }
            Self::Folding { id } | Self::Deleting { id, .. } => (None, id),
        };
        let valid = keys::is_identity(id) && namespace.is_none_or(|name| keys::check_namespace(name).is_ok());
        (!valid).then_some("its state is not valid")
    }
}

impl StoreRecord {
    /// Reads and checks it.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let record: Self = integrity::unseal(keys::STORE_RECORD, bytes, META_BYTES_MAX)?;
        if !keys::is_identity(&record.store_id) {
            return Err(Error::corrupt(keys::STORE_RECORD, "its store id is not valid"));
        }
        Ok(record)
    }

    /// The bytes to write, with their checksum.
    pub fn encode(&self) -> Vec<u8> {
        integrity::seal(self)
    }
}

impl Meta {
    /// The root of a new namespace.
    pub fn new(namespace: &str, created_at_ms: u64, nonce: String) -> Self {
        Self {
            format: FORMAT,
            namespace: namespace.to_owned(),
            state: State::Active,
            parent: keys::parent_of(namespace).map(str::to_owned),
            expires_at_ms: None,
            filled_by: None,
            created_at_ms,
            epoch: 0,
            nonce,
            lease: None,
            next: None,
        }
    }

    /// Reads and checks it.
    pub fn decode(key: &str, namespace: &str, bytes: &[u8]) -> Result<Self> {
        let meta: Self = integrity::unseal(key, bytes, META_BYTES_MAX)?;
        if meta.namespace != namespace || meta.nonce.len() > IDENTITY_BYTES_MAX || meta.epoch > NUMBER_MAX {
            return Err(Error::corrupt(key, "it belongs to another namespace or has no valid nonce or epoch"));
        }
        if let Some(fault) = meta.state.fault() {
            return Err(Error::corrupt(key, fault));
        }
        if meta.parent.as_deref() != keys::parent_of(namespace) {
            return Err(Error::corrupt(key, "its parent is not the one that its name says"));
        }
        match meta.lease.as_ref().and_then(LeaseRecord::fault) {
            Some(fault) => Err(Error::corrupt(key, fault)),
            None => Ok(meta),
        }
    }

    /// The bytes to write, with their checksum.
    pub fn encode(&self) -> Vec<u8> {
        integrity::seal(self)
    }
}
