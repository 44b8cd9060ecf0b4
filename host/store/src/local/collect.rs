//! Deletes content that nothing refers to, and what dead processes left. Costs what is deleted, not what is stored.
//!
//! A content goes in a transaction of its own, after the one in which the last reference went: its file is deleted
//! before that transaction is committed, while no other process can write, so a file never goes while a row that
//! somebody refers to names it, and a crash leaves the mark for the next time.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use peat_core::content;
use peat_core::digest::Digest;
use peat_core::ports::StoreError;
use rusqlite::{OptionalExtension, Transaction};

use super::Inner;
use super::failure::Failure;
use super::statements::Cached as _;
use super::values::{digest_of, from_column};
use crate::file_content::FileContent;
use crate::temporary_file::{Leftover, leftovers};

/// Contents looked at in one transaction: other processes wait meanwhile.
const BATCH: u32 = 128;

impl Inner {
    pub(super) fn collect(&self) -> Result<u64, StoreError> {
        let swept = self.sweep(self.settings.leftover_age)?;
        if !self.used().is_empty() {
            self.write(|transaction| self.write_down_uses(transaction))?;
        }
        Ok(swept + self.collect_unreferenced()?)
    }

    /// Deletes marked contents that nothing refers to. Answers bytes freed.
    pub(super) fn collect_unreferenced(&self) -> Result<u64, StoreError> {
        let mut freed = 0;
        loop {
            let marked = self.read(|connection| {
                let mut statement = connection.prepare_cached("SELECT digest FROM unreferenced LIMIT ?1")?;
                let rows = statement.query_map([BATCH], |row| row.get::<_, Vec<u8>>(0))?;
                Ok(rows.collect::<Result<Vec<_>, _>>()?)
            })?;
            if marked.is_empty() {
                return Ok(freed);
            }
            freed += self.write(|transaction| {
                marked.iter().try_fold(0, |freed, digest| Ok(freed + self.collect_one(transaction, digest)?))
            })?;
        }
    }

    fn collect_one(&self, transaction: &Transaction<'_>, digest: &[u8]) -> Result<u64, Failure> {
        transaction.execute_cached("DELETE FROM unreferenced WHERE digest = ?1", [digest])?;
        let Some((size, in_file)) = delete_unreferenced(transaction, digest, true)? else { return Ok(0) };
        if in_file {
            self.files.remove(&digest_of(digest)?)?;
        }
        from_column(size)
    }

    /// Deletes temporary files of dead writers, and the places they had given to files without committing the row.
    pub(super) fn sweep(&self, age: Duration) -> Result<u64, StoreError> {
        let explain = |failure| self.place.explain(failure);
        let of_spool = |error| explain(Failure::File("spool".into(), error));
        let mut freed = 0;
        for leftover in leftovers(&self.files.spool, age).map_err(of_spool)? {
            let Leftover { name, file } = leftover;
            let metadata = file.metadata().map_err(of_spool)?;
            freed += metadata.len();
            if metadata.nlink() > 1 {
                let content = FileContent::new(file.try_clone().map_err(of_spool)?, 0, metadata.len());
                let digest = content::digest(&content).map_err(of_spool)?;
                freed -= self.remove_unless_stored(&digest, metadata.len())?;
            }
            // Locked by us until here, so nobody else removes it or takes it for a leftover.
            let _ = self.files.spool.remove_file(&name);
        }
        Ok(freed)
    }

    /// Answers how many of the bytes are in use.
    fn remove_unless_stored(&self, digest: &Digest, size: u64) -> Result<u64, StoreError> {
        self.write(|transaction| {
            let sql = "SELECT 1 FROM contents WHERE digest = ?1";
            if transaction.query_row_cached(sql, [digest.as_bytes()], |_| Ok(())).optional()?.is_some() {
                return Ok(size);
            }
            self.files.remove(digest)?;
            Ok(0)
        })
    }
}

/// Deletes a content that nothing refers to, one that has a file only with `files`. Answers its size in bytes and whether it
/// has a file, which is the caller's to delete.
pub(super) fn delete_unreferenced(
    transaction: &Transaction<'_>,
    digest: &[u8],
    files: bool,
) -> Result<Option<(i64, bool)>, Failure> {
    let sql = "DELETE FROM contents WHERE digest = ?1 AND (?2 OR bytes IS NOT NULL)
               AND NOT EXISTS (SELECT 1 FROM entries WHERE digest = ?1)
               AND NOT EXISTS (SELECT 1 FROM pending_entries WHERE digest = ?1)
               AND NOT EXISTS (SELECT 1 FROM cache WHERE digest = ?1)
               RETURNING size, bytes IS NULL";
    let row = (digest, files);
    Ok(transaction.query_row_cached(sql, row, |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}
