//! The in-memory datastore does what every datastore must do, as far as it goes: it has no removals and its time stands
//! still.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

use std::sync::Arc;

use async_trait::async_trait;
use peat_conformance_tests::datastore::{Machine, Machines};
use peat_conformance_tests::{Fixture, datastore_lease_suite, datastore_suite};
use peat_test_support::clock::ManualClock;
use peat_test_support::datastore::{MemoryDatastore, SharedState};
use peat_test_support::local_store::MemoryStore;

struct InMemory(SharedState, ManualClock);

#[async_trait]
impl Machines for InMemory {
    async fn join(&self) -> Machine {
        let store = Arc::new(MemoryStore::default());
        let datastore = MemoryDatastore::new(self.0.clone(), self.1.clone(), store.clone());
        Machine { datastore: Box::new(datastore), store }
    }
}

fn machines() -> Fixture<InMemory> {
    Fixture::in_memory(InMemory(SharedState::default(), ManualClock::default()))
}

datastore_suite!(machines());
datastore_lease_suite!(machines());
