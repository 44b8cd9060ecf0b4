//! Opening the database: settings of SQLite, and the switch to write-ahead logging.

use std::path::Path;
use std::time::{Duration, Instant};

use peat_core::ports::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::failure::{Failure, Place};
use super::statements::KEPT;
use super::{delta, schema};

/// The log is cut to this after a checkpoint, in bytes: one large commit must not keep its space for ever.
const LOG_BYTES_KEPT: u32 = 16 * 1024 * 1024;

/// Pause between two attempts to switch to write-ahead logging, which SQLite does not wait for itself.
const SWITCH_PAUSE: Duration = Duration::from_millis(10);

/// Opens the database and brings it to the newest format.
pub(super) fn open(database: &Path, place: &Place) -> Result<Connection, StoreError> {
    let failed = |error: rusqlite::Error| place.explain(Failure::Sqlite(error));
    // One thread at a time uses a connection (a mutex sees to it), so SQLite needs no locks of its own for that.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(database, flags).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(KEPT);
    connection.busy_timeout(place.busy_timeout).map_err(failed)?;
    distrust(&connection).map_err(failed)?;
    schema::check(&mut connection, place)?;
    switch_to_log(&connection, place).map_err(failed)?;
    wait_for_disk(&connection, true).map_err(failed)?;
    // A plan does not depend on what is bound: with partial indexes SQLite would make it again for each other value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(failed)?;
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(failed)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT).map_err(failed)?;
    schema::migrate(&mut connection, place)?;
    connection.execute_batch(delta::PROGRESS).map_err(failed)?;
    Ok(connection)
}

/// FULL: an answered commit survives the machine, not just the process. NORMAL: it may go with the machine, and with it
/// all that came after it. Not inside a transaction.
pub(super) fn wait_for_disk(connection: &Connection, waits: bool) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", if waits { "FULL" } else { "NORMAL" })
}

/// The file may have been made by somebody else: nothing in its schema may run.
fn distrust(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.pragma_update(None, "cell_size_check", true)
}

/// Of several processes that open a new database at once all but one are told "busy" at once.
fn switch_to_log(connection: &Connection, place: &Place) -> rusqlite::Result<()> {
    let deadline = Instant::now() + place.busy_timeout;
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)) {
            Ok(_) => return Ok(()),
            Err(rusqlite::Error::SqliteFailure(code, _))
                if code.code == ErrorCode::DatabaseBusy && Instant::now() < deadline =>
            {
                std::thread::sleep(SWITCH_PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
}
