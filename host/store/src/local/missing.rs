//! What content is missing, in the order of its place in the datastore. Reads the index of what is missing, never every entry.

use peat_core::identifiers::PartitionName;
use peat_core::ports::{Missing, MissingFilter, StoredEntry};
use rusqlite::{Connection, params_from_iter, types::Value};

use super::failure::Failure;
use super::listing::{COLUMN_PARTITION, parse};
use super::statements::Cached as _;
use super::values::{from_column, to_column};

/// Newest version of its name that is not of a failed run, and nothing of the host's own.
const NEWEST: &str = "failed = 0 AND substr(name, 1, 1) <> '.' AND NOT EXISTS (
    SELECT 1 FROM entries AS newer WHERE newer.partition = entries.partition AND newer.name = entries.name
    AND newer.version > entries.version AND newer.failed = 0)";

/// Sizes are what a datastore said: their sum stops here, as a floating point number that fits a column.
const BYTES_MAX: f64 = 9e18;

/// One page.
pub(super) fn list(connection: &Connection, filter: &MissingFilter) -> Result<Vec<StoredEntry>, Failure> {
    let mut conditions = vec!["missing = 1".to_owned()];
    let mut values: Vec<Value> = Vec::new();
    if let Some(partition) = &filter.partition {
        values.push(partition.as_str().to_owned().into());
        conditions.push(format!("partition = ?{}", values.len()));
    }
    if let Some(after) = &filter.after {
        let first = values.len() + 1;
        values.push(after.partition.as_str().to_owned().into());
        values.push(after.location.clone().into());
        values.push(after.name.as_str().to_owned().into());
        values.push(to_column("a version of", after.version.0)?.into());
        let [partition, location, name, version] = [0, 1, 2, 3].map(|offset| first + offset);
        conditions
            .push(format!("(partition, location, name, version) > (?{partition}, ?{location}, ?{name}, ?{version})"));
    }
    if filter.newest_only {
        conditions.push(NEWEST.to_owned());
    }
    let sql = format!(
        "SELECT partition, name, 0, version, failed, description, location, 0
         FROM entries INDEXED BY entries_missing WHERE {}
         ORDER BY partition, location, name, version LIMIT {}",
        conditions.join(" AND "),
        filter.limit.map_or(-1, i64::from)
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut missing = Vec::new();
    while let Some(row) = rows.next()? {
        let partition: String = row.get(COLUMN_PARTITION)?;
        missing.push(parse(row, &partition)?);
    }
    Ok(missing)
}

/// Count and bytes.
pub(super) fn total(connection: &Connection, partition: Option<&PartitionName>) -> Result<Missing, Failure> {
    let condition = if partition.is_some() { "AND partition = ?1" } else { "" };
    let sql = format!(
        "SELECT count(*), CAST(min(total(size), {BYTES_MAX:e}) AS INTEGER) FROM entries INDEXED BY entries_missing WHERE missing = 1 {condition}"
    );
    let values = partition.map(PartitionName::as_str);
    let (entries, bytes) = connection
        .query_row_cached(&sql, params_from_iter(values), |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    Ok(Missing { entries: from_column(entries)?, bytes: from_column(bytes)? })
}
