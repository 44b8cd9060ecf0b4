//! Datastore extensions, run as components by the host over a real directory or a bucket, do what every datastore must do.

#![cfg(feature = "wasm")]
#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

#[path = "../../../host/wasm/tests/world/runner.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests of the host use all of it")]
mod runner;

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use peat_conformance_tests::datastore::{Machine, Machines};
use peat_conformance_tests::{Fixture, buckets};
use peat_core::identifiers::NamespaceName;
use peat_core::ports::{Movement, ObjectStore, Silent};
use peat_store::{BucketSettings, DirectoryObjects, ProcessIdentity, SystemClock, SystemRandom};
use peat_test_support::local_store::MemoryStore;
use peat_wasm::{
    Capability, DatastoreBinding, ExtensionSource, GrantedCapabilities, Host, HostOptions, Launcher, Limits,
};

/// One host for all tests of this process: a component is compiled once.
static HOST: LazyLock<(Host, tempfile::TempDir)> = LazyLock::new(|| {
    let place = tempfile::tempdir().unwrap();
    let options = HostOptions {
        cache_dir: place.path().join("cache"),
        cache_bytes_max: u64::MAX,
        quick_bytes_min: None,
        key_file: place.path().join("key"),
        limits: Limits::default(),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
    };
    (Host::new(options), place)
});

/// Where machines share their data.
enum Place {
    Directory(PathBuf),
    Bucket(Box<BucketSettings>),
}

/// Machines that share a place through one extension.
struct Shared {
    place: Place,
    extension: &'static str,
    in_a_runner: bool,
}

/// Each extension takes what it wants of it.
const GRANTED: [Capability; 2] = [Capability::Directory, Capability::Bucket];

fn source(file: &str) -> ExtensionSource {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/components").join(file);
    let bytes = std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; build the guests with `cargo xtask guests`", path.display()));
    let granted = GrantedCapabilities::from_iter(GRANTED);
    let inspected = HOST.0.inspect(file, &bytes, &granted).unwrap();
    ExtensionSource {
        name: inspected.metadata.name.clone(),
        path,
        digest: inspected.digest,
        metadata: Arc::new(inspected.metadata),
    }
}

#[async_trait]
impl Machines for Shared {
    async fn join(&self) -> Machine {
        let store = Arc::new(MemoryStore::default());
        let (directory, bucket): (Option<Arc<dyn ObjectStore>>, Option<Arc<dyn ObjectStore>>) = match &self.place {
            Place::Directory(path) => (Some(Arc::new(DirectoryObjects::open(path).unwrap())), None),
            Place::Bucket(settings) => (None, Some(Arc::new(buckets::open((**settings).clone()).await))),
        };
        let binding = DatastoreBinding {
            namespace: NamespaceName::default_namespace(),
            capabilities: GrantedCapabilities::from_iter(GRANTED),
            settings: serde_json::json!({ "path": "shared" }),
            directory,
            bucket,
            secrets: std::collections::BTreeMap::new(),
            replica: store.clone(),
            spool: store.clone(),
            identity: Arc::new(ProcessIdentity::new("conformance").unwrap()),
            observer: Arc::new(Silent),
            launcher: self.in_a_runner.then(|| runner::on_a_thread() as Arc<dyn Launcher>),
            movement: Movement::default(),
        };
        let datastore = HOST.0.datastore(source(self.extension), binding).await.unwrap();
        Machine { datastore: Box::new(datastore), store }
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
