//! Values as columns hold them, and notes.

use peat_core::digest::Digest;
use rusqlite::{Connection, OptionalExtension, Transaction};

use super::failure::{Failure, REMEDY};
use super::statements::Cached as _;

/// A number as a column holds it.
pub(super) fn to_column(what: &str, number: u64) -> Result<i64, Failure> {
    i64::try_from(number).map_err(|_| Failure::Inconsistent(format!("{what} {number} is larger than can be stored")))
}

/// A number of a column.
pub(super) fn from_column(number: i64) -> Result<u64, Failure> {
    u64::try_from(number).map_err(|_| {
        let reason = format!("{number} where no negative number belongs; {REMEDY}");
        Failure::Corrupt("a row of the database".to_owned(), reason)
    })
}

/// A digest of a column.
pub(super) fn digest_of(bytes: &[u8]) -> Result<Digest, Failure> {
    Digest::parse(&crate::random::hexadecimal(bytes))
        .map_err(|error| Failure::Corrupt("a row of the database".to_owned(), format!("{error}; {REMEDY}")))
}

pub(super) fn note(connection: &Connection, key: &str) -> Result<Option<String>, Failure> {
    let found =
        connection.query_row_cached("SELECT value FROM notes WHERE key = ?1", [key], |row| row.get(0)).optional()?;
    Ok(found)
}

pub(super) fn remove_note(transaction: &Transaction<'_>, key: &str) -> Result<(), Failure> {
    transaction.execute_cached("DELETE FROM notes WHERE key = ?1", [key])?;
    Ok(())
}

pub(super) fn set_note(transaction: &Transaction<'_>, key: &str, value: &str) -> Result<(), Failure> {
    let sql = "INSERT INTO notes (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    transaction.execute_cached(sql, (key, value))?;
    Ok(())
}
