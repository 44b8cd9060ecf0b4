//! What the indexes below `.peat` have in common: lines of JSON, of which the first says the format, and what is noted of a file
//! so that it is opened again only when it has changed.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What the file system says of a file, without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FileStamp {
    /// Its length.
    pub(crate) bytes: u64,
    /// When its content was changed last, in nanoseconds since 1970.
    pub(super) modified_ns: i64,
    /// When anything of it was changed last. Nobody can set it, so that a file that was exchanged has another one.
    pub(super) changed_ns: i64,
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

/// The first line of an index.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) format: u32,
}

/// A value as a line of JSON.
pub(super) fn line(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).expect("what is in the index always serialises");
    text.push('\n');
    text
}
