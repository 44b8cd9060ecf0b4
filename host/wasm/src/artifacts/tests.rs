//! The cache under everything that can happen to it.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::engine::SharedEngine;

const WASM: &str = "(component)";

struct Place {
    directory: tempfile::TempDir,
    engine: SharedEngine,
    wasm: Vec<u8>,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            engine: SharedEngine::new().unwrap(),
            wasm: wat::parse_str(WASM).unwrap(),
        }
    }

    fn cache(&self) -> PathBuf {
        self.directory.path().join("cache")
    }

    fn key(&self) -> PathBuf {
        self.directory.path().join("keys/artifacts.key")
    }

    fn key_of(&self) -> ArtifactKey<'_> {
        ArtifactKey { engine: self.engine.key(), wasm: Digest::of(&self.wasm) }
    }

    fn load(&self, origin: Origin) -> Result<Component, ExtensionError> {
        let (cache, key) = (self.cache(), self.key());
        Artifacts::new(&cache, &key).component("@test/guest", self.engine.engine(), &self.key_of(), origin)
    }

    fn bytes(&self) -> Origin {
        Origin::Bytes(self.wasm.clone())
    }

    fn gone(&self) -> Origin {
        Origin::File(self.directory.path().join("gone.wasm"))
    }

    fn file(&self, extension: &str) -> PathBuf {
        self.cache().join("v1").join(self.engine.key()).join(format!("{}.{extension}", Digest::of(&self.wasm)))
    }
}

#[test]
fn a_compiled_component_is_loaded_without_its_wasm() {
    let place = Place::new();
    place.load(place.bytes()).unwrap();
    place.load(place.gone()).unwrap();
    let mode = place.file("cwasm").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(place.cache().metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_component_that_is_gone_and_was_never_compiled_is_missing() {
    let place = Place::new();
    assert!(matches!(place.load(place.gone()), Err(ExtensionError::Missing { .. })));
    std::fs::write(place.directory.path().join("gone.wasm"), b"other").unwrap();
    let error = place.load(place.gone()).unwrap_err();
    assert!(error.to_string().contains("is not what was installed"), "{error}");
}

#[test]
fn whatever_does_not_fit_is_set_aside_and_compiled_again() {
    let place = Place::new();
    place.load(place.bytes()).unwrap();
    let good = (std::fs::read(place.file("cwasm")).unwrap(), std::fs::read(place.file("record")).unwrap());
    let cases: [(&str, Vec<u8>, Vec<u8>); 5] = [
        ("changed artifact", [good.0.clone(), vec![0]].concat(), good.1.clone()),
        ("truncated artifact", good.0[..good.0.len() / 2].to_vec(), good.1.clone()),
        ("empty artifact", Vec::new(), good.1.clone()),
        ("garbage record", good.0.clone(), b"{}".to_vec()),
        ("truncated record", good.0.clone(), good.1[..20].to_vec()),
    ];
    for (case, artifact, record) in cases {
        std::fs::write(place.file("cwasm"), artifact).unwrap();
        std::fs::write(place.file("record"), record).unwrap();
        assert!(matches!(place.load(place.gone()), Err(ExtensionError::Missing { .. })), "{case} was loaded");
        place.load(place.bytes()).unwrap_or_else(|error| panic!("{case}: {error}"));
        place.load(place.gone()).unwrap_or_else(|error| panic!("{case} was not replaced: {error}"));
    }
}

#[test]
fn an_artifact_of_another_key_is_not_loaded() {
    let place = Place::new();
    place.load(place.bytes()).unwrap();
    std::fs::remove_file(place.key()).unwrap();
    assert!(matches!(place.load(place.gone()), Err(ExtensionError::Missing { .. })));
}

#[test]
fn a_key_that_others_can_read_is_replaced() {
    let place = Place::new();
    place.load(place.bytes()).unwrap();
    let before = std::fs::read(place.key()).unwrap();
    std::fs::set_permissions(place.key(), std::fs::Permissions::from_mode(0o644)).unwrap();
    place.load(place.bytes()).unwrap();
    assert_ne!(std::fs::read(place.key()).unwrap(), before);
    assert_eq!(place.key().metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_symbolic_link_in_the_place_of_an_artifact_is_not_followed() {
    let place = Place::new();
    place.load(place.bytes()).unwrap();
    let elsewhere = place.directory.path().join("elsewhere");
    std::fs::rename(place.file("cwasm"), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, place.file("cwasm")).unwrap();
    assert!(matches!(place.load(place.gone()), Err(ExtensionError::Missing { .. })));
}

#[test]
fn a_cache_that_others_can_write_or_that_cannot_be_made_is_not_used_and_costs_no_error() {
    let place = Place::new();
    std::fs::create_dir(place.cache()).unwrap();
    std::fs::set_permissions(place.cache(), std::fs::Permissions::from_mode(0o777)).unwrap();
    place.load(place.bytes()).unwrap();
    assert!(!place.file("cwasm").exists());

    let place = Place::new();
    std::fs::write(place.cache(), b"a file").unwrap();
    place.load(place.bytes()).unwrap();
}

#[test]
fn many_at_once_compile_once_and_leave_nothing_else_behind() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| place.load(place.bytes()).unwrap());
        }
    });
    let mut left: Vec<String> = std::fs::read_dir(place.file("cwasm").parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path().extension().unwrap().to_string_lossy().into_owned())
        .collect();
    left.sort();
    assert_eq!(left, ["cwasm", "lock", "record"]);
}

#[test]
fn what_does_not_compile_says_so() {
    let place = Place::new();
    let (cache, key) = (place.cache(), place.key());
    let broken = b"\0asm".to_vec();
    let key_of = ArtifactKey { engine: place.engine.key(), wasm: Digest::of(&broken) };
    let error = Artifacts::new(&cache, &key)
        .component("@test/guest", place.engine.engine(), &key_of, Origin::Bytes(broken))
        .unwrap_err();
    assert!(matches!(error, ExtensionError::Compile { .. }), "{error}");
}

#[test]
fn a_lock_whose_holder_does_not_move_is_not_waited_for_without_end() {
    let place = Place::new();
    let directory = OwnedDirectory::create(&place.cache()).unwrap();
    let held = directory.lock("one.lock", Duration::ZERO).unwrap();
    let error = directory.lock("one.lock", Duration::from_millis(30)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    drop(held);
    directory.lock("one.lock", Duration::ZERO).unwrap();
}
