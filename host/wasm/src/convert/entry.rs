//! Entries, their attributes and references to them.

use peat_core::digest::Digest;
use peat_core::entry::{Description, Entry, Lifetime, NewEntry, Tag, VersionReference};
use peat_core::identifiers::{DataName, PartitionName, RunId, Version};
use wasmtime::component::Resource;

use super::text::within;
use super::{Invalid, Validated};
use crate::bindings::imports::interfaces::data::{Attributes, Lifetime as GuestLifetime, Tag as GuestTag};
use crate::bindings::imports::types as guest;
use crate::capabilities::blobs::Blob;
use crate::limits::LOCATION_BYTES_MAX;

/// Longest content type, in bytes.
const CONTENT_TYPE_BYTES_MAX: usize = 200;

/// Largest version and size: what every database can store.
const NUMBER_MAX: u64 = i64::MAX as u64;

/// Most tags of one item, and longest name or value of a tag in bytes.
const TAGS_MAX: usize = 32;
const TAG_BYTES_MAX: usize = 256;

pub(crate) fn attributes_to_guest(content_type: String, lifetime: Lifetime, tags: Vec<Tag>) -> Attributes {
    Attributes { content_type, lifetime: Some(lifetime_to_guest(lifetime)), tags: tags_to_guest(tags) }
}

pub(crate) fn lifetime_from_guest(lifetime: GuestLifetime) -> Lifetime {
    match lifetime {
        GuestLifetime::Infinite => Lifetime::Infinite,
        GuestLifetime::DurationMs(duration_ms) => Lifetime::DurationMs(duration_ms),
        GuestLifetime::Run => Lifetime::Run,
    }
}

pub(crate) fn content_type_from_guest(content_type: String) -> Validated<String> {
    let plain = !content_type.is_empty() && content_type.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if !plain {
        return Err(Invalid::field("content-type", "a media type is printable ASCII and not empty"));
    }
    within("content-type", content_type, CONTENT_TYPE_BYTES_MAX)
}

pub(crate) fn tags_from_guest(tags: Vec<GuestTag>) -> Validated<Vec<Tag>> {
    if tags.len() > TAGS_MAX {
        return Err(Invalid::field("tags", format!("{} tags, at most {TAGS_MAX} are allowed", tags.len())));
    }
    tags.into_iter()
        .map(|tag| {
            if tag.name.is_empty() || tag.name.chars().chain(tag.value.chars()).any(char::is_control) {
                return Err(Invalid::field("tags", "a tag has a name and no control characters"));
            }
            Ok(Tag {
                name: within("tag name", tag.name, TAG_BYTES_MAX)?,
                value: within("tag value", tag.value, TAG_BYTES_MAX)?,
            })
        })
        .collect()
}

/// An entry of a datastore. Names of the host's own items are allowed: they were pushed by a host.
pub(crate) fn entry_from_guest(entry: guest::Entry) -> Validated<Entry> {
    let name = DataName::parse(&entry.name).map_err(|invalid| Invalid(invalid.to_string()))?;
    let at = |field: &str, rule: &dyn std::fmt::Display| Invalid(format!("{name} {field}: {rule}"));
    if entry.version == 0 {
        return Err(at("version", &"versions begin with 1"));
    }
    for (field, number) in [("version", entry.version), ("size", entry.size)] {
        if number > NUMBER_MAX {
            return Err(at(field, &format!("{number} is more than {NUMBER_MAX}")));
        }
    }
    let description = Description {
        digest: Digest::parse(&entry.digest).map_err(|invalid| at("digest", &invalid))?,
        run_id: RunId::parse(&entry.run_id).map_err(|invalid| at("run-id", &invalid))?,
        content_type: content_type_from_guest(entry.content_type).map_err(|invalid| at("", &invalid.0))?,
        tags: tags_from_guest(entry.tags).map_err(|invalid| at("", &invalid.0))?,
        size: entry.size,
        lifetime: lifetime_from_guest(entry.lifetime),
        created_at_ms: entry.created_at_ms,
        of_failed_run: entry.of_failed_run,
        name: name.clone(),
    };
    let location = within("location", entry.location, LOCATION_BYTES_MAX).map_err(|invalid| at("", &invalid.0))?;
    Ok(Entry { description, version: Version(entry.version), location })
}

/// An entry to be committed, with its content as a handle.
pub(crate) fn new_entry_to_guest(entry: &NewEntry, content: Resource<Blob>) -> guest::NewEntry {
    let description = &entry.description;
    guest::NewEntry {
        name: description.name.to_string(),
        content,
        size: description.size,
        digest: description.digest.to_string(),
        content_type: description.content_type.clone(),
        lifetime: lifetime_to_guest(description.lifetime),
        tags: tags_to_guest(description.tags.clone()),
        created_at_ms: description.created_at_ms,
        run_id: description.run_id.to_string(),
        of_failed_run: description.of_failed_run,
        version_cap: entry.version_cap,
        version: entry.version.map(|version| version.0),
    }
}

/// A committed entry.
pub(crate) fn entry_to_guest(entry: &Entry) -> guest::Entry {
    let description = &entry.description;
    guest::Entry {
        name: description.name.to_string(),
        version: entry.version.0,
        size: description.size,
        digest: description.digest.to_string(),
        content_type: description.content_type.clone(),
        lifetime: lifetime_to_guest(description.lifetime),
        tags: tags_to_guest(description.tags.clone()),
        created_at_ms: description.created_at_ms,
        run_id: description.run_id.to_string(),
        of_failed_run: description.of_failed_run,
        location: entry.location.clone(),
    }
}

pub(crate) fn reference_to_guest(reference: &VersionReference) -> guest::VersionReference {
    guest::VersionReference { name: reference.name.to_string(), version: reference.version.0 }
}

pub(crate) fn references_from_guest(references: Vec<guest::VersionReference>) -> Validated<Vec<VersionReference>> {
    references
        .into_iter()
        .map(|reference| {
            let name = DataName::parse(&reference.name).map_err(|invalid| Invalid(invalid.to_string()))?;
            Ok(VersionReference { name, version: Version(reference.version) })
        })
        .collect()
}

pub(crate) fn partition_from_guest(partition: &str) -> Validated<PartitionName> {
    PartitionName::parse(partition).map_err(|invalid| Invalid(invalid.to_string()))
}

fn lifetime_to_guest(lifetime: Lifetime) -> GuestLifetime {
    match lifetime {
        Lifetime::Infinite => GuestLifetime::Infinite,
        Lifetime::DurationMs(duration_ms) => GuestLifetime::DurationMs(duration_ms),
        Lifetime::Run => GuestLifetime::Run,
    }
}

fn tags_to_guest(tags: Vec<Tag>) -> Vec<GuestTag> {
    tags.into_iter().map(|Tag { name, value }| GuestTag { name, value }).collect()
}
