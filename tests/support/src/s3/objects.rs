//! The objects of the bucket: a map whose every change is one step.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use peat_core::digest::Digest;

use super::multipart::Uploads;

/// Characters of an ETag.
const ETAG_CHARACTERS: usize = 32;

/// An object.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) bytes: Bytes,
    pub(super) etag: String,
    /// Since the Unix epoch.
    pub(super) modified_ms: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    objects: BTreeMap<String, Object>,
    frozen: Option<BTreeMap<String, Object>>,
    pub(super) uploads: Uploads,
}

/// One page of a listing.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) objects: Vec<(String, Object)>,
    pub(super) folded: BTreeSet<String>,
    pub(super) more: bool,
}

/// A condition that does not hold, as a code.
pub(super) type Unmet = &'static str;

impl Bucket {
    pub(super) fn get(&self, key: &str) -> Option<&Object> {
        self.objects.get(key)
    }

    /// Writes, and answers the ETag. Like those of real stores it is a hash of the content.
    pub(super) fn put(&mut self, key: &str, bytes: Bytes) -> String {
        let etag = etag_of(&bytes);
        self.put_with_etag(key, bytes, etag)
    }

    pub(super) fn put_with_etag(&mut self, key: &str, bytes: Bytes, etag: String) -> String {
        let object = Object { bytes, etag: etag.clone(), modified_ms: now_ms() };
        self.objects.insert(key.to_owned(), object);
        etag
    }

    /// Whether a write may happen. `if_match` is an ETag as the store compares it.
    pub(super) fn check(&self, key: &str, if_match: Option<&str>, if_none_match: bool) -> Result<(), Unmet> {
        match (self.objects.get(key), if_match) {
            (Some(_), None) if if_none_match => Err("PreconditionFailed"),
            (None, Some(_)) => Err("NoSuchKey"),
            (Some(object), Some(etag)) if object.etag != etag => Err("PreconditionFailed"),
            _ => Ok(()),
        }
    }

    pub(super) fn delete(&mut self, key: &str) {
        self.objects.remove(key);
    }

    pub(super) fn list(&self, prefix: &str, delimiter: bool, after: &str, at_most: usize) -> Page {
        let objects = self.frozen.as_ref().unwrap_or(&self.objects);
        let mut page = Page::default();
        let begin = if after > prefix { Bound::Excluded(after) } else { Bound::Included(prefix) };
        let below = objects.range::<str, _>((begin, Bound::Unbounded)).take_while(|(key, _)| key.starts_with(prefix));
        for (key, object) in below {
            let folded = key[prefix.len()..].find('/').filter(|_| delimiter);
            let folded = folded.map(|end| key[..prefix.len() + end + 1].to_owned());
            if folded.as_ref().is_some_and(|folded| page.folded.contains(folded) || folded.as_str() == after) {
                continue;
            }
            if page.objects.len() + page.folded.len() == at_most {
                page.more = true;
                break;
            }
            match folded {
                Some(folded) => drop(page.folded.insert(folded)),
                None => page.objects.push((key.clone(), object.clone())),
            }
        }
        page
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.objects.keys().cloned().collect()
    }

    pub(super) fn freeze(&mut self) {
        self.frozen = Some(self.objects.clone());
    }

    pub(super) fn thaw(&mut self) {
        self.frozen = None;
    }

    pub(super) fn damage(&mut self, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let object = self.objects.get_mut(key).unwrap_or_else(|| panic!("there is no object {key} to damage"));
        let mut bytes = object.bytes.to_vec();
        change(&mut bytes);
        object.bytes = bytes.into();
    }

    pub(super) fn open_uploads(&self) -> usize {
        self.uploads.open()
    }
}

pub(super) fn etag_of(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()[..ETAG_CHARACTERS].to_owned()
}

pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock of a test is after 1970");
    u64::try_from(since.as_millis()).expect("and before the year 584 million")
}
