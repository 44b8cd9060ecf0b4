//! Datastore extensions, run as components by the host over a real directory or a bucket, do what every datastore must do.

#![cfg(feature = "wasm")]
#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

#[path = "../../../host/wasm/tests/world/runner.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests of the host use all of it")]
mod runner;

use std::sync::Arc;

use async_trait::async_trait;
use peat_conformance_tests::components::{Own, Place, open};
use peat_conformance_tests::datastore::{Machine, Machines};
use peat_conformance_tests::{Fixture, buckets};
use peat_test_support::local_store::MemoryStore;
use peat_wasm::Launcher;

/// Machines that share a place through one extension.
struct Shared {
    place: Place,
    extension: &'static str,
    in_a_runner: bool,
}

#[async_trait]
impl Machines for Shared {
    async fn join(&self) -> Machine {
        let store = Arc::new(MemoryStore::default());
        let launcher = self.in_a_runner.then(|| runner::on_a_thread() as Arc<dyn Launcher>);
        let own = Own { spool: store.clone(), replica: store.clone(), launcher };
        Machine { datastore: Box::new(open(self.extension, &self.place, own).await), store }
    }
}

fn machines(extension: &'static str) -> Fixture<Shared> {
    Fixture::in_directory(|path| Shared { place: Place::Directory(path.to_owned()), extension, in_a_runner: false })
}

mod directory {
    use super::machines;
    use peat_conformance_tests::{datastore_lease_suite, datastore_shared_store_suite, datastore_suite};

    datastore_suite!(machines("peat-directory.wasm"));
    datastore_lease_suite!(machines("peat-directory.wasm"));
    datastore_shared_store_suite!(machines("peat-directory.wasm"));
}

mod s3 {
    use super::*;
    use peat_conformance_tests::{datastore_lease_suite, datastore_shared_store_suite, datastore_suite};

    fn machines() -> Fixture<Shared> {
        let place = Place::Bucket(Box::new(buckets::settings()));
        Fixture::in_memory(Shared { place, extension: "peat-s3.wasm", in_a_runner: false })
    }

    datastore_suite!(machines());
    datastore_lease_suite!(machines());
    datastore_shared_store_suite!(machines());
}

/// The same on the other end of a runner.
mod directory_in_a_runner {
    use super::*;
    use peat_conformance_tests::{datastore_lease_suite, datastore_shared_store_suite, datastore_suite};

    fn machines() -> Fixture<Shared> {
        Fixture::in_directory(|path| Shared {
            place: Place::Directory(path.to_owned()),
            extension: "peat-directory.wasm",
            in_a_runner: true,
        })
    }

    datastore_suite!(machines());
    datastore_lease_suite!(machines());
    datastore_shared_store_suite!(machines());
}

/// The least a datastore can be: two interfaces, no leases, no hydration.
mod minimal {
    use super::machines;
    use peat_conformance_tests::datastore_suite;

    datastore_suite!(machines("test-minimal-datastore.wasm"));
}
