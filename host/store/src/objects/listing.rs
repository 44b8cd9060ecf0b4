//! Listing: keys in order, a page at a time, with bounded memory. Reads names and headers, never content.
//!
//! Siblings are visited in the order of their keys, in which a directory counts with its `/`; of each directory only as
//! many names as the page may still need are kept.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use cap_std::fs::Dir;
use peat_core::ports::{Listing, ObjectError, ObjectInfo};

use super::blocking::{Directory, of_io};
use super::file_format::{DAMAGED_ETAG, Inspected, inspect};
use super::key::{PRIVATE_DIRECTORY, SEGMENTS_MAX, check_segment, object_name, split_prefix};
use crate::clock;

/// Objects of a page.
const PAGE_OBJECTS: usize = 1_000;

impl Directory {
    pub(super) fn list(&self, prefix: &str, delimiter: bool, cursor: Option<&str>) -> Result<Listing, ObjectError> {
        let (directory, beginning) = split_prefix(prefix)?;
        let failed = |error: io::Error| of_io(prefix, &error);
        let mut page = Page { delimiter, after: cursor.unwrap_or_default(), objects: Vec::new() };
        let start = if directory.is_empty() { "." } else { directory };
        match self.root.open_dir(start) {
            Ok(opened) => {
                let above = if directory.is_empty() { String::new() } else { format!("{directory}/") };
                page.visit(&opened, &above, beginning, SEGMENTS_MAX).map_err(failed)?;
            }
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(failed(error)),
        }
        let more = page.objects.len() > PAGE_OBJECTS;
        page.objects.truncate(PAGE_OBJECTS);
        let cursor = page.objects.last().filter(|_| more).map(|object| object.key.clone());
        Ok(Listing { objects: page.objects, cursor, store_time_ms: self.now_ms() })
    }
}

struct Page<'a> {
    delimiter: bool,
    /// Keys up to this one were in earlier pages.
    after: &'a str,
    /// One more than fits, to know whether there is more.
    objects: Vec<ObjectInfo>,
}

/// What a name in a directory is. Keyed by the key it stands for, `/` included.
enum Sibling {
    Object(String),
    Deeper(String),
}

impl Page<'_> {
    /// Adds what lies in `directory`, whose keys begin with `above` and then `beginning`.
    fn visit(&mut self, directory: &Dir, above: &str, beginning: &str, depth: usize) -> io::Result<()> {
        let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
        // Names that turn out to be empty directories or gone leave room: then the next names are looked at.
        let mut passed: Option<String> = None;
        loop {
            let room = PAGE_OBJECTS + 1 - self.objects.len();
            let siblings = self.siblings(directory, above, beginning, passed.as_deref(), room)?;
            let all = siblings.len() < room;
            passed = siblings.last_key_value().map(|(key, _)| key.clone());
            for (key, sibling) in siblings {
                match sibling {
                    Sibling::Object(name) => self.objects.extend(describe(directory, &name, key)?),
                    Sibling::Deeper(name) => self.deeper(directory, &name, key, depth)?,
                }
                if self.objects.len() > PAGE_OBJECTS {
                    return Ok(());
                }
            }
            if all {
                return Ok(());
            }
        }
    }

    fn deeper(&mut self, directory: &Dir, name: &str, key: String, depth: usize) -> io::Result<()> {
        let opened = match directory.open_dir(name) {
            Ok(opened) => opened,
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        if !self.delimiter {
            return self.visit(&opened, &key, "", depth);
        }
        if key.as_str() > self.after && has_object(&opened, depth)? {
            self.objects.push(ObjectInfo { key, size: 0, etag: String::new(), modified_ms: 0 });
        }
        Ok(())
    }

    /// The first `most` names after `passed` that can hold keys of this page.
    fn siblings(
        &self,
        directory: &Dir,
        above: &str,
        beginning: &str,
        passed: Option<&str>,
        most: usize,
    ) -> io::Result<BTreeMap<String, Sibling>> {
        let mut siblings = BTreeMap::new();
        for entry in directory.entries()? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let is_directory = entry.file_type()?.is_dir();
            let (key, sibling) = match object_name(&name) {
                Some(object) if !is_directory => (format!("{above}{object}"), Sibling::Object(name)),
                None if is_directory
                    && check_segment(&name).is_ok()
                    && (!above.is_empty() || name != PRIVATE_DIRECTORY) =>
                {
                    (format!("{above}{name}/"), Sibling::Deeper(name))
                }
                _ => continue,
            };
            let wanted = key[above.len()..].starts_with(beginning) && self.may_follow(&key);
            if wanted && passed.is_none_or(|passed| key.as_str() > passed) {
                siblings.insert(key, sibling);
                if siblings.len() > most {
                    siblings.pop_last();
                }
            }
        }
        Ok(siblings)
    }

    /// Can `key`, or one below it, be after the cursor?
    fn may_follow(&self, key: &str) -> bool {
        key > self.after || (!self.delimiter && key.ends_with('/') && self.after.starts_with(key))
    }
}

/// The object in a file; none when it is gone meanwhile. A damaged one is listed, with an ETag of its own and without a
/// size: one damaged object must not hide the others.
fn describe(directory: &Dir, name: &str, key: String) -> io::Result<Option<ObjectInfo>> {
    let file: File = match directory.open(name) {
        Ok(file) => file.into_std(),
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let modified_ms = clock::milliseconds(metadata.modified()?);
    Ok(Some(match inspect(&file)? {
        Inspected::Whole(header) => ObjectInfo { key, size: header.length, etag: header.etag(), modified_ms },
        Inspected::Damaged(_) => ObjectInfo { key, size: 0, etag: DAMAGED_ETAG.to_owned(), modified_ms },
    }))
}

/// Is there any object in or below `directory`?
fn has_object(directory: &Dir, depth: usize) -> io::Result<bool> {
    let Some(depth) = depth.checked_sub(1) else { return Ok(false) };
    let mut deeper = Vec::new();
    for entry in directory.entries()? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if entry.file_type()?.is_dir() {
            deeper.push(name);
        } else if object_name(&name).is_some() {
            return Ok(true);
        }
    }
    for name in deeper {
        match directory.open_dir(&name) {
            Ok(opened) if has_object(&opened, depth)? => return Ok(true),
            Err(error) if !is_absent(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(false)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
