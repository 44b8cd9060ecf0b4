//! The `local` datastore's own collection: versions whose lifetime is over leave, and the database shrinks.

use std::collections::BTreeSet;

use peat_core::entry::VersionReference;
use peat_core::identifiers::{DataName, PartitionName, Version};
use peat_core::ports::StoreError;
use rusqlite::Connection;

use super::SqliteStore;
use super::commit::remove_version;
use super::failure::Failure;
use super::values::from_column;

/// Versions that leave in one transaction: other processes wait meanwhile.
const BATCH: u32 = 500;

/// A version whose lifetime is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiredVersion {
    /// Its partition.
    pub partition: PartitionName,
    /// Its name and number.
    pub reference: VersionReference,
    /// Bytes of its content.
    pub size: u64,
}

impl SqliteStore {
    /// `local` datastore: versions whose lifetime was over at `now_ms`, of some partitions or all. They leave, unless it is a
    /// dry run; their content goes with the next `collect`, where nothing else refers to it. Costs what is over.
    pub fn expire(
        &self,
        now_ms: u64,
        partitions: Option<&BTreeSet<PartitionName>>,
        dry_run: bool,
    ) -> Result<Vec<ExpiredVersion>, StoreError> {
        let mut expired = Vec::new();
        let mut after = (i64::MIN, String::new(), String::new(), 0);
        loop {
            let batch = self.inner.read(|connection| over(connection, now_ms, &after))?;
            let Some((last, _)) = batch.last() else { return Ok(expired) };
            after = last.clone();
            let wanted = |version: &ExpiredVersion| partitions.is_none_or(|wanted| wanted.contains(&version.partition));
            let batch: Vec<ExpiredVersion> =
                batch.into_iter().map(|(_, version)| version).filter(|version| wanted(version)).collect();
            if !dry_run {
                self.inner.write(|transaction| {
                    batch.iter().try_for_each(|version| {
                        remove_version(transaction, &version.partition, &version.reference, &mut Vec::new())
                    })
                })?;
            }
            expired.extend(batch);
        }
    }

    /// Gives room that is free within the database back to the file system. Answers the bytes. Waits for other processes up
    /// to the busy timeout.
    pub fn shrink(&self) -> Result<u64, StoreError> {
        let inner = &self.inner;
        let explain = |failure| inner.place.explain(failure);
        let connection = inner.connection();
        let pages = |connection: &Connection| -> Result<u64, Failure> {
            let count: i64 = connection.query_row("PRAGMA page_count", (), |row| row.get(0))?;
            let size: i64 = connection.query_row("PRAGMA page_size", (), |row| row.get(0))?;
            from_column(count.saturating_mul(size))
        };
        let before = pages(&connection).map_err(explain)?;
        connection.execute_batch("VACUUM").map_err(|error| explain(Failure::Sqlite(error)))?;
        // The log is cut as far as no reader needs it.
        let cut = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()));
        cut.map_err(|error| explain(Failure::Sqlite(error)))?;
        Ok(before.saturating_sub(pages(&connection).map_err(explain)?))
    }
}

/// Where a batch ended: expiry, partition, name, version.
type Position = (i64, String, String, i64);

fn over(connection: &Connection, now_ms: u64, after: &Position) -> Result<Vec<(Position, ExpiredVersion)>, Failure> {
    let sql = "SELECT expires_at_ms, partition, name, version, size FROM entries
               WHERE expires_at_ms <= ?1 AND (expires_at_ms, partition, name, version) > (?2, ?3, ?4, ?5)
               ORDER BY expires_at_ms, partition, name, version LIMIT ?6";
    let now = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((now, after.0, &after.1, &after.2, after.3, BATCH), |row| {
        let position: Position = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok((position, row.get::<_, i64>(4)?))
    })?;
    rows.map(|row| {
        let (position, size) = row?;
        let (partition, name) = (PartitionName::parse(&position.1)?, DataName::parse(&position.2)?);
        let reference = VersionReference { name, version: Version(from_column(position.3)?) };
        Ok((position, ExpiredVersion { partition, reference, size: from_column(size)? }))
    })
    .collect()
}
