//! Commits on their way to a shared datastore. Staging one is a single transaction: there is nothing to mark dirty.

use std::sync::Arc;

use peat_core::entry::{ChangeSet, Description, Entry, NewEntry, VersionReference};
use peat_core::identifiers::{CommitId, DataName, PartitionName, Version};
use peat_core::ports::{PendingCommit, PushReceipt, StoreError};
use rusqlite::{Connection, OptionalExtension, Transaction};

use super::Inner;
use super::commit::{insert_entry, remove_version};
use super::delta::set_known;
use super::departure;
use super::failure::Failure;
use super::statements::Cached as _;
use super::values::{from_column, to_column};

impl Inner {
    /// Staging a commit that is pending already changes nothing: a commit id always means the same changes.
    pub(super) fn stage(&self, changes: &ChangeSet, now_ms: u64) -> Result<(), StoreError> {
        if changes.append.iter().any(|new| new.version.is_some()) {
            let reason = format!("commit {} has version numbers: it is committed at once", changes.commit_id);
            return Err(self.place.explain(Failure::Inconsistent(reason)));
        }
        let prepared = self.prepare_all(changes).map_err(|failure| self.place.explain(failure))?;
        self.write(|transaction| {
            if let Some((_, partition)) = find(transaction, &changes.commit_id)? {
                return same_partition(&changes.commit_id, &partition, &changes.partition);
            }
            departure::refuse(transaction)?;
            let sql = "INSERT INTO pending (commit_id, partition, staged_at_ms) VALUES (?1, ?2, ?3) RETURNING sequence";
            let staged_at = to_column("a time of", now_ms)?;
            let commit = (changes.commit_id.as_str(), changes.partition.as_str(), staged_at);
            let sequence: i64 = transaction.query_row_cached(sql, commit, |row| row.get(0))?;
            for (position, (new, content)) in (0_i64..).zip(changes.append.iter().zip(&prepared)) {
                self.insert(transaction, content, false)?;
                insert_new(transaction, sequence, position, &changes.partition, new)?;
            }
            for (position, reference) in (0_i64..).zip(&changes.remove) {
                let sql = "INSERT INTO pending_removals (sequence, position, name, version) VALUES (?1, ?2, ?3, ?4)";
                let version = to_column("a version of", reference.version.0)?;
                transaction.execute_cached(sql, (sequence, position, reference.name.as_str(), version))?;
            }
            Ok(())
        })
    }
}

fn insert_new(
    transaction: &Transaction<'_>,
    sequence: i64,
    position: i64,
    partition: &PartitionName,
    new: &NewEntry,
) -> Result<(), Failure> {
    let Description { name, digest, of_failed_run, .. } = &new.description;
    let sql = "INSERT INTO pending_entries
               (sequence, position, partition, name, digest, failed, description, version_cap)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let description = serde_json::to_string(&new.description)?;
    transaction.execute_cached(
        sql,
        (
            sequence,
            position,
            partition.as_str(),
            name.as_str(),
            digest.as_bytes(),
            of_failed_run,
            description,
            new.version_cap,
        ),
    )?;
    Ok(())
}

/// Pending commits, oldest first. Their content is read when it is used.
pub(super) fn list(
    connection: &Connection,
    store: &Arc<Inner>,
    partition: Option<&PartitionName>,
) -> Result<Vec<PendingCommit>, Failure> {
    let sql = "SELECT sequence, commit_id, partition, staged_at_ms FROM pending
               WHERE ?1 IS NULL OR partition = ?1 ORDER BY sequence";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([partition.map(PartitionName::as_str)])?;
    let mut commits = Vec::new();
    while let Some(row) = rows.next()? {
        let sequence: i64 = row.get(0)?;
        let changes = ChangeSet {
            commit_id: CommitId::parse(&row.get::<_, String>(1)?)?,
            partition: PartitionName::parse(&row.get::<_, String>(2)?)?,
            append: appended(connection, store, sequence)?,
            remove: removals(connection, sequence)?,
        };
        commits.push(PendingCommit { changes, staged_at_ms: from_column(row.get(3)?)? });
    }
    Ok(commits)
}

fn appended(connection: &Connection, store: &Arc<Inner>, sequence: i64) -> Result<Vec<NewEntry>, Failure> {
    let sql = "SELECT description, version_cap FROM pending_entries WHERE sequence = ?1 ORDER BY position";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([sequence])?;
    let mut appended = Vec::new();
    while let Some(row) = rows.next()? {
        let description: Description = serde_json::from_str(&row.get::<_, String>(0)?)?;
        let content = store.deferred(description.digest, description.size);
        appended.push(NewEntry { description, content, version_cap: row.get(1)?, version: None });
    }
    Ok(appended)
}

