//! `.peat/index.jsonl`: the metadata of the repository's extensions by digest, so that listings open no component.
//!
//! Each is noted with what the file system said of the component's file. While it says the same, the file is what it was;
//! when it says something else, that one file is read and checked again.
//!
//! A line says the format; then there are two for each extension, what is known of its file, and its metadata. These are
//! parsed when somebody asks for them, as far as he asks: a listing does not care for schemas.
//!
//! It is made of what was installed and can be made again at any time: a file that is missing, damaged or of another
//! format is an empty index.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use peat_core::digest::Digest;
use peat_core::metadata::Metadata;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::file_access::{read_text_if_there, write_atomically};
use super::index_file::{FileStamp, Header, line};
use super::repository::STATE_DIRECTORY;
use crate::failure::Failure;

/// Largest index that is read: metadata of a few hundred extensions.
const INDEX_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Format of the file.
const FORMAT: u32 = 3;

/// Known metadata.
#[derive(Debug)]
pub(crate) struct ExtensionIndex {
    path: PathBuf,
    extensions: BTreeMap<Digest, Indexed>,
    changed: bool,
}

/// One extension of the index.
#[derive(Debug)]
struct Indexed {
    file: FileStamp,
    /// JSON.
    metadata: String,
}

/// The first line of an extension.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    digest: Digest,
    file: FileStamp,
}

impl ExtensionIndex {
    /// Reads the index of the repository at `root`.
    pub(crate) fn read(root: &Path) -> Self {
        let path = root.join(STATE_DIRECTORY).join("index.jsonl");
        let text = read_text_if_there(&path, INDEX_BYTES_MAX).ok().flatten().unwrap_or_default();
        Self { extensions: read_lines(&text).unwrap_or_default(), path, changed: false }
    }

    /// The metadata of a component whose file is what it was when it was noted; `T` is [`Metadata`], or a part of it.
    pub(crate) fn get<T: DeserializeOwned>(&self, digest: &Digest, file: &FileStamp) -> Option<T> {
        let indexed = self.extensions.get(digest).filter(|indexed| indexed.file == *file)?;
        serde_json::from_str(&indexed.metadata).ok()
    }

    /// Notes the metadata of a component, and what is said of its file.
    pub(crate) fn insert(&mut self, digest: Digest, file: FileStamp, metadata: &Metadata) {
        self.extensions.insert(digest, Indexed { file, metadata: line(metadata) });
        self.changed = true;
    }

    /// Whether something was noted since it was read or written.
    pub(crate) fn is_changed(&self) -> bool {
        self.changed
    }

    /// Drops what is not `used`, and writes the file when anything has changed. A repository that cannot be written is used
    /// without an index.
    pub(crate) fn save<'a>(&mut self, used: impl Iterator<Item = &'a Digest>) {
        let (before, used) = (self.extensions.len(), used.collect::<BTreeSet<_>>());
        self.extensions.retain(|digest, _| used.contains(digest));
        if !self.changed && before == self.extensions.len() {
            return;
        }
        if let Err(error) = self.write() {
            tracing::info!(path = %self.path.display(), %error, "the extension index is not kept");
        }
        self.changed = false;
    }

    fn write(&self) -> Result<(), Failure> {
        let mut text = line(&Header { format: FORMAT });
        for (digest, indexed) in &self.extensions {
            text.push_str(&line(&Note { digest: *digest, file: indexed.file }));
            text.push_str(&indexed.metadata);
        }
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory).map_err(|source| Failure::file("create", directory, source))?;
        }
        write_atomically(&self.path, text.as_bytes())
    }
}

/// The extensions of the file; none where a line is not what it should be.
fn read_lines(text: &str) -> Option<BTreeMap<Digest, Indexed>> {
    let mut lines = text.split_inclusive('\n');
    let Header { format } = serde_json::from_str(lines.next()?).ok()?;
    if format != FORMAT {
        return None;
    }
    let mut extensions = BTreeMap::new();
    while let Some(note) = lines.next() {
        let Note { digest, file } = serde_json::from_str(note).ok()?;
        let metadata = lines.next().filter(|line| line.ends_with('\n'))?.to_owned();
        extensions.insert(digest, Indexed { file, metadata });
    }
    Some(extensions)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata(name: &str) -> Metadata {
        let metadata = json!({
            "format": 1, "name": name, "version": "0.1.0", "summary": "a datastore", "datastore": {}
        });
        serde_json::from_value(metadata).unwrap()
    }

    #[test]
    fn an_index_is_read_back_and_forgets_what_is_not_used() {
        let root = tempfile::tempdir().unwrap();
        let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
        let file = FileStamp { bytes: 3, modified_ns: 1, changed_ns: 2 };
        let mut index = ExtensionIndex::read(root.path());
        index.insert(one, file, &metadata("@a/one"));
        index.insert(two, file, &metadata("@a/two"));
        index.save([one, two].iter());
        let mut index = ExtensionIndex::read(root.path());
        assert_eq!(index.get(&two, &file), Some(metadata("@a/two")));
        index.save([one].iter());
        let index = ExtensionIndex::read(root.path());
        assert_eq!(index.get(&one, &file), Some(metadata("@a/one")));
        assert_eq!(index.get::<Metadata>(&two, &file), None);
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
        index.insert(digest, file, &metadata("@a/one"));
        assert_eq!(index.get(&digest, &FileStamp::of(&path).unwrap()), Some(metadata("@a/one")));
        for other in [
            FileStamp { bytes: file.bytes + 1, ..file },
            FileStamp { modified_ns: file.modified_ns + 1, ..file },
            FileStamp { changed_ns: file.changed_ns + 1, ..file },
        ] {
            assert_eq!(index.get::<Metadata>(&digest, &other), None, "{other:?}");
        }
    }

    #[test]
    fn an_index_that_is_damaged_or_of_another_format_is_an_empty_one() {
        let root = tempfile::tempdir().unwrap();
        let (one, file) = (Digest::of(b"one"), FileStamp { bytes: 3, modified_ns: 1, changed_ns: 2 });
        let mut index = ExtensionIndex::read(root.path());
        index.insert(one, file, &metadata("@a/one"));
        index.save([one].iter());
        let path = root.path().join(STATE_DIRECTORY).join("index.jsonl");
        let whole = fs::read_to_string(&path).unwrap();
        let known = |text: &str| {
            fs::write(&path, text).unwrap();
            ExtensionIndex::read(root.path()).get::<Metadata>(&one, &file)
        };
        assert!(known(&whole).is_some());
        for end in 0..whole.len() {
            assert_eq!(known(&whole[..end]), None, "the first {end} bytes");
        }
        assert_eq!(known(&whole.replacen("\"format\":3", "\"format\":4", 1)), None);
        assert_eq!(known(&whole.replace("@a/one", "one")), None);
    }
}
