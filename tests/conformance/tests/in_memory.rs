//! The in-memory ports that other tests rely on do what the real ones do.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

mod objects {
    use peat_conformance_tests::{Fixture, object_store_etag_suite, object_store_suite};
    use peat_test_support::objects::{FailingObjects, MemoryObjects};

    object_store_suite!(Fixture::in_memory(FailingObjects::new(MemoryObjects::default())));
    object_store_etag_suite!(Fixture::in_memory(FailingObjects::new(MemoryObjects::default())));
}

mod local_store {
    use peat_conformance_tests::{Fixture, local_store_suite};
    use peat_test_support::local_store::MemoryStore;

    local_store_suite!(Fixture::in_memory(MemoryStore::default()));
}
