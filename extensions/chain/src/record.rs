//! One record of the index: a committed version, or the mark that a version is gone.
//!
//! A mark stays as long as something depends on it: content that is to be deleted, a replica that may not have heard of
//! it, or the version number of a name that has no other record (numbers never start again).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::keys;
use crate::limits::{
    CONTENT_TYPE_BYTES_MAX, INLINE_BYTES_MAX, NUMBER_MAX, PACK_BYTES_MAX, TAG_BYTES_MAX, TAGS_BYTES_MAX, TAGS_MAX,
};
use crate::types::{Description, Entry, Lifetime, Tag, VersionReference};

/// Media type that is not written down.
const PLAIN_BYTES: &str = "application/octet-stream";

/// A record of the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Record {
    /// A committed version.
    Entry(EntryRecord),
    /// A version that left the index.
    Gone(GoneRecord),
}

/// A committed version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EntryRecord {
    /// Data name.
    pub name: String,
    /// Version.
    pub version: u64,
    /// Sequence of the commit that wrote or last moved it.
    pub sequence: u64,
    /// Bytes of content.
    pub size: u64,
    /// SHA-256 of the content, hexadecimal.
    pub digest: String,
    /// Media type.
    #[serde(default = "plain_bytes", skip_serializing_if = "is_plain_bytes")]
    pub content_type: String,
    /// How long it is kept.
    #[serde(default, skip_serializing_if = "is_infinite")]
    pub lifetime: Lifetime,
    /// Tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Wall clock of the writer.
    pub created_at_ms: u64,
    /// The run that wrote it.
    pub run_id: String,
    /// Written by a run that failed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub of_failed_run: bool,
    /// Where the content is.
    pub place: Place,
}

/// A version that left the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GoneRecord {
    /// Data name.
    pub name: String,
    /// Version.
    pub version: u64,
    /// Sequence of the commit that removed it.
    pub sequence: u64,
    /// Sequence of the commit that had written it.
    pub written: u64,
    /// Why it left.
    pub reason: Reason,
    /// Wall clock of the remover, milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// Content that is to be deleted after the grace period; none for inlined content, or when it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<Rest>,
}

/// Content of a version that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rest {
    /// Where it is.
    pub place: Place,
    /// Its bytes.
    pub size: u64,
}

/// Why a version left the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// Somebody asked for it.
    Removed,
    /// Newer versions pushed it out.
    Cap,
    /// Its lifetime was over.
    Expired,
    /// A repair found that its content was lost or damaged, and nobody had it.
    Lost,
}

/// Where content is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// In the record.
    Inline(#[serde(serialize_with = "to_base64", deserialize_with = "from_base64")] Vec<u8>),
    /// A part of a pack.
    Pack {
        /// Of the pack.
        id: String,
        /// First byte.
        offset: u64,
        /// Bytes of the whole pack: it may be deleted when so many of it are gone, whoever else lies in it.
        total: u64,
    },
    /// An object of its own.
    Object {
        /// Of the object.
        id: String,
    },
}

impl Record {
    /// Records are sorted by this.
    pub fn key(&self) -> (&str, u64) {
        (self.name(), self.version())
    }

    /// Data name.
    pub fn name(&self) -> &str {
        match self {
            Self::Entry(entry) => &entry.name,
            Self::Gone(gone) => &gone.name,
        }
    }

    /// Version.
    pub fn version(&self) -> u64 {
        match self {
            Self::Entry(entry) => entry.version,
            Self::Gone(gone) => gone.version,
        }
    }

    /// Sequence of the commit that made this record what it is.
    pub fn sequence(&self) -> u64 {
        match self {
            Self::Entry(entry) => entry.sequence,
            Self::Gone(gone) => gone.sequence,
        }
    }

    /// The committed version, unless it is gone.
    pub fn entry(&self) -> Option<&EntryRecord> {
        match self {
            Self::Entry(entry) => Some(entry),
            Self::Gone(_) => None,
        }
    }

    /// A mark whose content is still to be deleted.
    pub fn has_rest(&self) -> bool {
        matches!(self, Self::Gone(GoneRecord { rest: Some(_), .. }))
    }

    /// Bytes inlined in this record.
    pub fn inline_bytes(&self) -> u64 {
        match self {
            Self::Entry(EntryRecord { place: Place::Inline(bytes), .. }) => bytes.len() as u64,
            _ => 0,
        }
    }

    /// What is wrong with a record read from the store.
    pub fn fault(&self) -> Option<String> {
        let fault = match self {
            Self::Entry(entry) => entry.fault(),
            Self::Gone(gone) => gone.rest.as_ref().and_then(|rest| rest.place.fault(rest.size)),
        };
        let (name, version) = self.key();
        if !keys::is_data_name(name) {
            return Some("a record has a name that is not a data name".to_owned());
        }
        if version == 0 || self.sequence() == 0 {
            return Some(format!("{name} has version or sequence 0"));
        }
        let size = match self {
            Self::Entry(entry) => entry.size,
            Self::Gone(gone) => gone.rest.as_ref().map_or(0, |rest| rest.size),
        };
        if [version, self.sequence(), size].iter().any(|number| *number > NUMBER_MAX) {
            return Some(format!("{name} has a number that is too large"));
        }
        fault.map(|fault| format!("{name} version {version}: {fault}"))
    }
}

impl EntryRecord {
    /// The record of a new version.
    pub fn new(description: &Description, version: u64, sequence: u64, place: Place) -> Self {
        Self {
            name: description.name.clone(),
            version,
            sequence,
            size: description.size,
            digest: description.digest.clone(),
            content_type: description.content_type.clone(),
            lifetime: description.lifetime,
            tags: description.tags.clone(),
            created_at_ms: description.created_at_ms,
            run_id: description.run_id.clone(),
            of_failed_run: description.of_failed_run,
            place,
        }
    }

