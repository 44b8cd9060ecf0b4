//! A second reader of heads and segments, made from docs/shared-store.md and not from the protocol's code: what the oracle
//! sees of the store must not come through what it examines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::bucket::{Bucket, Stored};

/// Most bytes that a segment inflates to.
const INFLATED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where the content of a version is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In the index.
    Inline(Vec<u8>),
    /// A part of a pack.
    Pack(String, u64),
    /// An object.
    Object(String),
}

/// A record of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    /// SHA-256; none when it is gone.
    pub digest: Option<String>,
    /// Bytes of content.
    pub size: u64,
    /// The run that wrote it.
    pub run_id: String,
    /// The commit that wrote it.
    pub sequence: u64,
    /// Where the content is.
    pub place: Option<Place>,
    /// When its lifetime is over, milliseconds since the Unix epoch; none where it never is.
    pub expires_ms: Option<u64>,
    /// Why it is gone.
    pub reason: String,
}

/// Who holds a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lease {
    /// Unique per acquisition.
    pub nonce: String,
    /// The process: its number in the simulation is its start time.
    pub process: u64,
    /// Time to live.
    pub ttl_ms: u64,
}

/// A head as it stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    /// Made with the head.
    pub lineage: String,
    /// Fencing token.
    pub epoch: u64,
    /// Commits so far.
    pub sequence: u64,
    /// Fresh for every write.
    pub nonce: String,
    /// Who may commit.
    pub lease: Option<Lease>,
    /// Remembered commits: id and sequence.
    pub commits: Vec<(String, u64)>,
    /// Digests of the segments it names.
    pub segments: BTreeSet<String>,
    /// The whole index of the partition, by name and version.
    pub versions: BTreeMap<(String, u64), Version>,
    /// In a run scope: nothing was committed to it yet, so what it was copied from may have gone on.
    pub is_copy: bool,
}

/// Reads a head and the segments it names, which lie in one of these namespaces. An error says what is wrong.
pub(super) fn read_head(bucket: &Bucket, namespaces: &[&str], partition: &str, bytes: &[u8]) -> Result<Head, String> {
    let head = read_sealed(bytes)?;
    let number = |key: &str| head[key].as_u64().ok_or_else(|| format!("no number {key}"));
    if head["partition"].as_str() != Some(partition) {
        return Err("it belongs to another partition".to_owned());
    }
    let (mut versions, mut named) = (BTreeMap::new(), BTreeSet::new());
    let none = Vec::new();
    let segments = head["segments"].as_array().unwrap_or(&none).iter();
    // Oldest first: what comes later wins.
    for reference in segments.chain(head.get("buffer").filter(|buffer| !buffer.is_null())) {
        let digest = reference["digest"].as_str().ok_or("a reference without digest")?;
        named.insert(digest.to_owned());
        let key = format!("_segments/{partition}/{digest}");
        let stored = find(bucket, namespaces, &key)?;
        if super::digest_of(&stored.bytes) != digest {
            return Err(format!("segment {key} does not have the digest it is named by"));
        }
        let json = miniz_oxide::inflate::decompress_to_vec_with_limit(&stored.bytes, INFLATED_BYTES_MAX)
            .map_err(|error| format!("segment {key} cannot be inflated: {error:?}"))?;
        let segment: Value = serde_json::from_slice(&json).map_err(|error| format!("segment {key}: {error}"))?;
        read_records(&segment["records"], &mut versions)?;
    }
    read_records(&head["recent"], &mut versions)?;
    let lease = head.get("lease").filter(|lease| !lease.is_null()).map(read_lease).transpose()?;
    let commits = head["commits"].as_array().unwrap_or(&none).iter();
    let commits = commits
        .map(|commit| Some((commit["id"].as_str()?.to_owned(), commit["sequence"].as_u64()?)))
        .collect::<Option<_>>()
        .ok_or("a commit without id or sequence")?;
    let text = |key: &str| head[key].as_str().unwrap_or_default().to_owned();
    Ok(Head {
        lineage: text("lineage"),
        epoch: number("epoch")?,
        sequence: number("sequence")?,
        nonce: text("nonce"),
        lease,
        commits,
        segments: named,
        versions,
        is_copy: head["copiedAt"].is_u64(),
    })
}

