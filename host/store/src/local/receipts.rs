//! Receipts of commits made here, so that a commit that is tried again gets the same answer and changes nothing.

use peat_core::entry::{Entry, VersionReference};
use peat_core::identifiers::{CommitId, PartitionName};
use peat_core::ports::PushReceipt;
use rusqlite::{Connection, OptionalExtension, Transaction};
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::statements::Cached as _;

/// Receipts kept per partition: a commit is tried again at once or not at all.
const KEPT: i64 = 256;

#[derive(Serialize, Deserialize)]
struct Receipt {
    entries: Vec<Entry>,
    removed: Vec<VersionReference>,
    version: String,
}

/// The receipt of a commit that was made before.
pub(super) fn find(
    connection: &Connection,
    commit: &CommitId,
    partition: &PartitionName,
) -> Result<Option<PushReceipt>, Failure> {
    let sql = "SELECT partition, receipt FROM receipts WHERE commit_id = ?1";
    let row = connection
        .query_row_cached(sql, [commit.as_str()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    let Some((found, receipt)) = row else { return Ok(None) };
    if found != partition.as_str() {
        return Err(Failure::Inconsistent(format!("commit {commit} was made in {found}, not in {partition}")));
    }
    let Receipt { entries, removed, version } = serde_json::from_str(&receipt)?;
    Ok(Some(PushReceipt::local(entries, removed, version)))
}

/// Keeps a receipt, and forgets the oldest of the partition.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    commit: &CommitId,
    partition: &PartitionName,
    receipt: &PushReceipt,
) -> Result<(), Failure> {
    let text = serde_json::to_string(&Receipt {
        entries: receipt.entries.clone(),
        removed: receipt.removed.clone(),
        version: receipt.version.clone(),
    })?;
    let sql = "INSERT INTO receipts (commit_id, partition, receipt) VALUES (?1, ?2, ?3)";
    transaction.execute_cached(sql, (commit.as_str(), partition.as_str(), text))?;
    let sql = "DELETE FROM receipts WHERE partition = ?1 AND sequence <=
               (SELECT sequence FROM receipts WHERE partition = ?1 ORDER BY sequence DESC LIMIT 1 OFFSET ?2)";
    transaction.execute_cached(sql, (partition.as_str(), KEPT))?;
    Ok(())
}
