//! Commits of the `local` datastore: versions are assigned here, in one transaction with entries and content.

use std::collections::HashMap;

use peat_core::entry::{ChangeSet, Description, Entry, NewEntry, VersionReference};
use peat_core::identifiers::{DataName, PartitionName, Version};
use peat_core::ports::{PushReceipt, StoreError};
use rusqlite::{OptionalExtension, Transaction};

use super::Inner;
use super::contents::{Prepared, unreference};
use super::departure;
use super::failure::Failure;
use super::receipts;
use super::statements::Cached as _;
use super::values::{from_column, to_column};

impl Inner {
    pub(super) fn commit(&self, changes: &ChangeSet) -> Result<PushReceipt, StoreError> {
        let explain = |failure| self.place.explain(failure);
        if let Some(receipt) =
            self.read(|connection| receipts::find(connection, &changes.commit_id, &changes.partition))?
        {
            return Ok(receipt);
        }
        let prepared = self.prepare_all(changes).map_err(explain)?;
        self.write(|transaction| {
            // Asked again under the lock: another process may have tried the same commit.
            if let Some(receipt) = receipts::find(transaction, &changes.commit_id, &changes.partition)? {
                return Ok(receipt);
            }
            departure::refuse(transaction)?;
            let mut removed = Vec::new();
            for reference in &changes.remove {
                remove_version(transaction, &changes.partition, reference, &mut removed)?;
            }
            let mut entries = Vec::with_capacity(changes.append.len());
            for (new, content) in changes.append.iter().zip(&prepared) {
                self.insert(transaction, content, false)?;
                let entry = Entry {
                    description: new.description.clone(),
                    version: version_of(transaction, &changes.partition, new)?,
                    location: String::new(),
                };
                insert_entry(transaction, &changes.partition, &entry)?;
                apply_cap(transaction, &changes.partition, new, &mut removed)?;
                entries.push(entry);
            }
            let version = advance(transaction, &changes.partition)?;
            let receipt = PushReceipt::local(entries, removed, version);
            receipts::insert(transaction, &changes.commit_id, &changes.partition, &receipt)?;
            Ok(receipt)
        })
    }

    /// Checks what is to be committed and brings its content to where a transaction can take it over.
    pub(super) fn prepare_all(&self, changes: &ChangeSet) -> Result<Vec<Prepared>, Failure> {
        let mut names: HashMap<&DataName, Option<Version>> = HashMap::new();
        let mut prepared = Vec::with_capacity(changes.append.len());
        for new in &changes.append {
            let Description { name, size, digest, .. } = &new.description;
            let before = names.insert(name, new.version);
            if before.is_some_and(|before| before.is_none() || new.version <= before) {
                return Err(Failure::Inconsistent(format!("commit {} has {name} twice", changes.commit_id)));
            }
            if *size != new.content.size() {
                let found = new.content.size();
                return Err(Failure::Inconsistent(format!("{name} has {found} bytes and is described with {size}")));
            }
            prepared.push(self.prepare(&new.content, digest, name.as_str())?);
        }
        Ok(prepared)
    }
}

/// Writes an entry, instead of one with the same name and version.
pub(super) fn insert_entry(
    transaction: &Transaction<'_>,
    partition: &PartitionName,
    entry: &Entry,
) -> Result<(), Failure> {
    let Description { name, digest, of_failed_run, size, .. } = &entry.description;
    let version = to_column("a version of", entry.version.0)?;
    if version == 0 {
        return Err(Failure::Inconsistent(format!("{name} of {partition} has version 0; versions begin with 1")));
    }
    let key = (partition.as_str(), name.as_str(), version);
    let sql = "SELECT digest FROM entries WHERE partition = ?1 AND name = ?2 AND version = ?3";
    let before = transaction.query_row_cached(sql, key, |row| row.get::<_, Vec<u8>>(0)).optional()?;
    if let Some(before) = before.filter(|before| before != digest.as_bytes()) {
        unreference(transaction, &before)?;
    }
    let sql = "INSERT OR REPLACE INTO entries
               (partition, name, version, digest, failed, description, location, size, expires_at_ms, missing)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NOT EXISTS (SELECT 1 FROM contents WHERE digest = ?4))";
    let description = serde_json::to_string(&entry.description)?;
    let size = to_column("a size of", *size)?;
    // A lifetime that ends after all columns end never ends.
    let expires = entry.description.expires_at_ms().and_then(|expires_at_ms| i64::try_from(expires_at_ms).ok());
    let described = (digest.as_bytes(), of_failed_run, description, &entry.location, size, expires);
    let (digest, failed, description, location, size, expires) = described;
    transaction.execute_cached(sql, (key.0, key.1, key.2, digest, failed, description, location, size, expires))?;
    Ok(())
}

