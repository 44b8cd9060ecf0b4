//! The shared-store protocol, natively, does what every datastore must do: over objects in memory, in a directory and in a
//! bucket. The components made of it run the same checks in `datastore_component.rs`.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

use std::sync::Arc;

use async_trait::async_trait;
use peat_conformance_tests::datastore::{Machine, Machines};
use peat_conformance_tests::native_chain::NativeChain;
use peat_conformance_tests::{Fixture, buckets};
use peat_core::ports::ObjectStore;
use peat_store::DirectoryObjects;
use peat_test_support::local_store::MemoryStore;
use peat_test_support::objects::MemoryObjects;

struct Shared(Arc<dyn ObjectStore>);

#[async_trait]
impl Machines for Shared {
    async fn join(&self) -> Machine {
        let store = Arc::new(MemoryStore::default());
        Machine { datastore: Box::new(NativeChain::new(Arc::clone(&self.0), store.clone())), store }
    }
}

mod in_memory {
    use super::*;
    use peat_conformance_tests::{datastore_lease_suite, datastore_suite};

    fn machines() -> Fixture<Shared> {
        Fixture::in_memory(Shared(Arc::new(MemoryObjects::default())))
    }

    datastore_suite!(machines());
    datastore_lease_suite!(machines());
}

mod in_a_directory {
    use super::*;
    use peat_conformance_tests::{datastore_lease_suite, datastore_shared_store_suite, datastore_suite};

    fn machines() -> Fixture<Shared> {
        Fixture::in_directory(|path| Shared(Arc::new(DirectoryObjects::open(path).unwrap())))
    }

    datastore_suite!(machines());
    datastore_lease_suite!(machines());
    datastore_shared_store_suite!(machines());
}

mod in_a_bucket {
    use super::*;
    use peat_conformance_tests::{datastore_lease_suite, datastore_shared_store_suite, datastore_suite};

    async fn machines() -> Fixture<Shared> {
        Fixture::in_memory(Shared(Arc::new(buckets::open(buckets::settings()).await)))
    }

    datastore_suite!(machines().await);
    datastore_lease_suite!(machines().await);
    datastore_shared_store_suite!(machines().await);
}
