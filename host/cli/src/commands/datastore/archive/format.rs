//! What an archive is made of: a tar file of a manifest, the index in pieces, and contents named by their digests.

use peat_core::digest::Digest;
use peat_core::entry::{Description, Entry, Lifetime, Tag};
use peat_core::identifiers::{DataName, NamespaceName, PartitionName, RunId, Version};
use serde::{Deserialize, Serialize};

/// The format that is written, and the only one that is read.
pub(super) const FORMAT: u32 = 1;

/// The first member.
pub(super) const MANIFEST: &str = "manifest.json";

/// Most bytes of the manifest: a hundred thousand partitions.
pub(super) const MANIFEST_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Versions of one piece of the index.
pub(super) const PIECE_VERSIONS_MAX: usize = 1_000;

/// Most bytes of one piece: its versions with all the tags that they may have.
pub(super) const PIECE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Most contents of an archive: their digests are kept in memory.
pub(super) const CONTENTS_MAX: u64 = 20_000_000;

/// What is in the archive.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Manifest {
    /// [`FORMAT`].
    pub(super) format: u32,
    /// Where it comes from.
    pub(super) namespace: NamespaceName,
    /// In order of their names.
    pub(super) partitions: Vec<PartitionTotal>,
    /// Different contents.
    pub(super) contents: u64,
    /// Their bytes.
    pub(super) bytes: u64,
}

/// What is in one partition.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PartitionTotal {
    /// Its name.
    pub(super) partition: PartitionName,
    /// How many versions.
    pub(super) versions: u64,
}

/// A piece of the index: some versions of one partition, in order of name and number.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Piece {
    pub(super) partition: PartitionName,
    pub(super) versions: Vec<ArchivedVersion>,
}

/// One version.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ArchivedVersion {
    name: DataName,
    version: u64,
    size: u64,
    digest: Digest,
    content_type: String,
    lifetime: Lifetime,
    tags: Vec<Tag>,
    created_at_ms: u64,
    run_id: RunId,
    of_failed_run: bool,
}

impl From<Entry> for ArchivedVersion {
    fn from(entry: Entry) -> Self {
        let Description { name, size, digest, content_type, lifetime, tags, created_at_ms, run_id, of_failed_run } =
            entry.description;
        let version = entry.version.0;
        Self { name, version, size, digest, content_type, lifetime, tags, created_at_ms, run_id, of_failed_run }
    }
}

impl From<ArchivedVersion> for Entry {
    fn from(archived: ArchivedVersion) -> Self {
        let ArchivedVersion { name, version, size, digest, .. } = archived;
        let ArchivedVersion { content_type, lifetime, tags, created_at_ms, run_id, of_failed_run, .. } = archived;
        let description =
            Description { name, size, digest, content_type, lifetime, tags, created_at_ms, run_id, of_failed_run };
        Self { description, version: Version(version), location: String::new() }
    }
}

/// The name of a piece of the index.
pub(super) fn piece_name(number: u64) -> String {
    format!("index/{number:06}.json")
}

/// The name of a content.
pub(super) fn content_name(digest: &Digest) -> String {
    format!("contents/{digest}")
}
