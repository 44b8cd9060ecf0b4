//! Data in the index: committed versions, and what is about to become one.

use serde::{Deserialize, Serialize};

use crate::content::SharedContent;
use crate::digest::Digest;
use crate::identifiers::{CommitId, DataName, PartitionName, RunId, Version};

/// How long a version of a data item is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lifetime {
    /// Until it is deleted or falls out of the version cap.
    #[default]
    Infinite,
    /// So many milliseconds after it was written.
    DurationMs(u64),
    /// Until the run ends; never leaves this machine.
    Run,
}

/// A name and a value the author gave to a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// What it says something about.
    pub name: String,
    /// What it says.
    pub value: String,
}

/// Everything about a version but its number, its content and its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Name of the data item.
    pub name: DataName,
    /// Length of the content in bytes.
    pub size: u64,
    /// SHA-256 of the content.
    pub digest: Digest,
    /// Media type.
    pub content_type: String,
    /// How long it is kept.
    pub lifetime: Lifetime,
    /// The author's tags.
    pub tags: Vec<Tag>,
    /// Wall clock of the writing host, milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// The run that wrote it.
    pub run_id: RunId,
    /// Written by a run that failed: kept, but never "latest".
    pub of_failed_run: bool,
}

impl Description {
    /// When its lifetime is over, milliseconds since the Unix epoch; none when it never is, or with its run.
    pub fn expires_at_ms(&self) -> Option<u64> {
        match self.lifetime {
            Lifetime::DurationMs(duration_ms) => Some(self.created_at_ms.saturating_add(duration_ms)),
            Lifetime::Infinite | Lifetime::Run => None,
        }
    }
}

/// A committed version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it is.
    pub description: Description,
    /// Its number.
    pub version: Version,
    /// Where the datastore keeps the content, in the datastore's own words. Empty for `local`.
    pub location: String,
}

/// A version about to be committed.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// What it is.
    pub description: Description,
    /// Its bytes.
    pub content: SharedContent,
    /// Keep at most so many versions of this name, this one included.
    pub version_cap: Option<u32>,
    /// The number it had in the datastore it comes from, which it keeps; otherwise the commit gives it one.
    pub version: Option<Version>,
}

/// Names one committed version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VersionReference {
    /// The data item.
    pub name: DataName,
    /// Its version.
    pub version: Version,
}

/// What one run changes in one partition: committed whole or not at all.
#[derive(Debug, Clone)]
pub struct ChangeSet {
    /// Identity of the commit; a retry carries the same.
    pub commit_id: CommitId,
    /// Where it goes.
    pub partition: PartitionName,
    /// New versions: one of a name, or several with numbers of their own, in rising order.
    pub append: Vec<NewEntry>,
    /// Versions that leave the index.
    pub remove: Vec<VersionReference>,
}
