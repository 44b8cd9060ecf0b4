//! `.peat/index.json`: the metadata of the repository's extensions by digest, so that listings open no component.
//!
//! It is made of what was installed and can be made again at any time: a file that is missing, damaged or of another
//! format is an empty index.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use peat_core::digest::Digest;
use peat_core::metadata::Metadata;
use serde::{Deserialize, Serialize};

use super::file_access::{read_text_if_there, write_atomically};
use super::repository::STATE_DIRECTORY;

/// Largest index that is read: metadata of a few hundred extensions.
const INDEX_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Format of the file.
const FORMAT: u32 = 1;

/// Known metadata.
#[derive(Debug)]
pub(crate) struct ExtensionIndex {
    path: PathBuf,
    extensions: BTreeMap<Digest, Arc<Metadata>>,
    changed: bool,
}

/// The file; read with its own metadata, written with borrowed ones.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<T> {
    format: u32,
    extensions: BTreeMap<Digest, T>,
}

impl ExtensionIndex {
    /// Reads the index of the repository at `root`.
    pub(crate) fn read(root: &Path) -> Self {
        let path = root.join(STATE_DIRECTORY).join("index.json");
        let document = read_text_if_there(&path, INDEX_BYTES_MAX)
            .ok()
            .flatten()
            .and_then(|text| serde_json::from_str::<Document<Metadata>>(&text).ok())
            .filter(|document| document.format == FORMAT);
        let extensions = document.map(|document| document.extensions).unwrap_or_default();
        let extensions = extensions.into_iter().map(|(digest, metadata)| (digest, Arc::new(metadata))).collect();
        Self { path, extensions, changed: false }
    }

    /// The metadata of a component.
    pub(crate) fn get(&self, digest: &Digest) -> Option<Arc<Metadata>> {
        self.extensions.get(digest).cloned()
    }

    /// Notes the metadata of a component.
    pub(crate) fn insert(&mut self, digest: Digest, metadata: Arc<Metadata>) {
        self.extensions.insert(digest, metadata);
        self.changed = true;
    }

    /// Drops what is not among `used`, and writes the file when anything has changed. A repository that cannot be written
    /// is used without an index.
    pub(crate) fn save(&mut self, used: impl Fn(&Digest) -> bool) {
        let before = self.extensions.len();
        self.extensions.retain(|digest, _| used(digest));
        if !self.changed && before == self.extensions.len() {
            return;
        }
        if let Err(error) = self.write() {
            tracing::info!(path = %self.path.display(), %error, "the extension index is not kept");
        }
        self.changed = false;
    }

    fn write(&self) -> Result<(), crate::failure::Failure> {
        let extensions = self.extensions.iter().map(|(digest, metadata)| (*digest, &**metadata)).collect();
        let text = serde_json::to_vec(&Document::<&Metadata> { format: FORMAT, extensions })
            .map_err(|error| crate::failure::Failure::Internal(format!("cannot write the extension index: {error}")))?;
        if let Some(directory) = self.path.parent() {
            std::fs::create_dir_all(directory)
                .map_err(|source| crate::failure::Failure::file("create", directory, source))?;
        }
        write_atomically(&self.path, &text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata(name: &str) -> Arc<Metadata> {
        let metadata = json!({
            "format": 1, "name": name, "version": "0.1.0", "summary": "a datastore", "datastore": {}
        });
        Arc::new(serde_json::from_value(metadata).unwrap())
    }

    #[test]
    fn an_index_is_read_back_and_forgets_what_is_not_used() {
        let root = tempfile::tempdir().unwrap();
        let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
        let mut index = ExtensionIndex::read(root.path());
        index.insert(one, metadata("@a/one"));
        index.insert(two, metadata("@a/two"));
        index.save(|digest| *digest == one);
        let index = ExtensionIndex::read(root.path());
        assert_eq!(index.get(&one), Some(metadata("@a/one")));
        assert_eq!(index.get(&two), None);
    }

    #[test]
    fn a_damaged_index_is_an_empty_one() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join(STATE_DIRECTORY)).unwrap();
        std::fs::write(root.path().join(STATE_DIRECTORY).join("index.json"), b"{\"format\":1").unwrap();
        assert_eq!(ExtensionIndex::read(root.path()).get(&Digest::of(b"one")), None);
    }
}
