//! The tables of the local store and their versions. Described in `docs/local-store.md`.

use peat_core::ports::StoreError;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::failure::{Failure, Place};

/// `application_id` of every local store: "PEAT".
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"PEAT");

/// One step per format, in order: step `n` makes format `n + 1` of format `n`. Steps are never changed once released.
const STEPS: &[&str] = &[FORMAT_1, FORMAT_2, FORMAT_3, FORMAT_4];

/// The first format.
const FORMAT_1: &str = "
    CREATE TABLE partitions (
        name     TEXT PRIMARY KEY,
        known    TEXT,
        sequence INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE entries (
        partition   TEXT NOT NULL,
        name        TEXT NOT NULL,
        version     INTEGER NOT NULL,
        digest      BLOB NOT NULL,
        failed      INTEGER NOT NULL,
        description TEXT NOT NULL,
        location    TEXT NOT NULL,
        PRIMARY KEY (partition, name, version)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX entries_by_digest ON entries (digest);

    CREATE TABLE newest (
        partition TEXT NOT NULL,
        name      TEXT NOT NULL,
        version   INTEGER NOT NULL,
        PRIMARY KEY (partition, name)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE receipts (
        sequence  INTEGER PRIMARY KEY,
        commit_id TEXT NOT NULL UNIQUE,
        partition TEXT NOT NULL,
        receipt   TEXT NOT NULL
    ) STRICT;
    CREATE INDEX receipts_by_partition ON receipts (partition, sequence);

    CREATE TABLE pending (
        sequence  INTEGER PRIMARY KEY AUTOINCREMENT,
        commit_id TEXT NOT NULL UNIQUE,
        partition TEXT NOT NULL,
        staged_at_ms INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX pending_by_partition ON pending (partition, sequence);

    CREATE TABLE pending_entries (
        sequence    INTEGER NOT NULL,
        position    INTEGER NOT NULL,
        partition   TEXT NOT NULL,
        name        TEXT NOT NULL,
        digest      BLOB NOT NULL,
        failed      INTEGER NOT NULL,
        description TEXT NOT NULL,
        version_cap INTEGER,
        PRIMARY KEY (sequence, position)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX pending_entries_by_name ON pending_entries (partition, name, sequence);
    CREATE INDEX pending_entries_by_digest ON pending_entries (digest);

    CREATE TABLE pending_removals (
        sequence INTEGER NOT NULL,
        position INTEGER NOT NULL,
        name     TEXT NOT NULL,
        version  INTEGER NOT NULL,
        PRIMARY KEY (sequence, position)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE contents (
        id     INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        size   INTEGER NOT NULL,
        bytes  BLOB
    ) STRICT;

    CREATE TABLE unreferenced (
        digest BLOB PRIMARY KEY
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE cache (
        key    TEXT PRIMARY KEY,
        digest BLOB NOT NULL,
        size   INTEGER NOT NULL,
        used   INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX cache_by_use ON cache (used);
    CREATE INDEX cache_by_digest ON cache (digest);

    CREATE TABLE notes (
        key   TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// Partitions that are heard of and not read, and what content is missing, without looking at every entry.
const FORMAT_2: &str = "
    ALTER TABLE partitions ADD COLUMN unread TEXT;

    ALTER TABLE entries ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE entries ADD COLUMN missing INTEGER NOT NULL DEFAULT 0;
    UPDATE entries SET
        size = CASE WHEN json_valid(description)
            THEN max(0, CAST(coalesce(json_extract(description, '$.size'), 0) AS INTEGER)) ELSE 0 END,
        missing = NOT EXISTS (SELECT 1 FROM contents WHERE contents.digest = entries.digest);
    CREATE INDEX entries_missing ON entries (partition, location, name, version, size) WHERE missing = 1;
";

/// Which lifetimes are over, without looking at every entry.
const FORMAT_3: &str = "
    ALTER TABLE entries ADD COLUMN expires_at_ms INTEGER;
    UPDATE entries SET expires_at_ms =
        CAST(json_extract(description, '$.created_at_ms') AS INTEGER)
        + CAST(json_extract(description, '$.lifetime.\"duration-ms\"') AS INTEGER)
        WHERE json_valid(description) AND json_type(description, '$.lifetime.\"duration-ms\"') = 'integer';
    CREATE INDEX entries_expiring ON entries (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
";

/// What the last commands cost.
const FORMAT_4: &str = "
    CREATE TABLE commands (
        sequence    INTEGER PRIMARY KEY,
        began_at_ms INTEGER NOT NULL,
        record      TEXT NOT NULL
    ) STRICT;
";

/// The newest format this build knows.
pub(super) const FORMAT: u32 = STEPS.len() as u32;

/// Brings the database to the newest format, in one transaction. A database of a newer peat or of another program is
/// left as it is.
pub(super) fn migrate(connection: &mut Connection, place: &Place) -> Result<(), StoreError> {
    if check(connection, place)? == FORMAT {
        return Ok(());
    }
    let failed = |error: rusqlite::Error| place.explain(Failure::Sqlite(error));
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    // Asked again under the lock: another process may have done it meanwhile.
    let found = format_of(&transaction, place)?;
    run_steps(&transaction, found).map_err(failed)?;
    transaction.commit().map_err(failed)
}

/// The format of the database; 0 for an empty one. Refuses one of a newer peat or of another program, before anything in
/// it is changed.
pub(super) fn check(connection: &mut Connection, place: &Place) -> Result<u32, StoreError> {
    let failed = |error: rusqlite::Error| place.explain(Failure::Sqlite(error));
    // One snapshot: another process may be making the tables right now.
    format_of(&connection.transaction().map_err(failed)?, place)
}

fn run_steps(transaction: &Transaction<'_>, found: u32) -> rusqlite::Result<()> {
    for step in STEPS.iter().skip(found as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)
}

fn format_of(connection: &Transaction<'_>, place: &Place) -> Result<u32, StoreError> {
    let failed = |error: rusqlite::Error| place.explain(Failure::Sqlite(error));
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0)).map_err(failed);
    let (application, format) = (number("application_id")?, number("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0)).map_err(failed)?;
    match (application, u32::try_from(format)) {
        (0, Ok(0)) if tables == 0 => Ok(0),
        (APPLICATION_ID, Ok(format)) if format > FORMAT => {
            Err(StoreError::NewerFormat { path: place.to_string(), found: format, known: FORMAT })
        }
        (APPLICATION_ID, Ok(format)) if format > 0 => Ok(format),
        _ => Err(StoreError::Corrupt {
            path: place.to_string(),
            subject: "the database".to_owned(),
            reason: format!(
                "it belongs to another program (application id {application}, version {format}); move it away"
            ),
        }),
    }
}
