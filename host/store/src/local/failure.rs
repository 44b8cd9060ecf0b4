//! What a failure of SQLite or of the system means for the caller.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use peat_core::identifiers::InvalidName;
use peat_core::ports::StoreError;
use rusqlite::ErrorCode;
use rusqlite::ffi;

use crate::durability;

/// Why a step failed, before it is known where.
#[derive(Debug)]
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    /// A file or directory below the store's, and what the system said.
    File(PathBuf, io::Error),
    /// What is stored does not parse, or bytes are not what was written: subject and reason.
    Corrupt(String, String),
    /// What was asked does not fit what is stored.
    Inconsistent(String),
    /// What a datastore says does not fit what is stored.
    Contradicted(String),
    /// Nothing is written here any more: what is used instead.
    Left(String),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<InvalidName> for Failure {
    fn from(error: InvalidName) -> Self {
        Self::Corrupt("a row of the database".to_owned(), format!("{error}; {REMEDY}"))
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Corrupt("a row of the database".to_owned(), format!("{error}; {REMEDY}"))
    }
}

/// What to do about a damaged database.
pub(super) const REMEDY: &str = "move the directory away; with a shared datastore the next sync fills a new one, \
                                 otherwise restore a backup";

/// Where the store lies, for messages.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) directory: PathBuf,
    pub(super) database: PathBuf,
    pub(super) busy_timeout: Duration,
}

impl Place {
    /// The error for the caller.
    pub(super) fn explain(&self, failure: Failure) -> StoreError {
        let path = self.to_string();
        match failure {
            Failure::Sqlite(error) => self.of_sqlite(error),
            Failure::File(file, error) => self.of_file(&file, &error),
            Failure::Corrupt(subject, reason) => StoreError::Corrupt { path, subject, reason },
            Failure::Inconsistent(reason) => StoreError::Inconsistent { path, reason },
            Failure::Contradicted(reason) => StoreError::Contradicted { path, reason },
            Failure::Left(to) => StoreError::Left { path, to },
        }
    }

    fn of_sqlite(&self, error: rusqlite::Error) -> StoreError {
        let path = self.to_string();
        let reason = error.to_string();
        let rusqlite::Error::SqliteFailure(code, _) = &error else {
            // A column of another type than the schema says: nobody but a damaged file makes that.
            return StoreError::Corrupt { path, subject: "a row of the database".to_owned(), reason };
        };
        match (code.code, code.extended_code) {
            // Sharing memory with other processes takes disk space too, and says so differently.
            (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => StoreError::Full { path, reason },
            (ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen, _) => {
                StoreError::ReadOnly { path, reason }
            }
            (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => {
                StoreError::Corrupt { path, subject: "the database".to_owned(), reason: format!("{reason}; {REMEDY}") }
            }
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => {
                StoreError::Busy { path, waited_ms: u64::try_from(self.busy_timeout.as_millis()).unwrap_or(u64::MAX) }
            }
            _ => StoreError::Io { path, reason },
        }
    }

    /// The error for a file or directory of the store; a relative one lies in its directory.
    pub(super) fn of_file(&self, file: &Path, error: &io::Error) -> StoreError {
        let path = self.directory.join(file).display().to_string();
        let reason = error.to_string();
        if durability::is_full(error) {
            StoreError::Full { path, reason }
        } else if durability::is_denied(error) {
            StoreError::ReadOnly { path, reason }
        } else {
            StoreError::Io { path, reason }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.database.display().fmt(formatter)
    }
}
