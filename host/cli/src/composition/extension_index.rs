//! `.peat/index.json`: the metadata of the repository's extensions by digest, so that listings open no component.
//!
//! Each is noted with what the file system said of the component's file. While it says the same, the file is what it was;
//! when it says something else, that one file is read and checked again.
//!
//! It is made of what was installed and can be made again at any time: a file that is missing, damaged or of another
//! format is an empty index.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
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
const FORMAT: u32 = 2;

/// Known metadata.
#[derive(Debug)]
pub(crate) struct ExtensionIndex {
    path: PathBuf,
    extensions: BTreeMap<Digest, Indexed>,
    changed: bool,
}

/// What the file system says of a file, without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FileStamp {
    /// Its length.
    pub(crate) bytes: u64,
    /// When its content was changed last, in nanoseconds since 1970.
    modified_ns: i64,
    /// When anything of it was changed last. Nobody can set it, so that a file that was exchanged has another one.
    changed_ns: i64,
}

impl FileStamp {
    /// Of a regular file; none where there is none.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Some(Self {
            bytes: file.len(),
            modified_ns: nanoseconds(file.mtime(), file.mtime_nsec()),
            changed_ns: nanoseconds(file.ctime(), file.ctime_nsec()),
        })
    }
}

/// One extension of the index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Indexed {
    file: FileStamp,
    metadata: Arc<Metadata>,
}

/// The file; read with its own extensions, written with borrowed ones.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<E> {
    format: u32,
    extensions: E,
}

impl ExtensionIndex {
    /// Reads the index of the repository at `root`.
    pub(crate) fn read(root: &Path) -> Self {
        let path = root.join(STATE_DIRECTORY).join("index.json");
        let document = read_text_if_there(&path, INDEX_BYTES_MAX)
            .ok()
            .flatten()
            .and_then(|text| serde_json::from_str::<Document<BTreeMap<Digest, Indexed>>>(&text).ok())
            .filter(|document| document.format == FORMAT);
        let extensions = document.map(|document| document.extensions).unwrap_or_default();
        Self { path, extensions, changed: false }
    }

    /// The metadata of a component whose file is what it was when it was noted.
    pub(crate) fn get(&self, digest: &Digest, file: &FileStamp) -> Option<Arc<Metadata>> {
        self.extensions.get(digest).filter(|indexed| indexed.file == *file).map(|indexed| Arc::clone(&indexed.metadata))
    }

    /// Notes the metadata of a component, and what is said of its file.
    pub(crate) fn insert(&mut self, digest: Digest, file: FileStamp, metadata: Arc<Metadata>) {
        self.extensions.insert(digest, Indexed { file, metadata });
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
        let text = serde_json::to_vec(&Document { format: FORMAT, extensions: &self.extensions })
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
        let file = FileStamp { bytes: 3, modified_ns: 1, changed_ns: 2 };
        let mut index = ExtensionIndex::read(root.path());
        index.insert(one, file, metadata("@a/one"));
        index.insert(two, file, metadata("@a/two"));
        index.save(|digest| *digest == one);
        let index = ExtensionIndex::read(root.path());
        assert_eq!(index.get(&one, &file), Some(metadata("@a/one")));
        assert_eq!(index.get(&two, &file), None);
    }

    #[test]
    fn nothing_is_known_of_a_file_that_is_not_what_it_was() {
        let root = tempfile::tempdir().unwrap();
        let (path, digest) = (root.path().join("component.wasm"), Digest::of(b"one"));
        assert_eq!(FileStamp::of(&path), None);
        assert_eq!(FileStamp::of(root.path()), None, "a directory is no component");
        fs::write(&path, b"one").unwrap();
        let file = FileStamp::of(&path).unwrap();
        let mut index = ExtensionIndex::read(root.path());
        index.insert(digest, file, metadata("@a/one"));
        assert_eq!(index.get(&digest, &FileStamp::of(&path).unwrap()), Some(metadata("@a/one")));
        for other in [
            FileStamp { bytes: file.bytes + 1, ..file },
            FileStamp { modified_ns: file.modified_ns + 1, ..file },
            FileStamp { changed_ns: file.changed_ns + 1, ..file },
        ] {
            assert_eq!(index.get(&digest, &other), None, "{other:?}");
        }
    }

    #[test]
    fn an_index_that_is_damaged_or_of_another_format_is_an_empty_one() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join(STATE_DIRECTORY)).unwrap();
        let file = FileStamp { bytes: 3, modified_ns: 1, changed_ns: 2 };
        for text in ["{\"format\":1", "{\"format\":1,\"extensions\":{}}", "{\"format\":3,\"extensions\":{}}"] {
            fs::write(root.path().join(STATE_DIRECTORY).join("index.json"), text).unwrap();
            assert_eq!(ExtensionIndex::read(root.path()).get(&Digest::of(b"one"), &file), None);
        }
    }
}
