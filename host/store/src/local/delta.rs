//! News of a shared datastore.
//!
//! A replacement may come in several pages. What its pages have named so far is kept in a temporary table of the
//! connection, so it vanishes with the process, and what the last page leaves unnamed is deleted with that page: a
//! replacement that was broken off never looks like loss. Two pulls of one partition in one process must not overlap.

use peat_core::entry::VersionReference;
use peat_core::identifiers::PartitionName;
use peat_core::ports::{DeltaMode, PartitionDelta, PulledEntry, StoreError};
use rusqlite::{Connection, OptionalExtension, Transaction};

use super::Inner;
use super::commit::{insert_entry, remove_version};
use super::contents::Prepared;
use super::failure::Failure;
use super::statements::Cached as _;
use super::values::to_column;

/// What pages of unfinished replacements have named. `target` is the version that the partition will have.
pub(super) const PROGRESS: &str = "
    CREATE TEMP TABLE replacing (
        partition TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY (partition, target)
    ) STRICT, WITHOUT ROWID;
    CREATE TEMP TABLE named (
        partition TEXT NOT NULL, target TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
        PRIMARY KEY (partition, target, name, version)
    ) STRICT, WITHOUT ROWID;
";

impl Inner {
    /// What only changed, a thousand partitions a page, is one transaction.
    pub(super) fn apply_all(&self, deltas: &[PartitionDelta]) -> Result<(), StoreError> {
        let (changed, news): (Vec<_>, Vec<_>) = deltas.iter().partition(|delta| delta.mode == DeltaMode::Changed);
        if !changed.is_empty() {
            self.write_refetchable(|transaction| {
                changed.iter().try_for_each(|delta| set_unread(transaction, &delta.partition, &delta.version))
            })?;
        }
        news.into_iter().try_for_each(|delta| self.apply(delta))
    }

    pub(super) fn apply(&self, delta: &PartitionDelta) -> Result<(), StoreError> {
        if delta.mode == DeltaMode::Changed {
            return self.apply_all(std::slice::from_ref(delta));
        }
        let prepared = self.prepare_pulled(delta).map_err(|failure| self.place.explain(failure))?;
        self.write_pulled(prepared.iter().flatten(), |transaction| {
            let replaces = in_replacement(transaction, delta)?;
            for (PulledEntry { entry, .. }, content) in delta.entries.iter().zip(&prepared) {
                if let Some(content) = content {
                    self.insert(transaction, content, false)?;
                }
                insert_entry(transaction, &delta.partition, entry)?;
                if replaces {
                    let reference = &entry.description.name;
                    let sql = "INSERT OR IGNORE INTO named VALUES (?1, ?2, ?3, ?4)";
                    let version = to_column("a version of", entry.version.0)?;
                    let row = (delta.partition.as_str(), &delta.version, reference.as_str(), version);
                    transaction.execute_cached(sql, row)?;
                }
            }
            for reference in &delta.removed {
                forget(transaction, delta, reference)?;
            }
            if delta.continues {
                return Ok(());
            }
            if replaces {
                delete_unnamed(transaction, delta)?;
            }
            set_known(transaction, &delta.partition, &delta.version)?;
            mark_read(transaction, &delta.partition)
        })
    }

    fn prepare_pulled(&self, delta: &PartitionDelta) -> Result<Vec<Option<Prepared>>, Failure> {
        let prepare = |pulled: &PulledEntry| {
            let description = &pulled.entry.description;
            let content = pulled.content.as_ref();
            content.map(|content| self.prepare(content, &description.digest, description.name.as_str())).transpose()
        };
        delta.entries.iter().map(prepare).collect()
    }
}

/// Does this page belong to a replacement, perhaps as its first page? Later pages may call themselves either mode. A
/// replacement with the version that is known already is only added: it cannot lack anything that is here.
fn in_replacement(transaction: &Transaction<'_>, delta: &PartitionDelta) -> Result<bool, Failure> {
    let key = (delta.partition.as_str(), &delta.version);
    let sql = "SELECT 1 FROM replacing WHERE partition = ?1 AND target = ?2";
    if transaction.query_row_cached(sql, key, |_| Ok(())).optional()?.is_some() {
        return Ok(true);
    }
    let known = known_version(transaction, &delta.partition)?;
    if delta.mode == DeltaMode::Extend || known.as_ref() == Some(&delta.version) {
        return Ok(false);
    }
    transaction.execute_cached("INSERT INTO replacing VALUES (?1, ?2)", key)?;
    Ok(true)
}

fn forget(transaction: &Transaction<'_>, delta: &PartitionDelta, reference: &VersionReference) -> Result<(), Failure> {
    remove_version(transaction, &delta.partition, reference, &mut Vec::new())
}

fn delete_unnamed(transaction: &Transaction<'_>, delta: &PartitionDelta) -> Result<(), Failure> {
    let key = (delta.partition.as_str(), &delta.version);
    let unnamed = "partition = ?1 AND NOT EXISTS (SELECT 1 FROM named WHERE named.partition = ?1 AND
                   named.target = ?2 AND named.name = entries.name AND named.version = entries.version)";
    let sql = format!("INSERT OR IGNORE INTO unreferenced SELECT digest FROM entries WHERE {unnamed}");
    transaction.execute_cached(&sql, key)?;
    transaction.execute_cached(&format!("DELETE FROM entries WHERE {unnamed}"), key)?;
    for table in ["named", "replacing"] {
        transaction.execute_cached(&format!("DELETE FROM {table} WHERE partition = ?1 AND target = ?2"), key)?;
    }
    Ok(())
}

/// The versions of partitions last applied or confirmed.
pub(super) fn known(connection: &Connection, partitions: &[PartitionName]) -> Result<Vec<Option<String>>, Failure> {
    partitions.iter().map(|partition| known_version(connection, partition)).collect()
}

fn known_version(connection: &Connection, partition: &PartitionName) -> Result<Option<String>, Failure> {
    let sql = "SELECT known FROM partitions WHERE name = ?1";
    Ok(connection.query_row_cached(sql, [partition.as_str()], |row| row.get(0)).optional()?.flatten())
}

/// The partition has news that are not here.
fn set_unread(transaction: &Transaction<'_>, partition: &PartitionName, version: &str) -> Result<(), Failure> {
    let sql = "INSERT INTO partitions (name, unread) VALUES (?1, ?2)
               ON CONFLICT (name) DO UPDATE SET unread = excluded.unread";
    transaction.execute_cached(sql, (partition.as_str(), version))?;
    Ok(())
}

/// What was heard of the partition is here.
pub(super) fn mark_read(transaction: &Transaction<'_>, partition: &PartitionName) -> Result<(), Failure> {
    let sql = "UPDATE partitions SET unread = NULL WHERE name = ?1 AND unread IS NOT NULL";
    transaction.execute_cached(sql, [partition.as_str()])?;
    Ok(())
}

/// The next pull tells the partition whole.
pub(super) fn distrust(transaction: &Transaction<'_>, partition: &PartitionName) -> Result<(), Failure> {
    let sql = "UPDATE partitions SET unread = coalesce(unread, known), known = NULL WHERE name = ?1";
    transaction.execute_cached(sql, [partition.as_str()])?;
    Ok(())
}

pub(super) fn set_known(
    transaction: &Transaction<'_>,
    partition: &PartitionName,
    version: &str,
) -> Result<(), Failure> {
    let sql = "INSERT INTO partitions (name, known) VALUES (?1, ?2)
               ON CONFLICT (name) DO UPDATE SET known = excluded.known";
    transaction.execute_cached(sql, (partition.as_str(), version))?;
    Ok(())
}
