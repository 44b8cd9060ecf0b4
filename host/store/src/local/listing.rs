//! Entries in order, committed and pending ones together.

use peat_core::entry::{Description, Entry};
use peat_core::identifiers::{PartitionName, Version};
use peat_core::ports::{EntryFilter, StoredEntry, StoredState};
use rusqlite::{Connection, Row, params_from_iter};

use super::failure::Failure;
use super::values::from_column;

/// Order of columns in both parts of the query.
pub(super) const COLUMN_PARTITION: usize = 0;
const COLUMN_NAME: usize = 1;
const COLUMN_STAGED: usize = 2;
const COLUMN_VERSION: usize = 3;
const COLUMN_FAILED: usize = 4;
const COLUMN_DESCRIPTION: usize = 5;
const COLUMN_LOCATION: usize = 6;
const COLUMN_HERE: usize = 7;

/// Entries that pass the filter. A page never splits a name: it ends before a name that does not fit whole, and holds
/// at least one name, however many versions that has.
pub(super) fn entries(connection: &Connection, filter: &EntryFilter) -> Result<Vec<StoredEntry>, Failure> {
    let (conditions, values) = conditions(filter);
    let with_pending = !filter.committed_only;
    let sql = format!(
        "SELECT partition, name, 0, version, failed, description, location, missing = 0
         FROM entries WHERE {conditions}
         UNION ALL
         SELECT partition, name, sequence, 0, failed, description, '', 1
         FROM pending_entries WHERE {with_pending} AND {conditions}
         ORDER BY 1, 2, 3 DESC, 4 DESC"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut page = Page { filter, entries: Vec::new(), name_began_at: 0, latest_found: false };
    while let Some(row) = rows.next()? {
        if !page.add(row)? {
            break;
        }
    }
    Ok(page.entries)
}

/// Conditions on partition and name, which both tables have.
fn conditions(filter: &EntryFilter) -> (String, Vec<String>) {
    let mut conditions = vec!["TRUE".to_owned()];
    let mut values = Vec::new();
    let mut value = |text: &str| {
        values.push(text.to_owned());
        format!("?{}", values.len())
    };
    if let Some(partition) = &filter.partition {
        conditions.push(format!("partition = {}", value(partition.as_str())));
    }
    if let Some(name) = &filter.name {
        conditions.push(format!("name = {}", value(name.as_str())));
    }
    if let Some(prefix) = &filter.name_prefix {
        let prefix = value(prefix);
        conditions.push(format!("name >= {prefix} AND substr(name, 1, length({prefix})) = {prefix}"));
    }
    if let Some((partition, name)) = &filter.after {
        let (partition, name) = (value(partition.as_str()), value(name.as_str()));
        conditions.push(format!("(partition, name) > ({partition}, {name})"));
    }
    (conditions.join(" AND "), values)
}

struct Page<'a> {
    filter: &'a EntryFilter,
    entries: Vec<StoredEntry>,
    /// Where the entries of the last name begin.
    name_began_at: usize,
    latest_found: bool,
}

impl Page<'_> {
    /// Takes a row, if it passes. Answers false when the page is full.
    fn add(&mut self, row: &Row<'_>) -> Result<bool, Failure> {
        let (partition, name) = (text(row, COLUMN_PARTITION)?, text(row, COLUMN_NAME)?);
        let same = self
            .entries
            .last()
            .is_some_and(|last| last.partition.as_str() == partition && last.entry.description.name.as_str() == name);
        if !same {
            if self.is_full() {
                return Ok(false);
            }
            self.name_began_at = self.entries.len();
            self.latest_found = false;
        }
        let failed: bool = row.get(COLUMN_FAILED)?;
        if self.filter.latest_only && (self.latest_found || failed) {
            return Ok(true);
        }
        let stored = parse(row, &partition)?;
        if self.filter.public_only && stored.entry.description.name.is_reserved() {
            return Ok(true);
        }
        if same && self.is_full() && self.name_began_at > 0 {
            self.entries.truncate(self.name_began_at);
            return Ok(false);
        }
        self.latest_found = true;
        self.entries.push(stored);
        Ok(true)
    }

    fn is_full(&self) -> bool {
        self.filter.limit.is_some_and(|limit| self.entries.len() >= limit.max(1) as usize)
    }
}

pub(super) fn parse(row: &Row<'_>, partition: &str) -> Result<StoredEntry, Failure> {
    let description: Description = serde_json::from_str(&text(row, COLUMN_DESCRIPTION)?)?;
    let state = match (row.get::<_, i64>(COLUMN_STAGED)?, row.get::<_, bool>(COLUMN_HERE)?) {
        (0, true) => StoredState::Here,
        (0, false) => StoredState::Remote,
        _ => StoredState::Uncommitted,
    };
    let version = Version(from_column(row.get(COLUMN_VERSION)?)?);
    let entry = Entry { description, version, location: row.get(COLUMN_LOCATION)? };
    Ok(StoredEntry { partition: PartitionName::parse(partition)?, entry, state })
}

fn text(row: &Row<'_>, column: usize) -> Result<String, Failure> {
    Ok(row.get(column)?)
}

/// Partitions of which anything is known or pending, sorted.
pub(super) fn partitions(connection: &Connection) -> Result<Vec<PartitionName>, Failure> {
    names(connection, "SELECT name FROM partitions UNION SELECT partition FROM pending ORDER BY 1")
}

/// Partitions with news that are not here, sorted.
pub(super) fn unread(connection: &Connection) -> Result<Vec<PartitionName>, Failure> {
    names(connection, "SELECT name FROM partitions WHERE unread IS NOT NULL ORDER BY 1")
}

fn names(connection: &Connection, sql: &str) -> Result<Vec<PartitionName>, Failure> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(())?;
    let mut partitions = Vec::new();
    while let Some(row) = rows.next()? {
        partitions.push(PartitionName::parse(&text(row, 0)?)?);
    }
    Ok(partitions)
}