/// A record that begins with the checksum of its other members.
pub(super) fn read_sealed(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("not text: {error}"))?;
    let framed = text.strip_prefix("{\"checksum\":\"").and_then(|framed| framed.split_once("\","));
    let (checksum, members) = framed.ok_or("it does not begin with a checksum")?;
    let record = format!("{{{members}");
    if super::digest_of(record.as_bytes()) != checksum {
        return Err("it does not have its checksum".to_owned());
    }
    serde_json::from_str(&record).map_err(|error| format!("not JSON: {error}"))
}

/// The lease in a head or namespace root.
pub(super) fn read_lease(lease: &Value) -> Result<Lease, String> {
    Ok(Lease {
        nonce: lease["nonce"].as_str().ok_or("a lease without nonce")?.to_owned(),
        process: lease["holder"]["processStart"].as_u64().ok_or("a lease without process")?,
        ttl_ms: lease["ttlMs"].as_u64().ok_or("a lease without time to live")?,
    })
}

/// The bytes of a version, from where it says they are.
pub(super) fn read_content(
    bucket: &Bucket,
    namespaces: &[&str],
    partition: &str,
    version: &Version,
) -> Result<Arc<Vec<u8>>, String> {
    let find = |folder: &str, id: &str| {
        find(bucket, namespaces, &format!("{folder}/{partition}/{id}")).map(|stored| Arc::clone(&stored.bytes))
    };
    match &version.place {
        None => Err("it has no place".to_owned()),
        Some(Place::Inline(bytes)) => Ok(Arc::new(bytes.clone())),
        Some(Place::Object(id)) => find("_objects", id),
        Some(Place::Pack(id, offset)) => {
            let pack = find("_packs", id)?;
            let part = pack.get(*offset as usize..(*offset + version.size) as usize);
            part.map(|part| Arc::new(part.to_vec())).ok_or_else(|| format!("pack {id} is too short"))
        }
    }
}

/// An object as it was written, in the first of these namespaces that has it.
fn find<'a>(bucket: &'a Bucket, namespaces: &[&str], key: &str) -> Result<&'a Stored, String> {
    let found = namespaces.iter().find_map(|namespace| bucket.truth(&format!("{namespace}/{key}")));
    found.ok_or_else(|| format!("{key} does not exist in {}", namespaces.join(" or ")))
}

fn read_records(records: &Value, versions: &mut BTreeMap<(String, u64), Version>) -> Result<(), String> {
    for record in records.as_array().ok_or("no records")? {
        let (body, is_entry) = match (record.get("entry"), record.get("gone")) {
            (Some(entry), None) => (entry, true),
            (None, Some(gone)) => (gone, false),
            _ => return Err("a record that is neither an entry nor a mark".to_owned()),
        };
        let name = body["name"].as_str().ok_or("a record without name")?.to_owned();
        let version = body["version"].as_u64().ok_or("a record without version")?;
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let found = Version {
            digest: is_entry.then(|| text("digest")),
            size: body["size"].as_u64().unwrap_or_default(),
            run_id: text("runId"),
            sequence: body["sequence"].as_u64().ok_or("a record without sequence")?,
            place: if is_entry { Some(read_place(&body["place"])?) } else { None },
            expires_ms: body["lifetime"]["durationMs"]
                .as_u64()
                .and_then(|lifetime_ms| Some(body["createdAtMs"].as_u64()? + lifetime_ms)),
            reason: text("reason"),
        };
        versions.insert((name, version), found);
    }
    Ok(())
}

fn read_place(place: &Value) -> Result<Place, String> {
    if let Some(text) = place["inline"].as_str() {
        return STANDARD.decode(text).map(Place::Inline).map_err(|error| format!("inlined content: {error}"));
    }
    if let Some(id) = place["pack"]["id"].as_str() {
        return Ok(Place::Pack(id.to_owned(), place["pack"]["offset"].as_u64().ok_or("a pack without offset")?));
    }
    let id = place["object"]["id"].as_str().ok_or("an entry without a place")?;
    Ok(Place::Object(id.to_owned()))
}
