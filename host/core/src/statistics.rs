//! What a command cost, as it is kept on its machine for `peat stats` and `peat datastore lock history`.

use serde::{Deserialize, Serialize};

use crate::hold::HoldRecord;

/// Requests to the object store under a datastore, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Requests {
    /// Objects read whole, or asked for in vain.
    pub reads: u64,
    /// Parts of objects read.
    pub range_reads: u64,
    /// Objects written.
    pub writes: u64,
    /// Objects copied inside the store.
    pub copies: u64,
    /// Pages of listings.
    pub listings: u64,
    /// Deletions, each of many objects.
    pub deletions: u64,
}

impl Requests {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.reads + self.range_reads + self.writes + self.copies + self.listings + self.deletions
    }
}

/// How often something was found in a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CacheUse {
    /// It was there.
    pub hits: u64,
    /// It was not.
    pub misses: u64,
}

/// One command that used a datastore or ran a method. JSON in the local store.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CommandRecord {
    /// The command, without the values of its options.
    pub command: String,
    /// Its process.
    pub pid: u32,
    /// When it began, by the wall clock, milliseconds since the Unix epoch.
    pub began_at_ms: u64,
    /// How long it took.
    pub duration_ms: u64,
    /// How it ended.
    pub exit_code: u8,
    /// The datastore: `local`, or the name of its extension.
    pub datastore: String,
    /// What it asked of the object store.
    pub requests: Requests,
    /// Bytes of objects that were written.
    pub bytes_sent: u64,
    /// Bytes of objects that were read.
    pub bytes_received: u64,
    /// Contents that came to this machine.
    pub hydrated: u64,
    /// Their bytes.
    pub hydrated_bytes: u64,
    /// Extensions that were loaded: from the cache of compiled ones, or compiled.
    pub compiled: CacheUse,
    /// What the datastore extension looked for in its replica.
    pub replica: CacheUse,
    /// What it held; the first ones.
    pub holds: Vec<HoldRecord>,
}
