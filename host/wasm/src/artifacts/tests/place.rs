//! What these tests share: a cache in a directory of its own, and a component.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::super::*;
use crate::engine::SharedEngine;

const WASM: &str = "(component)";

pub(super) struct Place {
    pub(super) directory: tempfile::TempDir,
    pub(super) engine: SharedEngine,
    pub(super) wasm: Vec<u8>,
    pub(super) bytes_max: u64,
    cache: PathBuf,
    key: &'static str,
}

impl Place {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            cache: directory.path().join("cache"),
            directory,
            engine: SharedEngine::new().unwrap(),
            wasm: wat::parse_str(WASM).unwrap(),
            bytes_max: u64::MAX,
            key: "keys/artifacts.key",
        }
    }

    /// The same key, with a cache elsewhere.
    pub(super) fn with_cache(self, cache: &Path) -> Self {
        Self { cache: cache.to_owned(), ..self }
    }

    /// The same cache, for another component.
    pub(super) fn with_another_component(self, name: &str) -> Self {
        let wasm = wat::parse_str(format!("(component (core module (func (export {name:?}))))")).unwrap();
        Self { wasm, ..self }
    }

    /// The same cache, for whoever has another key.
    pub(super) fn with_another_key(self) -> Self {
        Self { key: "keys/another.key", ..self }
    }

    pub(super) fn cache(&self) -> PathBuf {
        self.cache.clone()
    }

    pub(super) fn key(&self) -> PathBuf {
        self.directory.path().join(self.key)
    }

    pub(super) fn key_of(&self) -> ArtifactKey<'_> {
        ArtifactKey { engine: self.engine.key(), wasm: Digest::of(&self.wasm) }
    }

    /// What makes everything at once as it is to stay.
    pub(super) fn compilers(&self) -> Compilers<'_> {
        Compilers { engine: &self.engine, quick: None }
    }

    /// What the wasm says of itself, if it is one.
    pub(super) fn metadata(&self) -> Metadata {
        serde_json::from_value(json!({
            "format": 1, "name": "@test/guest", "version": "0.1.0", "summary": "a guest", "datastore": {}
        }))
        .unwrap()
    }

    pub(super) fn load(&self, origin: Origin) -> Result<Component, ExtensionError> {
        let (cache, key) = (self.cache(), self.key());
        let artifacts = Artifacts { cache_dir: &cache, key_file: &key, bytes_max: self.bytes_max };
        let wasm = Digest::of(&self.wasm);
        artifacts.component("@test/guest", self.compilers(), wasm, origin).map(|prepared| prepared.value)
    }

    pub(super) fn bundle(&self, origin: Origin) -> Result<Bundle, ExtensionError> {
        let (cache, key) = (self.cache(), self.key());
        let artifacts = Artifacts { cache_dir: &cache, key_file: &key, bytes_max: self.bytes_max };
        let wasm = Digest::of(&self.wasm);
        artifacts.bundle(self.compilers(), wasm, origin, &self.metadata()).map(|prepared| prepared.value)
    }

    /// Whether an artifact is there that is trusted.
    pub(super) fn is_kept(&self) -> bool {
        self.load(self.gone()).is_ok()
    }

    /// Whether a bundle is there that is trusted.
    pub(super) fn is_bundled(&self) -> bool {
        self.bundle(self.gone()).is_ok()
    }

    pub(super) fn kept(&self) -> Vec<KeptArtifact> {
        inventory::list(&self.cache()).unwrap()
    }

    pub(super) fn used_at(&self, seconds: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        File::options().write(true).open(self.file("record")).unwrap().set_modified(time).unwrap();
    }

    pub(super) fn bytes(&self) -> Origin {
        Origin::Bytes(self.wasm.clone())
    }

    pub(super) fn gone(&self) -> Origin {
        Origin::File(self.directory.path().join("gone.wasm"))
    }

    /// The directory of what this key vouches for. There must be a key.
    pub(super) fn shelf(&self) -> PathBuf {
        let fingerprint = key_file::load(&self.key()).unwrap().fingerprint();
        self.cache().join("v1").join(self.engine.key()).join(fingerprint)
    }

    pub(super) fn file(&self, extension: &str) -> PathBuf {
        self.shelf().join(format!("{}.{extension}", Digest::of(&self.wasm)))
    }

    /// A file of the bundle.
    pub(super) fn bundled(&self, name: &str) -> PathBuf {
        self.file("bundle").join(name)
    }

    /// Endings of everything in the directory, sorted.
    pub(super) fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.shelf()).unwrap();
        let ending = |path: PathBuf| path.extension().unwrap().to_string_lossy().into_owned();
        let mut left: Vec<String> = entries.map(|entry| ending(entry.unwrap().path())).collect();
        left.sort();
        left
    }
}
