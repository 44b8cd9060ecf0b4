//! Keys as file names: what a key may be, and where its object lies.

use peat_core::ports::ObjectError;

use crate::key_rule::{self, invalid};

/// Longest key, in bytes: what every object store takes.
const KEY_BYTES_MAX: usize = 1_024;

/// Longest segment of a key, in bytes: a file name has 255, the suffix needs some of them.
const SEGMENT_BYTES_MAX: usize = 240;

/// Most segments of a key: a listing holds a directory open for each.
pub(super) const SEGMENTS_MAX: usize = 32;

/// What distinguishes the file of an object from a directory of deeper keys, so that `a` and `a/b` can both exist.
pub(super) const OBJECT_SUFFIX: &str = ".object";

/// The directory of locks and temporary files inside the root; no key leads there.
pub(super) const PRIVATE_DIRECTORY: &str = ".peat-store";

/// The file of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ObjectPath {
    /// Directories from the root to the file, joined by `/`; empty for the root itself.
    pub(super) directory: String,
    /// Name of the file.
    pub(super) file: String,
}

impl ObjectPath {
    /// Where the object `key` lies.
    pub(super) fn of_key(key: &str) -> Result<Self, ObjectError> {
        let refuse = |reason| invalid(key, reason);
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(refuse("a key has 1 to 1,024 bytes"));
        }
        key.split('/').try_for_each(check_segment).map_err(refuse)?;
        if key.split('/').count() > SEGMENTS_MAX {
            return Err(refuse("a key has at most 32 segments"));
        }
        if key.split('/').next() == Some(PRIVATE_DIRECTORY) {
            return Err(refuse("'.peat-store' belongs to the store itself"));
        }
        let (directory, name) = key.rsplit_once('/').unwrap_or(("", key));
        Ok(Self { directory: directory.to_owned(), file: format!("{name}{OBJECT_SUFFIX}") })
    }

    /// The file relative to the root.
    pub(super) fn whole(&self) -> String {
        if self.directory.is_empty() { self.file.clone() } else { format!("{}/{}", self.directory, self.file) }
    }
}

/// The name of the object in a file, if it is one.
pub(super) fn object_name(file_name: &str) -> Option<&str> {
    file_name.strip_suffix(OBJECT_SUFFIX).filter(|name| check_segment(name).is_ok())
}

/// Splits the prefix of a listing into a directory and the beginning of names in it.
pub(super) fn split_prefix(prefix: &str) -> Result<(&str, &str), ObjectError> {
    if prefix.len() > KEY_BYTES_MAX {
        return Err(invalid(prefix, "a prefix has at most 1,024 bytes"));
    }
    let (directory, beginning) = prefix.rsplit_once('/').unwrap_or(("", prefix));
    if !directory.is_empty() || prefix.starts_with('/') {
        directory.split('/').try_for_each(check_segment).map_err(|reason| invalid(prefix, reason))?;
    }
    if beginning.chars().any(key_rule::is_forbidden) || directory.split('/').next() == Some(PRIVATE_DIRECTORY) {
        return Err(invalid(
            prefix,
            "a prefix has no control character and no backslash and does not begin with '.peat-store'",
        ));
    }
    Ok((directory, beginning))
}

/// A directory or object name that a key may have.
pub(super) fn check_segment(segment: &str) -> Result<(), &'static str> {
    key_rule::check_segment(segment)?;
    match segment {
        _ if segment.len() > SEGMENT_BYTES_MAX => Err("a segment has at most 240 bytes"),
        _ if segment.ends_with(OBJECT_SUFFIX) => Err("no segment may end in '.object'"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_cannot_escape() {
        let long = "x".repeat(2_000);
        let deep = format!("{}x", "d/".repeat(SEGMENTS_MAX));
        for bad in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            "..",
            "../a",
            "a/../b",
            ".",
            "a/./b",
            "a\0b",
            "a\\b",
            "..\\a",
            &long,
            &deep,
            ".peat-store/locks/00",
            "a.object",
            "a.object/b",
            &"s".repeat(241),
        ] {
            assert!(matches!(ObjectPath::of_key(bad), Err(ObjectError::InvalidKey { .. })), "{bad:?} was accepted");
        }
        for bad in ["/", "../", "a/../", "a//", ".peat-store/", "a\0", "x/a\\b", &long] {
            assert!(matches!(split_prefix(bad), Err(ObjectError::InvalidKey { .. })), "prefix {bad:?} was accepted");
        }
    }

    #[test]
    fn a_key_and_its_deeper_keys_lie_in_different_places() {
        let upper = ObjectPath::of_key("a/b").unwrap();
        let deeper = ObjectPath::of_key("a/b/c").unwrap();
        assert_eq!((upper.directory.as_str(), upper.file.as_str()), ("a", "b.object"));
        assert_eq!(deeper.whole(), "a/b/c.object");
        assert_eq!(object_name("b.object"), Some("b"));
        assert_eq!(object_name("b"), None);
        assert_eq!(split_prefix("a/b").unwrap(), ("a", "b"));
        assert_eq!(split_prefix("").unwrap(), ("", ""));
    }
}
