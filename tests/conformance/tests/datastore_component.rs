//! Datastore extensions, run as components by the host over a real directory, do what every datastore must do.

#![cfg(feature = "wasm")]
#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use peat_conformance_tests::Fixture;
use peat_conformance_tests::datastore::{Machine, Machines};
use peat_core::identifiers::NamespaceName;
use peat_core::ports::Silent;
use peat_store::{DirectoryObjects, ProcessIdentity, SystemClock, SystemRandom};
use peat_test_support::local_store::MemoryStore;
use peat_wasm::{Capability, DatastoreBinding, ExtensionSource, GrantedCapabilities, Host, HostOptions, Limits};

/// One host for all tests of this process: a component is compiled once.
static HOST: LazyLock<(Host, tempfile::TempDir)> = LazyLock::new(|| {
    let place = tempfile::tempdir().unwrap();
    let options = HostOptions {
        cache_dir: place.path().join("cache"),
        key_file: place.path().join("key"),
        limits: Limits::default(),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
    };
    (Host::new(options), place)
});

/// Machines that share a directory through one extension.
struct Shared {
    directory: PathBuf,
    extension: &'static str,
}

fn source(file: &str) -> ExtensionSource {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/components").join(file);
    let bytes = std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; build the guests with `cargo xtask guests`", path.display()));
    let granted = GrantedCapabilities::from_iter([Capability::Directory]);
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
        let binding = DatastoreBinding {
            namespace: NamespaceName::default_namespace(),
            capabilities: GrantedCapabilities::from_iter([Capability::Directory]),
            settings: serde_json::json!({ "path": "shared" }),
            directory: Some(Arc::new(DirectoryObjects::open(&self.directory).unwrap())),
            bucket: None,
            secrets: std::collections::BTreeMap::new(),
            replica: store.clone(),
            spool: store.clone(),
            identity: Arc::new(ProcessIdentity::new("conformance").unwrap()),
            observer: Arc::new(Silent),
        };
        let datastore = HOST.0.datastore(source(self.extension), binding).await.unwrap();
        Machine { datastore: Box::new(datastore), store }
    }
}

fn machines(extension: &'static str) -> Fixture<Shared> {
    Fixture::in_directory(|path| Shared { directory: path.to_owned(), extension })
}

mod directory {
    use super::machines;
    use peat_conformance_tests::{datastore_lease_suite, datastore_shared_store_suite, datastore_suite};

    datastore_suite!(machines("peat-directory.wasm"));
    datastore_lease_suite!(machines("peat-directory.wasm"));
    datastore_shared_store_suite!(machines("peat-directory.wasm"));
}

/// The least a datastore can be: two interfaces, no leases, no hydration.
mod minimal {
    use super::machines;
    use peat_conformance_tests::datastore_suite;

    datastore_suite!(machines("test-minimal-datastore.wasm"));
}
