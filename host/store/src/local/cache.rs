//! What extensions may keep on this machine: bounded, least recently used goes first, may be gone at any time.

use std::collections::BTreeSet;
use std::io;
use std::sync::{MutexGuard, PoisonError};

use peat_core::content::{self, SharedContent};
use peat_core::ports::StoreError;
use rusqlite::{OptionalExtension, Row, Transaction};

use super::Inner;
use super::collect::delete_unreferenced;
use super::contents::{Prepared, ROW_BYTES_MAX, Stored, unreference};
use super::failure::Failure;
use super::statements::Cached as _;
use super::values::{digest_of, to_column};

/// A content larger than this part of the cache would push out too much.
const LARGEST_PART: u64 = 4;

/// Every so many small contents it is looked whether all fits, and what was used is written down: both cost more than one
/// such content, and so few of them exceed the bound by a megabyte.
const INSERTED_UNLOOKED: i64 = 16;

/// Keys whose use is remembered until the next write: reading never writes. Further ones count as not used.
const USES_REMEMBERED: usize = 1_024;

/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 1_024;

impl Inner {
    pub(super) fn cached(&self, key: &str) -> Result<Option<SharedContent>, StoreError> {
        if let Some(bytes) = self.behind.get(key) {
            return Ok((!bytes.is_empty()).then(|| content::in_memory(bytes)));
        }
        let found = self.read_at_once(|connection| {
            let sql = "SELECT size, bytes, digest FROM
                       (SELECT digest FROM cache WHERE key = ?1) LEFT JOIN contents USING (digest)";
            let both = |row: &Row<'_>| Ok((row.get::<_, Vec<u8>>(2)?, Stored::of(row)));
            let found = connection.query_row_cached(sql, [key], both).optional()?;
            found.map(|(digest, stored)| Ok((digest_of(&digest)?, stored.ok()))).transpose()
        })?;
        let Some((digest, stored)) = found else { return Ok(None) };
        let mut used = self.used();
        if used.len() < USES_REMEMBERED {
            used.insert(key.to_owned());
        }
        drop(used);
        match stored.map_or(Ok(None), |stored| self.checked(&digest, stored)) {
            // A cache that is damaged is a cache that is empty.
            Err(StoreError::Corrupt { .. }) => Ok(None),
            other => other,
        }
    }

    /// An empty content forgets what was kept. A small one is written with the next transaction that waits for no disk, or
    /// when the store is closed.
    pub(super) fn cache(&self, key: &str, content: &SharedContent) -> Result<(), StoreError> {
        let unreadable = |error: io::Error| {
            self.place.explain(Failure::Corrupt(format!("{key:?} for the cache"), error.to_string()))
        };
        if content.size() > self.settings.cache_bytes_max / LARGEST_PART || key.len() > KEY_BYTES_MAX {
            return Ok(());
        }
        if content.size() <= ROW_BYTES_MAX {
            let bytes = content::read_all(&**content, ROW_BYTES_MAX).map_err(unreadable)?;
            return if self.behind.put(key, bytes) { self.write_waiting() } else { Ok(()) };
        }
        let digest = content::digest(&**content).map_err(unreadable)?;
        let prepared = self.prepare(content, &digest, key).map_err(|failure| self.place.explain(failure))?;
        let sound = matches!(self.content(&digest), Ok(Some(_)));
        self.behind.remove(key);
        let evicted = self.write(|transaction| {
            let waited = self.insert_waiting(transaction)?;
            Ok(self.insert_cached(transaction, [(key, &prepared, !sound)])? || waited)
        })?;
        self.collect_evicted(evicted);
        Ok(())
    }

    /// Writes what waits for a transaction.
    pub(super) fn write_waiting(&self) -> Result<(), StoreError> {
        if self.behind.is_empty() { Ok(()) } else { self.write_refetchable(|_| Ok(())) }
    }

    /// Writes what waits, under the lock of the connection: nothing older ever replaces it. What the cache refuses costs the
    /// rest of the transaction nothing. Answers whether something was pushed out: `collect_evicted` comes after it.
    pub(super) fn insert_waiting(&self, transaction: &Transaction<'_>) -> Result<bool, Failure> {
        let waited = self.behind.take();
        if waited.is_empty() {
            return Ok(false);
        }
        // They become the newest anyway.
        self.used().retain(|key| !waited.contains_key(key));
        transaction.execute_cached("SAVEPOINT waited", ())?;
        let inserted = waited
            .into_iter()
            .map(|(key, bytes)| Ok((key, Prepared::of_row(bytes)?)))
            .collect::<Result<Vec<_>, Failure>>()
            .and_then(|waited| self.insert_cached(transaction, waited.iter().map(|(key, new)| (&**key, new, true))));
        if let Err(failure) = &inserted {
            tracing::debug!(?failure, "what was cached last is not kept");
            transaction.execute_cached("ROLLBACK TO waited", ())?;
        }
        transaction.execute_cached("RELEASE waited", ())?;
        Ok(inserted.unwrap_or(false))
    }

    fn insert_cached<'a>(
        &self,
        transaction: &Transaction<'_>,
        contents: impl IntoIterator<Item = (&'a str, &'a Prepared, bool)>,
    ) -> Result<bool, Failure> {
        let mut looks = false;
        for (key, prepared, replace) in contents {
            forget(transaction, key)?;
            if prepared.size() == 0 {
                continue;
            }
            self.insert(transaction, prepared, replace)?;
            let sql = "INSERT INTO cache (key, digest, size, used)
                       VALUES (?1, ?2, ?3, (SELECT coalesce(max(used), 0) + 1 FROM cache)) RETURNING used";
            let row = (key, prepared.digest().as_bytes(), prepared.size());
            let used: i64 = transaction.query_row_cached(sql, row, |row| row.get(0))?;
            looks |= used % INSERTED_UNLOOKED == 0 || prepared.size().unsigned_abs() > ROW_BYTES_MAX;
        }
        if !looks {
            return Ok(false);
        }
        self.write_down_uses(transaction)?;
        evict(transaction, to_column("a cache of", self.settings.cache_bytes_max)?)
    }

    /// What fails here is marked, and collected another time.
    pub(super) fn collect_evicted(&self, evicted: bool) {
        if evicted && let Err(error) = self.collect_unreferenced() {
            tracing::debug!(%error, "what the cache pushed out is not collected yet");
        }
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

/// A content in a row goes at once: every run replaces the head it had cached, and few machines are ever collected. A file
/// may only go in a transaction that does nothing else.
fn forget(transaction: &Transaction<'_>, key: &str) -> Result<(), Failure> {
    let sql = "DELETE FROM cache WHERE key = ?1 RETURNING digest";
    let digest = transaction.query_row_cached(sql, [key], |row| row.get::<_, Vec<u8>>(0)).optional()?;
    let Some(digest) = digest else { return Ok(()) };
    match delete_unreferenced(transaction, &digest, false)? {
        Some(_) => Ok(()),
        None => unreference(transaction, &digest),
    }
}
