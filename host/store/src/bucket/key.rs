//! Keys below the prefix: what a key may be, and that none leads out.

use peat_core::ports::ObjectError;

use super::failure::Place;
use super::settings::misconfigured;
use crate::key_rule::{self, check_segment, invalid};

/// Longest key of a store, in bytes, prefix included.
const KEY_BYTES_MAX: usize = 1_024;

/// A bucket and the prefix below which all keys lie.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// Name of the bucket.
    pub(super) bucket: String,
    /// Empty, or ends with `/`.
    prefix: String,
}

impl Scope {
    pub(super) fn new(bucket: &str, prefix: &str) -> Result<Self, ObjectError> {
        let trimmed = prefix.trim_matches('/');
        if trimmed.is_empty() {
            return Ok(Self { bucket: bucket.to_owned(), prefix: String::new() });
        }
        trimmed.split('/').try_for_each(check_segment).map_err(|reason| misconfigured("prefix", reason))?;
        if trimmed.len() > KEY_BYTES_MAX / 2 {
            return Err(misconfigured("prefix", "a prefix has at most 512 bytes, to leave room for keys"));
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: format!("{trimmed}/") })
    }

    /// For a person.
    pub(super) fn description(&self, place: &Place) -> String {
        format!("bucket {}/{} at {}", self.bucket, self.prefix.trim_end_matches('/'), place.endpoint)
            .replace("/ at ", " at ")
    }

    /// The store's name of the object `key`.
    pub(super) fn full(&self, key: &str) -> Result<String, ObjectError> {
        key_rule::check(key, KEY_BYTES_MAX - self.prefix.len())?;
        Ok(format!("{}{key}", self.prefix))
    }

    /// The store's name of a prefix of a listing.
    pub(super) fn full_prefix(&self, prefix: &str) -> Result<String, ObjectError> {
        let (directory, beginning) = prefix.rsplit_once('/').unwrap_or(("", prefix));
        if prefix.contains('/') {
            directory.split('/').try_for_each(check_segment).map_err(|reason| invalid(prefix, reason))?;
        }
        if prefix.len() > KEY_BYTES_MAX - self.prefix.len() || beginning.chars().any(key_rule::is_forbidden) {
            return Err(invalid(prefix, "a prefix has at most 1,024 bytes, no control characters and no backslash"));
        }
        Ok(format!("{}{prefix}", self.prefix))
    }

    /// A key as the caller knows it; none when it is not one of ours.
    pub(super) fn relative<'a>(&self, full: &'a str) -> Option<&'a str> {
        full.strip_prefix(&self.prefix)
    }

    /// After which store key a listing goes on.
    pub(super) fn after(&self, cursor: &str) -> String {
        format!("{}{cursor}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_lies_below_the_prefix() {
        for prefix in ["team/peat", "/team/peat/", "team/peat/"] {
            let scope = Scope::new("b", prefix).unwrap();
            assert_eq!(scope.full("space/x").unwrap(), "team/peat/space/x");
            assert_eq!(scope.full_prefix("").unwrap(), "team/peat/");
            assert_eq!(scope.full_prefix("space/_index/").unwrap(), "team/peat/space/_index/");
            assert_eq!(scope.relative("team/peat/space/x"), Some("space/x"));
            assert_eq!(scope.relative("team/other"), None);
        }
        assert_eq!(Scope::new("b", "").unwrap().full("x").unwrap(), "x");
        for bad in ["..", "a/../b", "a//b", "a/./b", "a\0", &"x".repeat(600)] {
            assert!(Scope::new("b", bad).is_err(), "prefix {bad:?} was accepted");
        }
    }

    #[test]
    fn no_key_leads_out() {
        let scope = Scope::new("b", "inner").unwrap();
        for bad in [
            "",
            "/",
            "..",
            "../x",
            "/x",
            "x/",
            "a//b",
            "a/../../x",
            "a/./b",
            "a\0b",
            "a\\b",
            "a\nb",
            &"x".repeat(1_024),
        ] {
            assert!(matches!(scope.full(bad), Err(ObjectError::InvalidKey { .. })), "{bad:?} was accepted");
        }
        for bad in ["/", "../", "a/../", "a//", "a\0", "x/a\\b", &"x".repeat(2_000)] {
            assert!(
                matches!(scope.full_prefix(bad), Err(ObjectError::InvalidKey { .. })),
                "prefix {bad:?} was accepted"
            );
        }
    }
}
