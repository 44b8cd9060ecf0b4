//! The local store on SQLite does what every local store must do.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

use peat_conformance_tests::{Fixture, local_store_suite};
use peat_store::{SqliteStore, StoreSettings};

local_store_suite!(Fixture::in_directory(|path| {
    let settings = StoreSettings::default();
    SqliteStore::open(path, settings).unwrap()
}));
