//! Bundles: made on first use, found afterwards, and kept while they are used.

use std::os::unix::fs::MetadataExt as _;

use peat_test_support::scarce_disk::ScarceDisk;

use super::super::manifest::Manifest;
use super::*;

#[test]
fn a_bundle_holds_the_native_code_and_what_it_is_of() {
    let place = Place::new();
    let bundle = place.bundle(place.bytes()).unwrap();
    assert!(bundle.directory.is_absolute());
    assert_eq!(bundle.directory, place.file("bundle"));
    let native = std::fs::read(bundle.directory.join(BUNDLE_ARTIFACT)).unwrap();
    assert_eq!((bundle.digest, bundle.length), (Digest::of(&native), native.len() as u64));
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.bundled("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["extension"], "@test/guest");
    assert_eq!(manifest["version"], "0.1.0");
    assert_eq!(manifest["wasm"], Digest::of(&place.wasm).to_string());
    assert_eq!(manifest["artifact"], bundle.digest.to_string());
    assert_eq!(manifest["engine"], place.engine.key());
    assert_eq!(manifest["length"], bundle.length);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&bundle.directory), 0o700);
    assert_eq!(mode(&place.bundled(BUNDLE_ARTIFACT)), 0o600);
    assert_eq!(mode(&place.bundled("manifest.json")), 0o600);
    // And this process can load it as a runner would.
    native_code::deserialize(place.engine.engine(), &native, "").unwrap();
}

#[test]
fn a_manifest_names_what_the_component_imports_and_exports() {
    let mut place = Place::new();
    place.wasm = wat::parse_str(
        r#"(component
            (import "test:b/c" (instance))
            (import "a" (func))
            (core module $module (func (export "f")))
            (core instance $instance (instantiate $module))
            (func (export "d") (canon lift (core func $instance "f"))))"#,
    )
    .unwrap();
    place.bundle(place.bytes()).unwrap();
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.bundled("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["imports"], serde_json::json!(["a", "test:b/c"]));
    assert_eq!(manifest["exports"], serde_json::json!(["d"]));
}

#[test]
fn a_run_in_this_process_makes_no_bundle() {
    let place = Place::new();
    for _ in 0..2 {
        place.load(place.bytes()).unwrap();
        assert_eq!(place.left(), ["cwasm", "lock", "record"]);
    }
}

#[test]
fn a_bundle_is_found_again_without_the_component() {
    let place = Place::new();
    let first = place.bundle(place.bytes()).unwrap();
    let inode = |bundle: &Bundle| bundle.directory.metadata().unwrap().ino();
    let again = place.bundle(place.gone()).unwrap();
    assert_eq!(inode(&first), inode(&again));
    assert_eq!(place.left(), ["bundle", "cwasm", "lock", "record"]);
}

#[test]
fn a_bundle_is_made_of_the_artifact_that_is_there() {
    let place = Place::new();
    place.load(place.bytes()).unwrap();
    let artifact = place.file("cwasm").metadata().unwrap();
    place.bundle(place.bytes()).unwrap();
    let after = place.file("cwasm").metadata().unwrap();
    assert_eq!((after.ino(), after.mtime_nsec()), (artifact.ino(), artifact.mtime_nsec()), "it was compiled again");
    assert_eq!(place.bundled(BUNDLE_ARTIFACT).metadata().unwrap().ino(), artifact.ino(), "it was copied");
    // And the artifact of the bundle is one for runs in this process.
    let other = place.with_another_component("other");
    other.bundle(other.bytes()).unwrap();
    assert!(other.is_kept());
}

#[test]
fn a_second_name_does_not_change_when_the_artifact_is_made_again() {
    let place = Place::new();
    let bundle = place.bundle(place.bytes()).unwrap();
    let before = std::fs::read(place.bundled(BUNDLE_ARTIFACT)).unwrap();
    std::fs::remove_file(place.file("record")).unwrap();
    place.load(place.bytes()).unwrap();
    assert_eq!(std::fs::read(place.bundled(BUNDLE_ARTIFACT)).unwrap(), before);
    assert_eq!(place.bundled(BUNDLE_ARTIFACT).metadata().unwrap().nlink(), 1, "the artifact was written in place");
    assert!(place.is_bundled());
    drop(bundle);
}

#[test]
fn where_an_artifact_cannot_be_linked_it_is_copied() {
    for instead in [None, Some(b"another file")] {
        let place = Place::new();
        place.load(place.bytes()).unwrap();
        let authentication = key_file::load(&place.key()).unwrap();
        let shelf = Shelf { directory: OwnedDirectory::open(place.shelf()).unwrap(), authentication };
        let native = shelf.native(&place.key_of()).unwrap();
        let manifest = Manifest::of(&place.metadata(), &place.key_of(), &place.wasm, &native).unwrap();
        std::fs::remove_file(place.file("cwasm")).unwrap();
        if let Some(instead) = instead {
            std::fs::write(place.file("cwasm"), instead).unwrap();
        }
        shelf.make_bundle(&place.key_of(), &native, &manifest).unwrap();
        assert_eq!(place.bundled(BUNDLE_ARTIFACT).metadata().unwrap().nlink(), 1);
        assert!(place.is_bundled());
        assert_eq!(std::fs::read(place.bundled(BUNDLE_ARTIFACT)).unwrap(), native);
    }
}

