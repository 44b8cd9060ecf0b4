//! What the operator allows an extension, by capability and by value.
//!
//! Nothing is allowed by default except what the kind of the extension implies (`imports.rs`). The values (directories,
//! secrets, stores) come from the caller, who reads them from `peat.yaml`; this crate reads no configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use peat_core::identifiers::{GrantName, NamespaceName};
use peat_core::ports::{HolderIdentity, Movement, ObjectStore, Observer, Replica, Spool};

use crate::runner::Launcher;

/// Something an extension can import only when the operator granted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// `peat:host/files`: directories granted for reading. Guests of a standard library see the same ones through
    /// `wasi:filesystem`, which is always there.
    Files,
    /// `peat:host/secrets`: values granted by name.
    Secrets,
    /// `peat:host/bucket`: the configured bucket.
    Bucket,
    /// `peat:host/directory`: the configured directory, for reading and writing.
    Directory,
}

impl Capability {
    /// Every capability.
    pub const ALL: [Self; 4] = [Self::Files, Self::Secrets, Self::Bucket, Self::Directory];

    /// As written in metadata and after `--grant`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Secrets => "secrets",
            Self::Bucket => "bucket",
            Self::Directory => "directory",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A word that names no capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot be granted; known are files, secrets, bucket and directory")]
pub struct UnknownCapability(pub String);

impl FromStr for Capability {
    type Err = UnknownCapability;
    fn from_str(text: &str) -> Result<Self, UnknownCapability> {
        Self::ALL
            .into_iter()
            .find(|capability| capability.as_str() == text)
            .ok_or_else(|| UnknownCapability(text.chars().take(80).collect()))
    }
}

/// The capabilities granted to one extension.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct GrantedCapabilities(BTreeSet<Capability>);

impl GrantedCapabilities {
    /// Whether `capability` is granted.
    pub fn contains(&self, capability: Capability) -> bool {
        self.0.contains(&capability)
    }

    /// The granted ones, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Capability> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<Capability> for GrantedCapabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        Self(capabilities.into_iter().collect())
    }
}

/// What a model extension gets to do its work.
#[derive(Clone)]
pub struct ModelBinding {
    /// What it may import beyond its kind.
    pub capabilities: GrantedCapabilities,
    /// Its settings, a JSON object; validated by the caller.
    pub settings: serde_json::Value,
    /// Directories granted for reading, by name.
    pub files: BTreeMap<GrantName, PathBuf>,
    /// Values granted by name.
    pub secrets: BTreeMap<GrantName, String>,
    /// Keeps content that is large.
    pub spool: Arc<dyn Spool>,
    /// Watches its progress.
    pub observer: Arc<dyn Observer>,
    /// Starts the process that its methods run in; none runs them in this one.
    pub launcher: Option<Arc<dyn Launcher>>,
}

/// What a datastore extension gets to do its work.
#[derive(Clone)]
pub struct DatastoreBinding {
    /// The namespace of every call.
    pub namespace: NamespaceName,
    /// What it may import beyond its kind.
    pub capabilities: GrantedCapabilities,
    /// Its settings, a JSON object; validated by the caller.
    pub settings: serde_json::Value,
    /// What `directory.open` opens.
    pub directory: Option<Arc<dyn ObjectStore>>,
    /// What `bucket.open` opens.
    pub bucket: Option<Arc<dyn ObjectStore>>,
    /// Values granted by name.
    pub secrets: BTreeMap<GrantName, String>,
    /// What this machine remembers of the datastore.
    pub replica: Arc<dyn Replica>,
    /// Keeps content that is large.
    pub spool: Arc<dyn Spool>,
    /// Who this process is.
    pub identity: Arc<dyn HolderIdentity>,
    /// Watches its progress; gets its warnings.
    pub observer: Arc<dyn Observer>,
    /// Bytes that its stores move: while they do, no call of it is given up.
    pub movement: Movement,
    /// Starts the process that it runs in; none runs it in this one.
    pub launcher: Option<Arc<dyn Launcher>>,
}

impl fmt::Debug for ModelBinding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ModelBinding")
            .field("capabilities", &self.capabilities)
            .field("files", &self.files)
            .field("secrets", &self.secrets.keys())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DatastoreBinding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DatastoreBinding")
            .field("namespace", &self.namespace)
            .field("capabilities", &self.capabilities)
            .field("secrets", &self.secrets.keys())
            .finish_non_exhaustive()
    }
}
