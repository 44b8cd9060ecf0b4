//! Datastore extensions, run as components by the host.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use peat_core::identifiers::NamespaceName;
use peat_core::ports::{Movement, ObjectStore, Replica, Silent, Spool};
use peat_store::{BucketSettings, DirectoryObjects, ProcessIdentity, SystemClock, SystemRandom};
use peat_wasm::{
    Capability, ComponentDatastore, DatastoreBinding, ExtensionSource, GrantedCapabilities, Host, HostOptions,
    Launcher, Limits,
};

use crate::buckets;

/// One host for all tests of a process: a component is compiled once.
static HOST: LazyLock<Components> = LazyLock::new(|| Components::new(Limits::default()));

/// A host of components.
#[derive(Debug)]
pub struct Components {
    host: Host,
    _place: tempfile::TempDir,
}

/// Each extension takes what it wants of it.
const GRANTED: [Capability; 2] = [Capability::Directory, Capability::Bucket];

/// Where machines share their data.
#[derive(Debug)]
pub enum Place {
    /// A directory.
    Directory(PathBuf),
    /// A bucket of the S3 server of the tests.
    Bucket(Box<BucketSettings>),
}

/// What a machine has of its own.
#[expect(missing_debug_implementations, reason = "stores have none")]
pub struct Own {
    /// Where content comes from and goes to.
    pub spool: Arc<dyn Spool>,
    /// What the extension remembers.
    pub replica: Arc<dyn Replica>,
    /// Where the extension runs; none: in this process.
    pub launcher: Option<Arc<dyn Launcher>>,
}

/// The extension of a file, over `place`.
pub async fn open(file: &str, place: &Place, own: Own) -> ComponentDatastore {
    HOST.open(file, place, own).await
}

impl Components {
    /// A host whose guests may use so much.
    pub fn new(limits: Limits) -> Self {
        let place = tempfile::tempdir().unwrap();
        let options = HostOptions {
            cache_dir: place.path().join("cache"),
            cache_bytes_max: u64::MAX,
            quick_bytes_min: None,
            key_file: place.path().join("key"),
            limits,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
        };
        Self { host: Host::new(options), _place: place }
    }

    /// The extension of a file, over `place`.
    pub async fn open(&self, file: &str, place: &Place, own: Own) -> ComponentDatastore {
        let mut directory: Option<Arc<dyn ObjectStore>> = None;
        let mut bucket: Option<Arc<dyn ObjectStore>> = None;
        match place {
            Place::Directory(path) => directory = Some(Arc::new(DirectoryObjects::open(path).unwrap())),
            Place::Bucket(settings) => bucket = Some(Arc::new(buckets::open((**settings).clone()).await)),
        }
        let binding = DatastoreBinding {
            namespace: NamespaceName::default_namespace(),
            capabilities: GrantedCapabilities::from_iter(GRANTED),
            settings: serde_json::json!({ "path": "shared" }),
            directory,
            bucket,
            secrets: BTreeMap::new(),
            replica: own.replica,
            spool: own.spool,
            identity: Arc::new(ProcessIdentity::new("conformance").unwrap()),
            observer: Arc::new(Silent),
            launcher: own.launcher,
            movement: Movement::default(),
        };
        self.host.datastore(self.source(file), binding).await.unwrap()
    }

    fn source(&self, file: &str) -> ExtensionSource {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/components").join(file);
        let bytes = std::fs::read(&path)
            .unwrap_or_else(|error| panic!("{}: {error}; build the guests with `cargo xtask guests`", path.display()));
        let granted = GrantedCapabilities::from_iter(GRANTED);
        let inspected = self.host.inspect(file, &bytes, &granted).unwrap();
        ExtensionSource {
            name: inspected.metadata.name.clone(),
            path,
            digest: inspected.digest,
            metadata: Arc::new(inspected.metadata),
        }
    }
}