#[test]
fn what_cannot_be_bundled_says_why_and_can_be_tried_again() {
    let mut place = Place::new();
    assert!(matches!(place.bundle(place.gone()), Err(ExtensionError::Missing { .. })));
    std::fs::write(place.directory.path().join("gone.wasm"), b"other").unwrap();
    let error = place.bundle(place.gone()).unwrap_err();
    assert!(error.to_string().contains("is not what was installed"), "{error}");
    let good = std::mem::replace(&mut place.wasm, b"\0asm".to_vec());
    let error = place.bundle(place.bytes()).unwrap_err();
    assert!(matches!(error, ExtensionError::Compile { .. }), "{error}");
    assert!(place.kept().iter().all(|kept| !kept.bundled), "a failure left a bundle");
    place.wasm = good;
    place.bundle(place.bytes()).unwrap();
}

#[test]
fn without_a_place_for_it_there_is_no_bundle_and_the_place_is_named() {
    let place = Place::new();
    std::fs::write(place.cache(), b"a file").unwrap();
    let error = place.bundle(place.bytes()).unwrap_err().to_string();
    for word in ["@test/guest", &*place.cache().to_string_lossy(), "PEAT_CACHE_DIR"] {
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn a_full_disk_leaves_no_half_bundle_at_any_point() {
    let Some(disk) = ScarceDisk::mount(1_024) else { return };
    let place = Place::new().with_cache(&disk.path().join("cache"));
    let (mut refused, mut made) = (0, 0);
    for free_kib in (0..160).step_by(4) {
        disk.fill(free_kib);
        match place.bundle(place.bytes()) {
            Ok(bundle) => {
                let native = std::fs::read(bundle.directory.join(BUNDLE_ARTIFACT)).unwrap();
                assert_eq!(Digest::of(&native), bundle.digest, "{free_kib} KiB");
                made += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains("PEAT_CACHE_DIR"), "{free_kib} KiB: {error}");
                refused += 1;
            }
        }
        disk.empty();
        if place.cache().exists() {
            let left = place.left();
            assert!(left.iter().all(|ending| ["bundle", "cwasm", "lock", "record"].contains(&&**ending)), "{left:?}");
            assert!(inventory::verify(&place.cache(), &place.key()).unwrap().is_empty(), "{free_kib} KiB");
            std::fs::remove_dir_all(place.cache()).unwrap();
        }
    }
    assert!(refused > 0 && made > 0, "{refused} refused, {made} made: the disk was never full, or always");
    place.bundle(place.bytes()).unwrap();
}

#[test]
fn a_bundle_counts_once_and_goes_with_its_artifact() {
    let place = Place::new();
    place.load(place.bytes()).unwrap();
    let before = place.kept()[0].clone();
    assert!(!before.bundled);
    drop(place.bundle(place.bytes()).unwrap());
    let after = place.kept()[0].clone();
    let manifest = place.bundled("manifest.json").metadata().unwrap().len();
    assert!(after.bundled);
    assert_eq!(after.bytes, before.bytes + manifest, "the artifact was counted twice");
    assert_eq!(inventory::remove(&place.cache(), &place.kept()).unwrap(), Freed { bytes: after.bytes, in_use: 0 });
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn a_bundle_in_use_stays_and_goes_when_it_is_not_used_any_more() {
    let mut place = Place::new();
    let bundle = place.bundle(place.bytes()).unwrap();
    let clone = bundle.clone();
    drop(bundle);
    assert_eq!(inventory::remove(&place.cache(), &place.kept()).unwrap(), Freed { bytes: 0, in_use: 1 });
    place.used_at(1_000);
    // Nor does it go for lack of room.
    place.bytes_max = 0;
    place = place.with_another_component("another");
    place.load(place.bytes()).unwrap();
    assert_eq!(place.kept().len(), 2);
    assert!(clone.directory.join(BUNDLE_ARTIFACT).exists());
    drop(clone);
    place = place.with_another_component("a third");
    place.load(place.bytes()).unwrap();
    assert_eq!(place.kept().len(), 1);
}

#[test]
fn use_of_a_bundle_counts_as_use() {
    let place = Place::new();
    drop(place.bundle(place.bytes()).unwrap());
    place.used_at(1_000);
    let first = place.kept()[0].used_ms;
    assert!(first > 1_000_000, "only the record was looked at");
    let long_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(2_000);
    File::options().write(true).open(place.bundled("manifest.json")).unwrap().set_modified(long_ago).unwrap();
    assert_eq!(place.kept()[0].used_ms, 2_000_000);
    // Looking is no use, using is.
    inventory::verify(&place.cache(), &place.key()).unwrap();
    assert_eq!(place.kept()[0].used_ms, 2_000_000);
    assert!(place.is_bundled());
    assert!(place.kept()[0].used_ms > 2_000_000);
}