/// Deletes an entry and notes it in `removed`, if it is there.
pub(super) fn remove_version(
    transaction: &Transaction<'_>,
    partition: &PartitionName,
    reference: &VersionReference,
    removed: &mut Vec<VersionReference>,
) -> Result<(), Failure> {
    let Ok(version) = i64::try_from(reference.version.0) else { return Ok(()) };
    let sql = "DELETE FROM entries WHERE partition = ?1 AND name = ?2 AND version = ?3 RETURNING digest";
    let digest = transaction
        .query_row_cached(sql, (partition.as_str(), reference.name.as_str(), version), |row| row.get::<_, Vec<u8>>(0))
        .optional()?;
    if let Some(digest) = digest {
        unreference(transaction, &digest)?;
        removed.push(reference.clone());
    }
    Ok(())
}

/// The number that a version keeps, or the one after the newest there ever was: none is given twice.
fn version_of(transaction: &Transaction<'_>, partition: &PartitionName, new: &NewEntry) -> Result<Version, Failure> {
    let name = &new.description.name;
    if let Some(version) = new.version {
        let sql = "INSERT INTO newest (partition, name, version) VALUES (?1, ?2, ?3)
                   ON CONFLICT (partition, name) DO UPDATE SET version = excluded.version
                   WHERE excluded.version > newest.version RETURNING version";
        let number = to_column("a version of", version.0)?;
        let kept =
            transaction.query_row_cached(sql, (partition.as_str(), name.as_str(), number), |_| Ok(())).optional()?;
        return kept.map(|()| version).ok_or_else(|| {
            Failure::Inconsistent(format!("{name} of {partition} has had version {version} or a newer one here"))
        });
    }
    let sql = "INSERT INTO newest (partition, name, version) VALUES (?1, ?2, 1)
               ON CONFLICT (partition, name) DO UPDATE SET version = version + 1 RETURNING version";
    let version: i64 = transaction.query_row_cached(sql, (partition.as_str(), name.as_str()), |row| row.get(0))?;
    Ok(Version(from_column(version)?))
}

/// Deletes the oldest versions of a name above its cap; the one that was just added always stays.
fn apply_cap(
    transaction: &Transaction<'_>,
    partition: &PartitionName,
    new: &NewEntry,
    removed: &mut Vec<VersionReference>,
) -> Result<(), Failure> {
    let Some(cap) = new.version_cap else { return Ok(()) };
    let name = &new.description.name;
    let sql = "SELECT version FROM entries WHERE partition = ?1 AND name = ?2 ORDER BY version DESC LIMIT -1 OFFSET ?3";
    let mut statement = transaction.prepare_cached(sql)?;
    let surplus = statement
        .query_map((partition.as_str(), name.as_str(), cap.max(1)), |row| row.get::<_, i64>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    for version in surplus.into_iter().rev() {
        let reference = VersionReference { name: name.clone(), version: Version(from_column(version)?) };
        remove_version(transaction, partition, &reference, removed)?;
    }
    Ok(())
}

/// Counts the commits of a partition; the count is its version.
fn advance(transaction: &Transaction<'_>, partition: &PartitionName) -> Result<String, Failure> {
    let sql = "INSERT INTO partitions (name, known, sequence) VALUES (?1, '1', 1)
               ON CONFLICT (name) DO UPDATE SET sequence = sequence + 1, known = CAST(sequence + 1 AS TEXT)
               RETURNING known";
    Ok(transaction.query_row_cached(sql, [partition.as_str()], |row| row.get(0))?)
}
