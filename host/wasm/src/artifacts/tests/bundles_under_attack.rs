//! Bundles that somebody has laid hands on: none is used, each is made again.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// What somebody does to a bundle, and which place has it.
type Deed = (&'static str, fn(&Place));

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    // A file of its own: that of the artifact has two names.
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn elsewhere(place: &Place, path: &Path) {
    let elsewhere = place.directory.path().join("elsewhere");
    std::fs::rename(path, &elsewhere).unwrap();
    symlink(&elsewhere, path).unwrap();
}

const DEEDS: [Deed; 16] = [
    ("truncated native code", |place| change(&place.bundled(BUNDLE_ARTIFACT), |bytes| bytes.truncate(bytes.len() / 2))),
    ("longer native code", |place| change(&place.bundled(BUNDLE_ARTIFACT), |bytes| bytes.push(0))),
    ("empty native code", |place| change(&place.bundled(BUNDLE_ARTIFACT), Vec::clear)),
    ("no native code", |place| std::fs::remove_file(place.bundled(BUNDLE_ARTIFACT)).unwrap()),
    ("linked native code", |place| elsewhere(place, &place.bundled(BUNDLE_ARTIFACT))),
    ("a directory of native code", |place| {
        std::fs::remove_file(place.bundled(BUNDLE_ARTIFACT)).unwrap();
        std::fs::create_dir_all(place.bundled(BUNDLE_ARTIFACT).join("deep/inside")).unwrap();
    }),
    ("truncated manifest", |place| change(&place.bundled("manifest.json"), |bytes| bytes.truncate(20))),
    ("empty manifest", |place| change(&place.bundled("manifest.json"), Vec::clear)),
    ("endless manifest", |place| change(&place.bundled("manifest.json"), |bytes| bytes.resize(1 << 20, b' '))),
    ("no manifest", |place| std::fs::remove_file(place.bundled("manifest.json")).unwrap()),
    ("linked manifest", |place| elsewhere(place, &place.bundled("manifest.json"))),
    ("linked bundle", |place| elsewhere(place, &place.file("bundle"))),
    ("a file for a bundle", |place| {
        std::fs::remove_dir_all(place.file("bundle")).unwrap();
        std::fs::write(place.file("bundle"), b"a file").unwrap();
    }),
    ("an empty bundle", |place| {
        std::fs::remove_dir_all(place.file("bundle")).unwrap();
        std::fs::create_dir(place.file("bundle")).unwrap();
    }),
    ("a bundle that others can write", |place| {
        std::fs::set_permissions(place.file("bundle"), std::fs::Permissions::from_mode(0o777)).unwrap();
    }),
    // Nothing in the way keeps a bundle from being set aside.
    ("no native code, and one set aside before", |place| {
        std::fs::remove_file(place.bundled(BUNDLE_ARTIFACT)).unwrap();
        std::fs::create_dir_all(place.file("bundle.rejected").join("deep/inside")).unwrap();
        std::fs::write(place.file("bundle.rejected").join("a file"), b"a file").unwrap();
    }),
];

#[test]
fn whatever_does_not_fit_is_set_aside_and_made_again() {
    for (deed, act) in DEEDS {
        let place = Place::new();
        drop(place.bundle(place.bytes()).unwrap());
        act(&place);
        let refused = place.bundle(place.gone());
        assert!(matches!(refused, Err(ExtensionError::Missing { .. })), "{deed}: it was used");
        let made = place.bundle(place.bytes()).unwrap_or_else(|error| panic!("{deed}: {error}"));
        assert!(place.is_bundled(), "{deed}: it was not made again");
        assert!(made.is_in_place(), "{deed}");
        assert!(place.is_kept(), "{deed}: the artifact suffered");
    }
}

#[test]
fn verifying_sees_it_too_and_nothing_else() {
    for (deed, act) in DEEDS {
        let place = Place::new();
        drop(place.bundle(place.bytes()).unwrap());
        assert!(inventory::verify(&place.cache(), &place.key()).unwrap().is_empty());
        assert!(place.kept()[0].bundled);
        act(&place);
        let rejected = inventory::verify(&place.cache(), &place.key()).unwrap();
        assert_eq!(rejected.len(), 1, "{deed}: {rejected:?}");
        assert!(rejected[0].reason.starts_with("its bundle: "), "{deed}: {rejected:?}");
        assert!(place.kept()[0].usable && !place.kept()[0].bundled, "{deed}");
        assert!(inventory::verify(&place.cache(), &place.key()).unwrap().is_empty(), "{deed}");
        let freed = inventory::remove(&place.cache(), &place.kept()).unwrap();
        assert!(freed.bytes > 0 && place.left().is_empty(), "{deed}: {:?} stayed", place.left());
    }
}

#[test]
fn a_byte_flipped_anywhere_is_noticed() {
    let place = Place::new();
    drop(place.bundle(place.bytes()).unwrap());
    for (name, step) in [(BUNDLE_ARTIFACT, 97), ("manifest.json", 1)] {
        let good = std::fs::read(place.bundled(name)).unwrap();
        for position in (0..good.len()).step_by(step).chain([good.len() - 1]) {
            change(&place.bundled(name), |bytes| bytes[position] ^= 0x10);
            assert!(!place.is_bundled(), "{name}: byte {position} of {} was not protected", good.len());
            // What was set aside was good but for this byte.
            std::fs::rename(place.file("bundle.rejected"), place.file("bundle")).unwrap();
            change(&place.bundled(name), |bytes| bytes[position] ^= 0x10);
        }
        assert!(place.is_bundled());
    }
}

#[test]
fn native_code_that_was_changed_under_both_its_names_is_made_again() {
    let place = Place::new();
    drop(place.bundle(place.bytes()).unwrap());
    let mut native = std::fs::read(place.bundled(BUNDLE_ARTIFACT)).unwrap();
    let digest = Digest::of(&native);
    native[100] ^= 1;
    std::fs::write(place.bundled(BUNDLE_ARTIFACT), native).unwrap();
    assert!(!place.is_bundled());
    assert_eq!(place.bundle(place.bytes()).unwrap().digest, digest);
    assert!(place.is_kept());
}

#[test]
fn bundles_that_are_swapped_are_not_used_for_each_other() {
    let one = Place::new();
    drop(one.bundle(one.bytes()).unwrap());
    let first = one.file("bundle");
    let other = one.with_another_component("other");
    drop(other.bundle(other.bytes()).unwrap());
    let native = std::fs::read(first.join(BUNDLE_ARTIFACT)).unwrap();
    change(&other.bundled(BUNDLE_ARTIFACT), |bytes| *bytes = native);
    assert!(!other.is_bundled(), "the native code of another component was used");
    std::fs::rename(&first, other.file("bundle")).unwrap();
    assert!(!other.is_bundled(), "the bundle of another component was used");
}

#[test]
fn a_bundle_of_another_engine_is_not_used() {
    let place = Place::new();
    drop(place.bundle(place.bytes()).unwrap());
    let engine = "11111111111111111111111111111111";
    let own = place.shelf();
    let other = place.cache().join("v1").join(engine);
    std::fs::create_dir(&other).unwrap();
    std::fs::rename(&own, other.join(own.file_name().unwrap())).unwrap();
    let (cache, key_file) = (place.cache(), place.key());
    let artifacts = Artifacts { cache_dir: &cache, key_file: &key_file, bytes_max: u64::MAX };
    let engine = SharedEngine::new().unwrap().with_key(engine);
    let compilers = Compilers { engine: &engine, quick: None };
    let found = artifacts.bundle(compilers, Digest::of(&place.wasm), place.gone(), &place.metadata());
    assert!(matches!(found, Err(ExtensionError::Missing { .. })));
    assert!(!place.is_bundled());
}

#[test]
fn a_bundle_of_somebody_else_is_not_used() {
    let place = Place::new();
    drop(place.bundle(place.bytes()).unwrap());
    match std::os::unix::fs::chown(place.file("bundle"), Some(12_345), None) {
        // Only root can give a directory away: elsewhere nobody can put one here either.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return,
        other => other.unwrap(),
    }
    assert!(!place.is_bundled());
    place.bundle(place.bytes()).unwrap();
}

#[test]
fn bundles_that_are_exchanged_all_the_time_are_used_whole_or_made_again() {
    let place = Place::new();
    let digest = place.bundle(place.bytes()).unwrap().digest;
    let native = std::fs::read(place.bundled(BUNDLE_ARTIFACT)).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (half, away) = (place.directory.path().join("half"), place.directory.path().join("away"));
            while !over.load(Ordering::Relaxed) {
                std::fs::write(&half, &native[..native.len() / 2]).unwrap();
                let _ = std::fs::rename(&half, place.bundled(BUNDLE_ARTIFACT));
                let _ = std::fs::remove_dir_all(&away);
                let _ = std::fs::rename(place.file("bundle"), &away);
            }
        });
        let (mut made, mut refused) = (0, 0);
        for _ in 0..200 {
            match place.bundle(place.bytes()) {
                Ok(bundle) => {
                    assert_eq!(bundle.digest, digest);
                    made += 1;
                }
                // Whoever takes it away three times in a row while it is being made wins: a named error.
                Err(error) => {
                    assert!(error.to_string().contains("PEAT_CACHE_DIR"), "{error}");
                    refused += 1;
                }
            }
        }
        over.store(true, Ordering::Relaxed);
        assert!(made > 0, "{refused} times refused");
    });
    place.bundle(place.bytes()).unwrap();
}

#[test]
fn emptying_the_cache_under_those_who_make_bundles_is_in_nobodys_way() {
    let place = Place::new();
    place.bundle(place.bytes()).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                inventory::remove(&place.cache(), &place.kept()).unwrap();
            }
        });
        let makers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let bundle = place.bundle(place.bytes()).unwrap();
                        // Nobody removes it while it is in use.
                        let native = std::fs::read(bundle.directory.join(BUNDLE_ARTIFACT)).unwrap();
                        assert_eq!(Digest::of(&native), bundle.digest);
                        assert!(bundle.directory.join("manifest.json").exists());
                    }
                })
            })
            .collect();
        let ended: Vec<_> = makers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        over.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok));
    });
}
