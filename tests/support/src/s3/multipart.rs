//! Uploads in parts.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::objects::etag_of;

/// Least size of a part that is not the last, in bytes.
const PART_BYTES_MIN: usize = 5 * 1024 * 1024;

/// Uploads that are neither completed nor given up.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    begun: u64,
    open: BTreeMap<String, BTreeMap<u32, Bytes>>,
}

impl Uploads {
    pub(super) fn begin(&mut self) -> String {
        self.begun += 1;
        let id = format!("upload-{}", self.begun);
        self.open.insert(id.clone(), BTreeMap::new());
        id
    }

    /// Keeps a part; its ETag.
    pub(super) fn part(&mut self, id: &str, number: u32, bytes: Bytes) -> Result<String, &'static str> {
        let etag = etag_of(&bytes);
        self.open.get_mut(id).ok_or("NoSuchUpload")?.insert(number, bytes);
        Ok(etag)
    }

    /// The whole object and its ETag, when `parts` (number and ETag) are those that are there.
    pub(super) fn joined(&self, id: &str, parts: &[(u32, String)]) -> Result<(Bytes, String), &'static str> {
        let kept = self.open.get(id).ok_or("NoSuchUpload")?;
        let mut whole = BytesMut::new();
        let mut etags = String::new();
        for (index, (number, etag)) in parts.iter().enumerate() {
            let bytes = kept.get(number).filter(|bytes| etag_of(bytes) == *etag).ok_or("InvalidPart")?;
            if index + 1 < parts.len() && bytes.len() < PART_BYTES_MIN {
                return Err("EntityTooSmall");
            }
            whole.extend_from_slice(bytes);
            etags.push_str(etag);
        }
        if parts.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err("InvalidPartOrder");
        }
        Ok((whole.freeze(), format!("{}-{}", etag_of(etags.as_bytes()), parts.len())))
    }

    pub(super) fn end(&mut self, id: &str) -> bool {
        self.open.remove(id).is_some()
    }

    pub(super) fn open(&self) -> usize {
        self.open.len()
    }
}
