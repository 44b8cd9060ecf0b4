//! What extensions cached a moment ago. A root that is leased, committed to and released is cached three times in a run:
//! only what is left in the end is written, and with the transaction that writes what the run is about.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Beyond this much nothing waits any more, in bytes of keys and contents.
const BYTES_MAX: usize = 512 * 1024;

/// Small contents of the cache that are not in the database yet, by key. They go with the process.
#[derive(Debug, Default)]
pub(super) struct WriteBehind(Mutex<Waiting>);

/// What waits, and its bytes.
#[derive(Debug, Default)]
struct Waiting {
    contents: BTreeMap<String, Vec<u8>>,
    bytes: usize,
}

impl WriteBehind {
    pub(super) fn is_empty(&self) -> bool {
        self.with(|waiting| waiting.contents.is_empty())
    }

    pub(super) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.with(|waiting| waiting.contents.get(key).cloned())
    }

    /// Answers whether too much waits now.
    pub(super) fn put(&self, key: &str, bytes: Vec<u8>) -> bool {
        self.with(|waiting| {
            waiting.remove(key);
            waiting.bytes += key.len() + bytes.len();
            waiting.contents.insert(key.to_owned(), bytes);
            waiting.bytes > BYTES_MAX
        })
    }

    pub(super) fn remove(&self, key: &str) {
        self.with(|waiting| waiting.remove(key));
    }

    /// All of it; nothing waits any more.
    pub(super) fn take(&self) -> BTreeMap<String, Vec<u8>> {
        self.with(std::mem::take).contents
    }

    fn with<T>(&self, step: impl FnOnce(&mut Waiting) -> T) -> T {
        step(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Waiting {
    fn remove(&mut self, key: &str) {
        if let Some(bytes) = self.contents.remove(key) {
            self.bytes -= key.len() + bytes.len();
        }
    }
}
