//! Where everything lies: keys of the shared store, and the rules of the names in them.

use crate::error::{Error, Result};
use crate::limits::{IDENTITY_BYTES_MAX, NAME_BYTES_MAX};

/// The root record of the store.
pub const STORE_RECORD: &str = "peat.json";

/// Scratch objects of probes lie under this prefix. No namespace begins with `_`.
pub const PROBE_PREFIX: &str = "_probe/";

/// The "partition" of a structural lease. No real partition may have this name.
pub const STRUCTURAL: &str = "structural";

/// Where everything immutable of a partition lies, below its namespace.
pub const CONTENT_KINDS: [&str; 3] = ["_segments", "_packs", "_objects"];

/// Between the name of a namespace and that of a run scope of it.
const SCOPE_MARK: &str = ".scope-";

/// The namespace that a run scope belongs to; none when this is the name of no run scope. The name alone tells, so that
/// nobody has to ask the store.
pub fn parent_of(namespace: &str) -> Option<&str> {
    namespace.split_once(SCOPE_MARK).map(|(parent, _)| parent).filter(|parent| check_namespace(parent).is_ok())
}

/// Prefix of the names of all run scopes of a namespace.
pub fn scope_prefix(namespace: &str) -> String {
    format!("{namespace}{SCOPE_MARK}")
}

/// Prefix of everything in a namespace.
pub fn namespace_prefix(namespace: &str) -> String {
    format!("{namespace}/")
}

/// Prefix of the segments of a partition.
pub fn segment_prefix(namespace: &str, partition: &str) -> String {
    format!("{namespace}/_segments/{partition}/")
}

/// Prefix of the packs of a partition.
pub fn pack_prefix(namespace: &str, partition: &str) -> String {
    format!("{namespace}/_packs/{partition}/")
}

/// Prefix of the objects of a partition.
pub fn object_prefix(namespace: &str, partition: &str) -> String {
    format!("{namespace}/_objects/{partition}/")
}

/// The namespace root.
pub fn meta(namespace: &str) -> String {
    format!("{namespace}/_index/_meta.json")
}

/// Prefix of the namespace root and all heads.
pub fn index_prefix(namespace: &str) -> String {
    format!("{namespace}/_index/")
}

/// The head of a partition.
pub fn head(namespace: &str, partition: &str) -> String {
    format!("{namespace}/_index/{partition}.json")
}

/// The partition whose head has this key, if it is a head's.
pub fn partition_of_head<'a>(namespace: &str, key: &'a str) -> Option<&'a str> {
    let partition = key.strip_prefix(namespace)?.strip_prefix("/_index/")?.strip_suffix(".json")?;
    is_partition(partition).then_some(partition)
}

/// Prefix of the tickets of those who wait for a partition.
pub fn queues_prefix(namespace: &str) -> String {
    format!("{namespace}/_queue/")
}

/// Tickets of those who wait for one partition.
pub fn queue_prefix(namespace: &str, partition: &str) -> String {
    format!("{namespace}/_queue/{partition}/")
}

/// An immutable index segment.
pub fn segment(namespace: &str, partition: &str, digest: &str) -> String {
    format!("{namespace}/_segments/{partition}/{digest}")
}

/// An immutable pack.
pub fn pack(namespace: &str, partition: &str, id: &str) -> String {
    format!("{namespace}/_packs/{partition}/{id}")
}

/// An immutable single object.
pub fn object(namespace: &str, partition: &str, id: &str) -> String {
    format!("{namespace}/_objects/{partition}/{id}")
}

/// Prefixes of everything immutable that belongs to a partition.
pub fn content_prefixes(namespace: &str, partition: &str) -> [String; 3] {
    CONTENT_KINDS.map(|kind| format!("{namespace}/{kind}/{partition}/"))
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_word(value: &str, separators: &[u8], longest: usize) -> bool {
    let bytes = value.as_bytes();
    bytes.first().is_some_and(|first| is_plain(*first))
        && bytes.len() <= longest
        && bytes.iter().all(|byte| is_plain(*byte) || separators.contains(byte))
}

/// Rule of partition names; safe as a file name.
pub fn is_partition(value: &str) -> bool {
    value.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && value.len() <= 200
        && value != STRUCTURAL
        && value.bytes().all(|byte| is_plain(byte) || b"._-@+".contains(&byte))
}

/// Rule of data names. `.run/` is where the host keeps records and logs of runs.
pub fn is_data_name(value: &str) -> bool {
    let inner = value.strip_prefix(".run/").unwrap_or(value);
    value.len() <= NAME_BYTES_MAX && inner.split('/').all(|segment| is_word(segment, b"._-", NAME_BYTES_MAX))
}

/// Rule of commit ids and run ids.
pub fn is_identity(value: &str) -> bool {
    is_word(value, b"-", IDENTITY_BYTES_MAX)
}

/// Lower-case hexadecimal digits, exactly so many.
pub fn is_hexadecimal(value: &str, digits: usize) -> bool {
    value.len() == digits && value.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Checks a namespace given by a caller.
pub fn check_namespace(value: &str) -> Result<()> {
    if is_word(value, b"._-", 80) && value != STORE_RECORD {
        return Ok(());
    }
    Err(Error::input(
        value.chars().take(80).collect::<String>(),
        "a namespace has lower-case letters, digits, '.', '_' and '-', begins with a letter or digit, has at most 80 \
         characters and is not peat.json",
    ))
}

/// Checks a partition given by a caller.
pub fn check_partition(value: &str) -> Result<()> {
    if is_partition(value) {
        return Ok(());
    }
    Err(Error::input(
        value.chars().take(80).collect::<String>(),
        "a partition has lower-case letters, digits, '.', '_', '-', '@' and '+', begins with a letter, has at most 200 \
         characters and is not \"structural\"",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_key_leads_back_to_its_partition_and_nothing_else_does() {
        let key = head("default", "model--command+shell--0a1b2c3d");
        assert_eq!(partition_of_head("default", &key), Some("model--command+shell--0a1b2c3d"));
        for other in [&meta("default"), "default/_index/x/y.json", "default/_index/x.tmp", "other/_index/x.json"] {
            assert_eq!(partition_of_head("default", other), None, "{other}");
        }
    }

    #[test]
    fn names_cannot_leave_their_place() {
        for bad in ["", "..", "a/b", "_x", "Ä", "a\0", "peat.json", &"a".repeat(81)] {
            assert!(check_namespace(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "..", "a/b", "_meta", "1a", "structural", &"a".repeat(201)] {
            assert!(check_partition(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "..", "a/../b", "/a", "a/", ".a", "a//b", ".run/", "A"] {
            assert!(!is_data_name(bad), "{bad:?}");
        }
        assert!(is_data_name(".run/01hz-abcd/log") && is_data_name("reports/2026.json"));
    }
}
