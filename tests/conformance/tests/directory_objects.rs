//! Objects in a directory do what every object store must do.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

use peat_conformance_tests::{Fixture, object_store_etag_suite, object_store_suite};
use peat_store::DirectoryObjects;

object_store_suite!(Fixture::in_directory(|path| DirectoryObjects::open(path).unwrap()));
object_store_etag_suite!(Fixture::in_directory(|path| DirectoryObjects::open(path).unwrap()));
