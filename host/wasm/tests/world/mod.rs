//! What the tests of this crate share: a host in a temporary directory, components made of text, and a run that keeps
//! what was logged and written.
#![allow(dead_code, unreachable_pub, reason = "every test file uses a part of this")]

pub mod runner;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use peat_core::content::{self, SharedContent};
use peat_core::digest::Digest;
use peat_core::entry::{Entry, Lifetime, Tag};
use peat_core::identifiers::{DataName, GrantName, MethodName, ModelId, ModelName, RunId, Version};
use peat_core::metadata::Metadata;
use peat_core::ports::{
    Invocation, MethodError, MethodExecutor as _, MethodOutcome, RunData, RunDataError, RunLog, Silent,
};
use peat_test_support::local_store::MemoryStore;
use peat_test_support::random::SeededRandom;
use peat_test_support::real_clock::RealClock;
use peat_wasm::{Capability, ExtensionSource, GrantedCapabilities, Host, HostOptions, Limits, ModelBinding};

/// A host of its own, with its cache and components in a temporary directory.
pub struct World {
    pub directory: tempfile::TempDir,
    pub host: Host,
}

impl World {
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let host = Self::host(directory.path(), limits);
        Self { directory, host }
    }

    pub fn host(directory: &Path, limits: Limits) -> Host {
        Host::new(HostOptions {
            cache_dir: directory.join("cache"),
            cache_bytes_max: u64::MAX,
            quick_bytes_min: None,
            key_file: directory.join("key"),
            limits,
            clock: Arc::new(RealClock::default()),
            random: Arc::new(SeededRandom::new(1)),
        })
    }

    /// Installs a component by its bytes.
    pub fn install(&self, bytes: &[u8]) -> ExtensionSource {
        let all = GrantedCapabilities::from_iter(Capability::ALL);
        let inspected = self.host.inspect("test", bytes, &all).unwrap();
        let path = self.directory.path().join(format!("{}.wasm", inspected.digest));
        std::fs::write(&path, bytes).unwrap();
        ExtensionSource {
            name: inspected.metadata.name.clone(),
            path,
            digest: inspected.digest,
            metadata: Arc::new(inspected.metadata),
        }
    }

    pub fn binding(&self) -> ModelBinding {
        ModelBinding {
            capabilities: GrantedCapabilities::default(),
            settings: serde_json::json!({}),
            files: BTreeMap::new(),
            secrets: BTreeMap::new(),
            spool: Arc::new(MemoryStore::default()),
            observer: Arc::new(Silent),
            launcher: None,
        }
    }

    /// Runs a method of a component that needs no grants.
    pub async fn run(&self, bytes: &[u8], deadline: Duration) -> Ran {
        let invocation = invocation("run", serde_json::json!({}), deadline);
        self.execute(self.install(bytes), self.binding(), &invocation).await
    }

    /// Runs a method in this process, then on the other end of a runner, and compares all that came of both.
    pub async fn execute(&self, source: ExtensionSource, binding: ModelBinding, invocation: &Invocation) -> Ran {
        let there = ModelBinding { launcher: Some(runner::on_a_thread()), ..binding.clone() };
        let here = self.execute_there(source.clone(), binding, invocation).await;
        here.assert_same(&self.execute_there(source, there, invocation).await);
        here
    }

    /// Runs a method where the binding says.
    pub async fn execute_there(&self, source: ExtensionSource, binding: ModelBinding, invocation: &Invocation) -> Ran {
        let mut invocation = invocation.clone();
        invocation.model_type = source.metadata.model_types()[0].name.clone();
        let invocation = &invocation;
        let data = Written::default();
        let log = Lines::default();
        let result = self.host.model_executor(source, binding).execute(invocation, &data, &log).await;
        Ran { result, data: data.0.into_inner().unwrap(), log: log.0.into_inner().unwrap() }
    }
}

/// What came of a run.
pub struct Ran {
    pub result: Result<MethodOutcome, MethodError>,
    pub data: BTreeMap<DataName, SharedContent>,
    pub log: Vec<String>,
}

impl Ran {
    /// The same result, data and log.
    fn assert_same(&self, other: &Self) {
        let result = |ran: &Self| ran.result.as_ref().map_err(ToString::to_string).cloned();
        assert_eq!(result(self), result(other), "the runner ends otherwise");
        assert_eq!(self.log, other.log, "the runner logs otherwise");
        let data = |ran: &Self| -> Vec<_> {
            ran.data.iter().map(|(name, content)| (name.clone(), content::digest(&**content).unwrap())).collect()
        };
        assert_eq!(data(self), data(other), "the runner writes otherwise");
    }

    /// The error's message; panics when there was none.
    pub fn error(&self) -> String {
        self.result.as_ref().expect_err("the run did not fail").to_string()
    }

    pub fn text(&self, name: &str) -> String {
        let content = &self.data[&DataName::parse(name).unwrap()];
        String::from_utf8(content::read_all(&**content, 1 << 20).unwrap()).unwrap()
    }
}

pub fn invocation(method: &str, arguments: serde_json::Value, deadline: Duration) -> Invocation {
    Invocation {
        run_id: RunId::parse("run-00000001").unwrap(),
        model_id: ModelId::parse("model-00000001").unwrap(),
        model_name: ModelName::parse("example").unwrap(),
        model_type: peat_core::identifiers::ModelTypeName::parse("@test/guest").unwrap(),
        method: MethodName::parse(method).unwrap(),
        model_arguments: serde_json::json!({}),
        arguments,
        deadline,
        held: None,
    }
}

/// Keeps what a run writes; there is nothing to read.
#[derive(Default)]
struct Written(Mutex<BTreeMap<DataName, SharedContent>>);

#[async_trait]
impl RunData for Written {
    fn write(
        &self,
        name: DataName,
        content: SharedContent,
        _content_type: String,
        _lifetime: Option<Lifetime>,
        _tags: Vec<Tag>,
    ) -> Result<(), RunDataError> {
        self.0.lock().unwrap().insert(name, content);
        Ok(())
    }

    async fn read(
        &self,
        _model: Option<&ModelName>,
        name: &DataName,
        _version: Option<Version>,
    ) -> Result<(Entry, SharedContent), RunDataError> {
        Err(RunDataError::NotFound(format!("there is no {name}")))
    }

    fn list(
        &self,
        _model: Option<&ModelName>,
        _prefix: &str,
        _after: Option<&DataName>,
        _limit: u32,
    ) -> Result<Vec<Entry>, RunDataError> {
        Ok(Vec::new())
    }
}

/// Keeps lines.
#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl RunLog for Lines {
    fn line(&self, level: &str, text: &str) {
        self.0.lock().unwrap().push(format!("{level}: {text}"));
    }
}

/// A guest that `cargo xtask guests` builds.
pub fn built_guest(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/components").join(name);
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; build the guests with `cargo xtask guests`", path.display()))
}

pub fn grant(name: &str) -> GrantName {
    GrantName::parse(name).unwrap()
}

pub fn digest(bytes: &[u8]) -> Digest {
    Digest::of(bytes)
}

pub fn metadata(text: serde_json::Value) -> Metadata {
    Metadata::parse(text.to_string().as_bytes()).unwrap()
}