fn removals(connection: &Connection, sequence: i64) -> Result<Vec<VersionReference>, Failure> {
    let sql = "SELECT name, version FROM pending_removals WHERE sequence = ?1 ORDER BY position";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([sequence])?;
    let mut removals = Vec::new();
    while let Some(row) = rows.next()? {
        let version = Version(from_column(row.get(1)?)?);
        removals.push(VersionReference { name: DataName::parse(&row.get::<_, String>(0)?)?, version });
    }
    Ok(removals)
}

/// The datastore has the commit. Nothing happens when it is not pending (any more).
pub(super) fn confirm(
    transaction: &Transaction<'_>,
    commit: &CommitId,
    partition: &PartitionName,
    receipt: &PushReceipt,
) -> Result<(), Failure> {
    let Some((sequence, found)) = find(transaction, commit)? else { return Ok(()) };
    same_partition(commit, &found, partition)?;
    compare(transaction, sequence, commit, receipt)?;
    for entry in &receipt.entries {
        contradict(transaction, partition, entry)?;
        insert_entry(transaction, partition, entry)?;
    }
    for reference in &receipt.removed {
        remove_version(transaction, partition, reference, &mut Vec::new())?;
    }
    delete(transaction, sequence)?;
    set_known(transaction, partition, &receipt.version)
}

/// A receipt must be about what was staged: it comes from an extension, which may be wrong.
fn compare(
    transaction: &Transaction<'_>,
    sequence: i64,
    commit: &CommitId,
    receipt: &PushReceipt,
) -> Result<(), Failure> {
    let sql = "SELECT name, digest FROM pending_entries WHERE sequence = ?1 ORDER BY position";
    let mut statement = transaction.prepare_cached(sql)?;
    let staged = statement
        .query_map([sequence], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    let same = staged.len() == receipt.entries.len() + receipt.collected.len()
        && receipt.confirmed(&staged).zip(&receipt.entries).all(|((name, digest), Entry { description, .. })| {
            name == description.name.as_str() && digest == description.digest.as_bytes()
        });
    if same {
        return Ok(());
    }
    Err(Failure::Inconsistent(format!("the receipt of commit {commit} is not about what was committed")))
}

/// A version that is known never becomes another one: whoever says so repeats a number that was given.
fn contradict(transaction: &Transaction<'_>, partition: &PartitionName, entry: &Entry) -> Result<(), Failure> {
    let Description { name, digest, run_id, .. } = &entry.description;
    let sql = "SELECT description FROM entries WHERE partition = ?1 AND name = ?2 AND version = ?3";
    let key = (partition.as_str(), name.as_str(), to_column("a version of", entry.version.0)?);
    let known = transaction.query_row_cached(sql, key, |row| row.get::<_, String>(0)).optional()?;
    let Some(known) = known.map(|text| serde_json::from_str::<Description>(&text)).transpose()? else { return Ok(()) };
    if (&known.digest, &known.run_id) == (digest, run_id) {
        return Ok(());
    }
    let version = entry.version;
    Err(Failure::Contradicted(format!("{name} version {version} of {partition} is known as of run {}", known.run_id)))
}

pub(super) fn discard(transaction: &Transaction<'_>, commit: &CommitId) -> Result<(), Failure> {
    match find(transaction, commit)? {
        Some((sequence, _)) => delete(transaction, sequence),
        None => Ok(()),
    }
}

/// What was confirmed is referred to by its entries: only the content of others is marked.
fn delete(transaction: &Transaction<'_>, sequence: i64) -> Result<(), Failure> {
    let sql = "INSERT OR IGNORE INTO unreferenced SELECT digest FROM pending_entries AS staged WHERE sequence = ?1
               AND NOT EXISTS (SELECT 1 FROM entries WHERE entries.digest = staged.digest)";
    transaction.execute_cached(sql, [sequence])?;
    for table in ["pending_entries", "pending_removals", "pending"] {
        transaction.execute_cached(&format!("DELETE FROM {table} WHERE sequence = ?1"), [sequence])?;
    }
    Ok(())
}

/// Sequence and partition of a pending commit.
fn find(connection: &Connection, commit: &CommitId) -> Result<Option<(i64, String)>, Failure> {
    let sql = "SELECT sequence, partition FROM pending WHERE commit_id = ?1";
    Ok(connection.query_row_cached(sql, [commit.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

fn same_partition(commit: &CommitId, found: &str, given: &PartitionName) -> Result<(), Failure> {
    if found == given.as_str() {
        return Ok(());
    }
    Err(Failure::Inconsistent(format!("commit {commit} was staged for {found}, not for {given}")))
}
