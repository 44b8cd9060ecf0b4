//! Statements that are compiled once for their connection, however often they run: compiling costs several times what running
//! does for one row.

use rusqlite::{Connection, Params, Row};

/// Statements that a connection keeps compiled: all there are of this store, with room for the variants of listings.
pub(super) const KEPT: usize = 128;

/// What [`Connection`] can do with a statement, with one that it keeps compiled.
pub(super) trait Cached {
    /// Runs a statement that answers no rows.
    fn execute_cached(&self, sql: &str, values: impl Params) -> rusqlite::Result<usize>;

    /// The first row.
    fn query_row_cached<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T>;
}

impl Cached for Connection {
    fn execute_cached(&self, sql: &str, values: impl Params) -> rusqlite::Result<usize> {
        self.prepare_cached(sql)?.execute(values)
    }

    fn query_row_cached<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.prepare_cached(sql)?.query_row(values, read)
    }
}
