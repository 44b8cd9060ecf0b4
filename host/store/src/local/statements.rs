//! The statements of one transaction: each is compiled once, however many rows it is run for. Compiling costs several times
//! what running does for one row.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Deref;

use rusqlite::{Params, Row, Statement, Transaction};

/// A transaction and what was compiled for it.
pub(super) struct Statements<'t> {
    transaction: &'t Transaction<'t>,
    compiled: RefCell<BTreeMap<&'static str, Statement<'t>>>,
}

impl<'t> Statements<'t> {
    pub(super) fn new(transaction: &'t Transaction<'t>) -> Self {
        Self { transaction, compiled: RefCell::default() }
    }

    /// Runs a statement that answers no rows.
    pub(super) fn execute(&self, sql: &'static str, values: impl Params) -> rusqlite::Result<usize> {
        self.with(sql, |statement| statement.execute(values))
    }

    /// The first row.
    pub(super) fn query_row<T>(
        &self,
        sql: &'static str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.with(sql, |statement| statement.query_row(values, read))
    }

    fn with<T>(
        &self,
        sql: &'static str,
        work: impl FnOnce(&mut Statement<'t>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let mut compiled = self.compiled.borrow_mut();
        if !compiled.contains_key(sql) {
            compiled.insert(sql, self.transaction.prepare(sql)?);
        }
        work(compiled.get_mut(sql).expect("it was put there a moment ago"))
    }
}

/// For what is run once.
impl<'t> Deref for Statements<'t> {
    type Target = Transaction<'t>;

    fn deref(&self) -> &Self::Target {
        self.transaction
    }
}
