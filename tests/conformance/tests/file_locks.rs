//! Locks on files do what every local locks must do.

use peat_conformance_tests::{Fixture, local_locks_suite};
use peat_store::FileLocks;

local_locks_suite!(Fixture::in_directory(|path| FileLocks::open(path, "peat test").unwrap()));
