//! What the last commands of this machine cost. Nothing depends on it: it may be lost with the machine.

use std::sync::atomic::{AtomicU64, Ordering};

use peat_core::ports::StoreError;
use peat_core::statistics::{CacheUse, CommandRecord};
use rusqlite::Connection;

use super::SqliteStore;
use super::failure::Failure;
use super::statements::Cached as _;
use super::values::to_column;

/// Commands that are remembered, the newest: a few days of a busy machine, some hundred KiB.
pub const COMMANDS_MAX: u32 = 1_000;

/// What this process has done with the store since it opened it.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) replica_hits: AtomicU64,
    pub(super) replica_misses: AtomicU64,
    pub(super) contents: AtomicU64,
    pub(super) content_bytes: AtomicU64,
}

impl Usage {
    /// Content came to this machine.
    pub(super) fn came(&self, bytes: u64) {
        self.contents.fetch_add(1, Ordering::Relaxed);
        self.content_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// An extension looked for something it had kept.
    pub(super) fn looked(&self, found: bool) {
        let count = if found { &self.replica_hits } else { &self.replica_misses };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl SqliteStore {
    /// How often extensions found in the cache what they looked for, since this process opened the store.
    pub fn replica_use(&self) -> CacheUse {
        let usage = &self.inner.usage;
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        CacheUse { hits: count(&usage.replica_hits), misses: count(&usage.replica_misses) }
    }

    /// Contents that came from a datastore, and their bytes, since this process opened the store.
    pub fn hydrated(&self) -> (u64, u64) {
        let usage = &self.inner.usage;
        (usage.contents.load(Ordering::Relaxed), usage.content_bytes.load(Ordering::Relaxed))
    }

    /// Remembers a command, and forgets those that are more than [`COMMANDS_MAX`]. One transaction that waits for no disk.
    pub fn record_command(&self, record: &CommandRecord) -> Result<(), StoreError> {
        self.inner.write_refetchable(|transaction| {
            let text = serde_json::to_string(record)?;
            let began_at = to_column("a time of", record.began_at_ms)?;
            let sql = "INSERT INTO commands (began_at_ms, record) VALUES (?1, ?2)";
            transaction.execute_cached(sql, (began_at, text))?;
            let oldest = transaction.last_insert_rowid().saturating_sub(i64::from(COMMANDS_MAX));
            transaction.execute_cached("DELETE FROM commands WHERE sequence <= ?1", [oldest])?;
            Ok(())
        })
    }

    /// The commands that ended last and began at `since_ms` or later, at most `limit`, the newest first.
    pub fn commands(&self, since_ms: u64, limit: u32) -> Result<Vec<CommandRecord>, StoreError> {
        self.inner.read(|connection| read(connection, since_ms, limit))
    }
}

fn read(connection: &Connection, since_ms: u64, limit: u32) -> Result<Vec<CommandRecord>, Failure> {
    let sql = "SELECT record FROM commands WHERE began_at_ms >= ?1 ORDER BY sequence DESC LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let since = i64::try_from(since_ms).unwrap_or(i64::MAX);
    let rows = statement.query_map((since, limit), |row| row.get::<_, String>(0))?;
    rows.map(|row| Ok(serde_json::from_str(&row?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreSettings;

    #[test]
    fn the_newest_commands_are_remembered_and_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path(), StoreSettings::default()).unwrap();
        for began_at_ms in 0..u64::from(COMMANDS_MAX) + 7 {
            let record = CommandRecord { began_at_ms, command: "data gc".to_owned(), ..CommandRecord::default() };
            store.record_command(&record).unwrap();
        }
        let all = store.commands(0, u32::MAX).unwrap();
        assert_eq!(all.len(), COMMANDS_MAX as usize);
        assert_eq!((all[0].began_at_ms, all[999].began_at_ms), (1_006, 7));
        assert_eq!(store.commands(1_000, u32::MAX).unwrap().len(), 7);
        assert_eq!(store.commands(0, 3).unwrap().last().unwrap().began_at_ms, 1_004);
    }
}
