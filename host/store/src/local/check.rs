//! Examining this machine's store: the database, and whether every content is there and is what was written.

use peat_core::digest::Digest;
use peat_core::ports::StoreError;
use rusqlite::Connection;

use super::SqliteStore;
use super::failure::Failure;
use super::values::digest_of;

/// Contents looked at in one transaction.
const BATCH: u32 = 1_000;

/// Faults told; a store that has more is beyond repair.
const FAULTS_MAX: usize = 1_000;

/// A content as its row describes it: digest, size, and whether it is in a file.
type Row = (Vec<u8>, i64, bool);

impl SqliteStore {
    /// What is wrong with the store; nothing when all is well. Costs a look at every content; with `read_data` each is read,
    /// too, and compared with its digest.
    pub fn check(&self, read_data: bool) -> Result<Vec<String>, StoreError> {
        let mut faults = self.inner.read(|connection| {
            let mut statement = connection.prepare("PRAGMA quick_check")?;
            let lines = statement.query_map((), |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
            Ok(lines.into_iter().filter(|line| line != "ok").collect::<Vec<_>>())
        })?;
        let mut after = Vec::new();
        loop {
            let batch = self.inner.read(|connection| rows(connection, &after))?;
            let Some((last, ..)) = batch.last() else { return Ok(faults) };
            after.clone_from(last);
            for (digest, size, in_file) in &batch {
                if faults.len() >= FAULTS_MAX {
                    return Ok(faults);
                }
                faults.extend(self.fault_of(digest, size.unsigned_abs(), *in_file, read_data)?);
            }
        }
    }

    fn fault_of(&self, digest: &[u8], size: u64, in_file: bool, read_data: bool) -> Result<Option<String>, StoreError> {
        let Ok(digest) = digest_of(digest) else {
            return Ok(Some("a content has no digest".to_owned()));
        };
        if in_file && !self.inner.files.has(&digest, size) {
            // It may have been collected since its row was read.
            let is_there = self.inner.read(|connection| Ok(exists(connection, &digest)?))?;
            return Ok(is_there.then(|| format!("content {digest}: its file does not exist, or has another length")));
        }
        if !read_data {
            return Ok(None);
        }
        match self.inner.content(&digest) {
            Ok(_) => Ok(None),
            Err(StoreError::Corrupt { subject, reason, .. }) => Ok(Some(format!("{subject}: {reason}"))),
            Err(error) => Err(error),
        }
    }
}

fn rows(connection: &Connection, after: &[u8]) -> Result<Vec<Row>, Failure> {
    let sql = "SELECT digest, size, bytes IS NULL FROM contents WHERE digest > ?1 ORDER BY digest LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((after, BATCH), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn exists(connection: &Connection, digest: &Digest) -> Result<bool, rusqlite::Error> {
    connection.prepare_cached("SELECT 1 FROM contents WHERE digest = ?1")?.exists([digest.as_bytes()])
}
