//! What extensions may keep on this machine: bounded, least recently used goes first, may be gone at any time.

use peat_core::content::{self, SharedContent};
use peat_core::ports::StoreError;
use rusqlite::{OptionalExtension, Transaction};

use super::Inner;
use super::contents::unreference;
use super::failure::Failure;
use super::values::{digest_of, to_column};

/// A content larger than this part of the cache would push out too much.
const LARGEST_PART: u64 = 4;

/// Uses of other keys before a use is written down again: reading should rarely write.
const USES_UNNOTED: i64 = 64;

/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 1_024;

impl Inner {
    pub(super) fn cached(&self, key: &str) -> Result<Option<SharedContent>, StoreError> {
        let found = self.read(|connection| {
            let sql = "SELECT digest, used + ?2 < (SELECT max(used) FROM cache) FROM cache WHERE key = ?1";
            let row = connection
                .query_row(sql, (key, USES_UNNOTED), |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, bool>(1)?)))
                .optional()?;
            row.map(|(digest, stale)| Ok((digest_of(&digest)?, stale))).transpose()
        })?;
        let Some((digest, stale)) = found else { return Ok(None) };
        let content = match self.content(&digest) {
            // A cache that is damaged is a cache that is empty.
            Err(StoreError::Corrupt { .. }) => None,
            other => other?,
        };
        if stale {
            let touched = self.write(|transaction| {
                let sql = "UPDATE cache SET used = (SELECT max(used) + 1 FROM cache) WHERE key = ?1";
                Ok(transaction.execute(sql, [key])?)
            });
            if let Err(error) = touched {
                tracing::debug!(%error, "a use of the cache was not written down");
            }
        }
        Ok(content)
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
        let evicted = self.write(|transaction| {
            self.insert(transaction, &prepared, !sound)?;
            forget(transaction, key)?;
            let sql = "INSERT INTO cache (key, digest, size, used)
                       VALUES (?1, ?2, ?3, (SELECT coalesce(max(used), 0) + 1 FROM cache))";
            let size = to_column("a size of", content.size())?;
            transaction.execute(sql, (key, digest.as_bytes(), size))?;
            evict(transaction, to_column("a cache of", most)?)
        })?;
        if evicted { self.collect_unreferenced().map(|_| ()) } else { Ok(()) }
    }
}

/// Deletes the least recently used until the rest fits. Answers whether anything went.
fn evict(transaction: &Transaction<'_>, most: i64) -> Result<bool, Failure> {
    let mut total: i64 = transaction.query_row("SELECT coalesce(sum(size), 0) FROM cache", (), |row| row.get(0))?;
    let mut evicted = false;
    while total > most {
        let sql = "SELECT key, size FROM cache ORDER BY used LIMIT 1";
        let (key, size): (String, i64) = transaction.query_row(sql, (), |row| Ok((row.get(0)?, row.get(1)?)))?;
        forget(transaction, &key)?;
        total -= size;
        evicted = true;
    }
    Ok(evicted)
}

fn forget(transaction: &Transaction<'_>, key: &str) -> Result<(), Failure> {
    let sql = "DELETE FROM cache WHERE key = ?1 RETURNING digest";
    let digest = transaction.query_row(sql, [key], |row| row.get::<_, Vec<u8>>(0)).optional()?;
    digest.map_or(Ok(()), |digest| unreference(transaction, &digest))
}
