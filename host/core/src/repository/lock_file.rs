//! `peat.lock`: which extensions the repository uses, by digest. JSON, written by `peat extension`, kept in git.

use serde::{Deserialize, Serialize};

use super::{ConfigError, DOCUMENT_BYTES_MAX};
use crate::digest::Digest;
use crate::identifiers::ExtensionName;

/// The extensions of a repository, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockFile {
    /// Format of this file: 1.
    pub format: u32,
    /// Sorted by name, each name once.
    pub extensions: Vec<LockedExtension>,
}

/// One extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedExtension {
    /// Its name.
    pub name: ExtensionName,
    /// Its version, for people.
    pub version: String,
    /// SHA-256 of the component: what is used is exactly this.
    pub digest: Digest,
    /// Length of the component in bytes.
    pub size: u64,
    /// The file it came from, relative to the repository, when it lies inside: a fresh checkout installs it from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Default for LockFile {
    fn default() -> Self {
        Self { format: 1, extensions: Vec::new() }
    }
}

impl LockFile {
    /// Reads the text of `peat.lock`; `path` is for messages.
    pub fn parse(path: &str, text: &str) -> Result<Self, ConfigError> {
        let error = |reason: String| ConfigError { path: path.to_owned(), reason };
        if text.len() > DOCUMENT_BYTES_MAX {
            return Err(error(format!("{} bytes, more than the {DOCUMENT_BYTES_MAX} allowed", text.len())));
        }
        let lock: Self = serde_json::from_str(text).map_err(|cause| error(cause.to_string()))?;
        if lock.format != 1 {
            return Err(error(format!(
                "format {} is not known; this peat reads format 1, use a newer peat",
                lock.format
            )));
        }
        if let Some(pair) = lock.extensions.windows(2).find(|pair| pair[0].name >= pair[1].name) {
            return Err(error(format!(
                "{} is out of order or named twice; keep one entry a name, sorted",
                pair[1].name
            )));
        }
        Ok(lock)
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("strings and numbers always serialise");
        text.push('\n');
        text
    }

    /// Adds an extension or replaces the one of the same name; answers the replaced one.
    pub fn insert(&mut self, extension: LockedExtension) -> Option<LockedExtension> {
        match self.extensions.binary_search_by(|known| known.name.cmp(&extension.name)) {
            Ok(place) => Some(std::mem::replace(&mut self.extensions[place], extension)),
            Err(place) => {
                self.extensions.insert(place, extension);
                None
            }
        }
    }

    /// Removes an extension; answers it.
    pub fn remove(&mut self, name: &ExtensionName) -> Option<LockedExtension> {
        let place = self.extensions.binary_search_by(|known| known.name.cmp(name)).ok()?;
        Some(self.extensions.remove(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(name: &str) -> LockedExtension {
        LockedExtension {
            name: ExtensionName::parse(name).unwrap(),
            version: "0.1.0".to_owned(),
            digest: Digest::of(name.as_bytes()),
            size: 3,
            source: None,
        }
    }

    #[test]
    fn entries_stay_sorted_and_unique() {
        let mut lock = LockFile::default();
        for name in ["@b/x", "@a/x", "@c/x", "@a/x"] {
            lock.insert(locked(name));
        }
        let names: Vec<_> = lock.extensions.iter().map(|extension| extension.name.as_str()).collect();
        assert_eq!(names, ["@a/x", "@b/x", "@c/x"]);
        assert_eq!(LockFile::parse("peat.lock", &lock.to_text()).unwrap(), lock);
        lock.extensions.swap(0, 1);
        assert!(LockFile::parse("peat.lock", &lock.to_text()).is_err());
    }
}
