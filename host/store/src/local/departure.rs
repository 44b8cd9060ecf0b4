//! A store whose data was copied elsewhere takes nothing more: whoever opened it before and still waits for its turn would
//! otherwise write where nobody looks any more.

use std::path::PathBuf;

use peat_core::ports::StoreError;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::SqliteStore;
use super::failure::{Failure, REMEDY};
use super::statements::Cached as _;
use super::values;

/// The note under which it stands.
const NOTE: &str = "departure";

/// Where the data of a store went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Departure {
    /// What is used instead, for people.
    pub to: String,
    /// The repository that chose so.
    pub repository: PathBuf,
}

impl SqliteStore {
    /// From now on nothing is committed or staged here. False, and nothing changes, while something is staged: it would
    /// never be sent.
    pub fn leave(&self, departure: &Departure) -> Result<bool, StoreError> {
        let text = serde_json::to_string(departure).map_err(|error| self.inner.place.explain(error.into()))?;
        self.inner.write(|transaction| {
            let staged: bool =
                transaction.query_row_cached("SELECT EXISTS (SELECT 1 FROM pending)", (), |row| row.get(0))?;
            if !staged {
                values::set_note(transaction, NOTE, &text)?;
            }
            Ok(!staged)
        })
    }

    /// Whether it was left, and for what.
    pub fn departure(&self) -> Result<Option<Departure>, StoreError> {
        self.inner.read(find)
    }

    /// It is written again.
    pub fn enter(&self) -> Result<(), StoreError> {
        if self.departure()?.is_none() {
            return Ok(());
        }
        self.inner.write(|transaction| values::remove_note(transaction, NOTE))
    }
}

/// Refuses where the store was left.
pub(super) fn refuse(connection: &Connection) -> Result<(), Failure> {
    match find(connection)? {
        None => Ok(()),
        Some(departure) => Err(Failure::Left(departure.to)),
    }
}

fn find(connection: &Connection) -> Result<Option<Departure>, Failure> {
    let Some(text) = values::note(connection, NOTE)? else { return Ok(None) };
    let departure = serde_json::from_str(&text).map_err(|error| {
        Failure::Corrupt("a note of the database".to_owned(), format!("where its data went: {error}; {REMEDY}"))
    })?;
    Ok(Some(departure))
}