    /// Its name and version.
    pub fn reference(&self) -> VersionReference {
        VersionReference { name: self.name.clone(), version: self.version }
    }

    /// As callers see it.
    pub fn to_entry(&self) -> Entry {
        Entry {
            description: Description {
                name: self.name.clone(),
                size: self.size,
                digest: self.digest.clone(),
                content_type: self.content_type.clone(),
                lifetime: self.lifetime,
                tags: self.tags.clone(),
                created_at_ms: self.created_at_ms,
                run_id: self.run_id.clone(),
                of_failed_run: self.of_failed_run,
            },
            version: self.version,
            location: self.place.location(),
        }
    }

    /// When its lifetime is over, milliseconds since the Unix epoch; none when it never is.
    pub fn expires_ms(&self) -> Option<u64> {
        match self.lifetime {
            Lifetime::DurationMs(duration_ms) => Some(self.created_at_ms.saturating_add(duration_ms).min(NUMBER_MAX)),
            Lifetime::Infinite | Lifetime::Run => None,
        }
    }

    /// The mark that takes its place.
    pub fn gone(&self, sequence: u64, reason: Reason, since_ms: u64) -> GoneRecord {
        let rest = match &self.place {
            Place::Inline(_) => None,
            place => Some(Rest { place: place.clone(), size: self.size }),
        };
        let (name, version) = (self.name.clone(), self.version);
        GoneRecord { name, version, sequence, written: self.sequence, reason, since_ms, rest }
    }

    fn fault(&self) -> Option<String> {
        description_fault(&self.to_entry().description).or_else(|| self.place.fault(self.size))
    }
}

impl Place {
    /// The written form that callers carry: `inline`, `pack:{id}:{offset}`, `object:{id}`.
    pub fn location(&self) -> String {
        match self {
            Self::Inline(_) => "inline".to_owned(),
            Self::Pack { id, offset, .. } => format!("pack:{id}:{offset}"),
            Self::Object { id } => format!("object:{id}"),
        }
    }

    /// Reads the written form; none when it is not one. Inlined content comes back empty, a pack without its size.
    pub fn parse(location: &str) -> Option<Self> {
        if location == "inline" {
            return Some(Self::Inline(Vec::new()));
        }
        let (kind, rest) = location.split_once(':')?;
        let place = match kind {
            "object" => Self::Object { id: rest.to_owned() },
            "pack" => {
                let (id, offset) = rest.split_once(':')?;
                Self::Pack { id: id.to_owned(), offset: offset.parse().ok()?, total: PACK_TOTAL_MAX }
            }
            _ => return None,
        };
        place.fault(0).is_none().then_some(place)
    }

    fn fault(&self, size: u64) -> Option<String> {
        let id_fault = |id: &str| (!keys::is_hexadecimal(id, ID_DIGITS)).then(|| "it has a bad object id".to_owned());
        match self {
            Self::Inline(bytes) if bytes.len() as u64 != size => {
                Some(format!("{} bytes are inlined instead of {size}", bytes.len()))
            }
            Self::Inline(bytes) if bytes.len() as u64 > INLINE_BYTES_MAX => Some("too much is inlined".to_owned()),
            Self::Inline(_) => None,
            Self::Pack { id, offset, total } => id_fault(id).or_else(|| {
                let outside =
                    *total > PACK_TOTAL_MAX || offset.checked_add(size).is_none_or(|end| end > PACK_TOTAL_MAX);
                outside.then(|| "it lies outside its pack".to_owned())
            }),
            Self::Object { id } => id_fault(id),
        }
    }
}

/// Largest pack that a reader accepts, in bytes.
const PACK_TOTAL_MAX: u64 = 2 * PACK_BYTES_MAX;

/// Hexadecimal digits of a pack's or object's id: 128 random bits never meet twice.
pub const ID_DIGITS: usize = 32;

/// What is wrong with a description, from the store or from a caller.
pub fn description_fault(description: &Description) -> Option<String> {
    let tag_bytes: usize = description.tags.iter().map(|tag| tag.name.len() + tag.value.len()).sum();
    let oversized = |tag: &Tag| tag.name.len() > TAG_BYTES_MAX || tag.value.len() > TAG_BYTES_MAX;
    if !keys::is_data_name(&description.name) {
        Some("the name is not a data name: segments of a-z 0-9 . _ - joined by '/', at most 200 bytes".to_owned())
    } else if !keys::is_hexadecimal(&description.digest, 64) {
        Some("the digest is not 64 lower-case hexadecimal digits".to_owned())
    } else if description.content_type.len() > CONTENT_TYPE_BYTES_MAX {
        Some(format!("the content type is longer than {CONTENT_TYPE_BYTES_MAX} bytes"))
    } else if description.tags.len() > TAGS_MAX || tag_bytes > TAGS_BYTES_MAX || description.tags.iter().any(oversized)
    {
        Some(format!("at most {TAGS_MAX} tags of {TAG_BYTES_MAX} bytes each and {TAGS_BYTES_MAX} bytes together"))
    } else if !keys::is_identity(&description.run_id) {
        Some("the run id is not 1 to 64 lower-case letters, digits and '-'".to_owned())
    } else if description.lifetime == Lifetime::Run {
        Some("data with the lifetime of its run never leaves the machine".to_owned())
    } else {
        None
    }
}

fn plain_bytes() -> String {
    PLAIN_BYTES.to_owned()
}

fn is_plain_bytes(value: &str) -> bool {
    value == PLAIN_BYTES
}

fn is_infinite(value: &Lifetime) -> bool {
    *value == Lifetime::Infinite
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}
