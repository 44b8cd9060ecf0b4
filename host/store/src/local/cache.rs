//! What extensions may keep on this machine: bounded, least recently used goes first, may be gone at any time.

use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};

use peat_core::content::{self, SharedContent};
use peat_core::ports::StoreError;
use rusqlite::{OptionalExtension, Transaction};

use super::Inner;
use super::contents::unreference;
use super::failure::Failure;
use super::statements::Cached as _;
use super::values::{digest_of, to_column};

/// A content larger than this part of the cache would push out too much.
const LARGEST_PART: u64 = 4;

/// Keys whose use is remembered until the next write: reading never writes. Further ones count as not used.
const USES_REMEMBERED: usize = 1_024;

/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 1_024;

impl Inner {
    pub(super) fn cached(&self, key: &str) -> Result<Option<SharedContent>, StoreError> {
        let digest = self.read(|connection| {
            let sql = "SELECT digest FROM cache WHERE key = ?1";
            let digest = connection.query_row_cached(sql, [key], |row| row.get::<_, Vec<u8>>(0)).optional()?;
            digest.map(|digest| digest_of(&digest)).transpose()
        })?;
        let Some(digest) = digest else { return Ok(None) };
        let mut used = self.used();
        if used.len() < USES_REMEMBERED {
            used.insert(key.to_owned());
        }
        drop(used);
        match self.content(&digest) {
            // A cache that is damaged is a cache that is empty.
            Err(StoreError::Corrupt { .. }) => Ok(None),
            other => other,
        }
    }

    pub(super) fn cache(&self, key: &str, content: &SharedContent) -> Result<(), StoreError> {
        let explain = |failure| self.place.explain(failure);
        let most = self.settings.cache_bytes_max;
        if content.size() > most / LARGEST_PART || key.len() > KEY_BYTES_MAX {
            return Ok(());
        }
        let digest = content::digest(&**content)
            .map_err(|error| explain(Failure::Corrupt(format!("{key:?} for the cache"), error.to_string())))?;
        let prepared = self.prepare(content, &digest, key).map_err(explain)?;
        let sound = matches!(self.content(&digest), Ok(Some(_)));
        let evicted = self.write_pulled([&prepared], |transaction| {
            self.insert(transaction, &prepared, !sound)?;
            self.write_down_uses(transaction)?;
            forget(transaction, key)?;
            let sql = "INSERT INTO cache (key, digest, size, used)
                       VALUES (?1, ?2, ?3, (SELECT coalesce(max(used), 0) + 1 FROM cache))";
            let size = to_column("a size of", content.size())?;
            transaction.execute_cached(sql, (key, digest.as_bytes(), size))?;
            evict(transaction, to_column("a cache of", most)?)
        })?;
        if evicted { self.collect_unreferenced().map(|_| ()) } else { Ok(()) }
    }
}

impl Inner {
    /// What was used since the last write counts as newer than all that was not.
    pub(super) fn write_down_uses(&self, transaction: &Transaction<'_>) -> Result<(), Failure> {
        for key in std::mem::take(&mut *self.used()) {
            let sql = "UPDATE cache SET used = (SELECT max(used) + 1 FROM cache) WHERE key = ?1";
            transaction.execute_cached(sql, [key])?;
        }
        Ok(())
    }

    pub(super) fn used(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Deletes the least recently used until the rest fits. Answers whether anything went.
fn evict(transaction: &Transaction<'_>, most: i64) -> Result<bool, Failure> {
    let mut total: i64 =
        transaction.query_row_cached("SELECT coalesce(sum(size), 0) FROM cache", (), |row| row.get(0))?;
    let mut evicted = false;
    while total > most {
        let sql = "SELECT key, size FROM cache ORDER BY used LIMIT 1";
        let (key, size): (String, i64) = transaction.query_row_cached(sql, (), |row| Ok((row.get(0)?, row.get(1)?)))?;
        forget(transaction, &key)?;
        total -= size;
        evicted = true;
    }
    Ok(evicted)
}

fn forget(transaction: &Transaction<'_>, key: &str) -> Result<(), Failure> {
    let sql = "DELETE FROM cache WHERE key = ?1 RETURNING digest";
    let digest = transaction.query_row_cached(sql, [key], |row| row.get::<_, Vec<u8>>(0)).optional()?;
    digest.map_or(Ok(()), |digest| unreference(transaction, &digest))
}
