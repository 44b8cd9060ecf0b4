//! How much the index says there is.

use peat_core::identifiers::PartitionName;
use rusqlite::Connection;

use super::failure::Failure;
use super::values::from_column;

/// What one partition holds, committed versions alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionSize {
    /// Which.
    pub partition: PartitionName,
    /// Versions.
    pub versions: u64,
    /// Bytes of their content; content that several share counts for each.
    pub bytes: u64,
    /// Of these, what is not on this machine.
    pub missing_bytes: u64,
}

/// Of every partition that has something, in order.
pub(super) fn list(connection: &Connection) -> Result<Vec<PartitionSize>, Failure> {
    let sql =
        "SELECT partition, count(*), sum(size), sum(size * missing) FROM entries GROUP BY partition ORDER BY partition";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(())?;
    let mut sizes = Vec::new();
    while let Some(row) = rows.next()? {
        sizes.push(PartitionSize {
            partition: PartitionName::parse(&row.get::<_, String>(0)?)?,
            versions: from_column(row.get(1)?)?,
            bytes: from_column(row.get(2)?)?,
            missing_bytes: from_column(row.get(3)?)?,
        });
    }
    Ok(sizes)
}
