//! The cache under everything that can happen to it.

mod bundles;
mod bundles_under_attack;
mod host;
mod keys;
mod locks;
mod place;
mod processes;
mod quick;

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use self::place::Place;
use super::*;

#[test]
fn a_compiled_component_is_loaded_without_its_wasm() {
    let place = Place::new();
    place.load(place.bytes()).unwrap();
    place.load(place.gone()).unwrap();
    let mode = place.file("cwasm").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(place.cache().metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

/// How many places of this process are mapped from sealed memory and executed.
fn mapped_code() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("r-xp") && line.contains("memfd:peat-artifact")).count()
}

#[test]
fn an_artifact_is_copied_once_to_memory_that_nobody_can_change_and_goes_with_its_component() {
    let place = Place::new().with_another_component("f");
    place.load(place.bytes()).unwrap();
    assert_eq!(mapped_code(), 0);
    let component = place.load(place.gone()).unwrap();
    assert_eq!(mapped_code(), 1);
    drop(component);
    assert_eq!(mapped_code(), 0);
}

#[test]
fn where_no_such_memory_can_be_had_an_artifact_is_copied_and_verified_all_the_same() {
    let place = Place::new().with_another_component("f");
    place.load(place.bytes()).unwrap();
    let (engine, key) = (place.engine.engine(), place.key_of());
    let shelf = Shelf {
        directory: OwnedDirectory::open(place.shelf()).unwrap(),
        authentication: key_file::load(&place.key()).unwrap(),
    };
    let component = shelf.copied(engine, &key).unwrap();
    assert_eq!(mapped_code(), 0);
    drop(component);
    let mut forged = std::fs::read(place.file("cwasm")).unwrap();
    *forged.last_mut().unwrap() ^= 1;
    std::fs::write(place.file("cwasm"), forged).unwrap();
    assert!(shelf.copied(engine, &key).is_none());
    assert!(!place.file("cwasm").exists(), "it was not set aside");
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
    assert_eq!(place.left(), ["cwasm", "lock", "record"]);
}

#[test]
fn what_does_not_compile_says_so() {
    let place = Place::new();
    let (cache, key) = (place.cache(), place.key());
    let broken = b"\0asm".to_vec();
    let error = Artifacts { cache_dir: &cache, key_file: &key, bytes_max: u64::MAX }
        .component("@test/guest", place.compilers(), Digest::of(&broken), Origin::Bytes(broken))
        .unwrap_err();
    assert!(matches!(error, ExtensionError::Compile { .. }), "{error}");
}

#[test]
fn a_byte_flipped_anywhere_is_noticed() {
    let place = Place::new();
    place.load(place.bytes()).unwrap();
    let good = std::fs::read(place.file("cwasm")).unwrap();
    let record = std::fs::read(place.file("record")).unwrap();
    // Every 97th byte: each section of the file many times.
    for position in (0..good.len()).step_by(97).chain([good.len() - 1]) {
        let mut flipped = good.clone();
        flipped[position] ^= 0x10;
        std::fs::write(place.file("cwasm"), flipped).unwrap();
        std::fs::write(place.file("record"), &record).unwrap();
        assert!(!place.is_kept(), "byte {position} of {} was not protected", good.len());
    }
}

#[test]
fn artifacts_that_are_swapped_are_not_loaded_for_each_other() {
    let one = Place::new();
    one.load(one.bytes()).unwrap();
    let files = (std::fs::read(one.file("cwasm")).unwrap(), std::fs::read(one.file("record")).unwrap());
    let other = one.with_another_component("other");
    other.load(other.bytes()).unwrap();
    std::fs::write(other.file("cwasm"), &files.0).unwrap();
    assert!(!other.is_kept(), "the artifact of another component was loaded");
    std::fs::write(other.file("cwasm"), &files.0).unwrap();
    std::fs::write(other.file("record"), &files.1).unwrap();
    assert!(!other.is_kept(), "artifact and record of another component were loaded");
}

#[test]
fn an_artifact_of_another_engine_is_not_loaded() {
    let place = Place::new();
    place.load(place.bytes()).unwrap();
    let (own, fingerprint) = (place.shelf(), place.shelf().file_name().unwrap().to_owned());
    let other = place.cache().join("v1/11111111111111111111111111111111");
    std::fs::create_dir(&other).unwrap();
    std::fs::rename(own, other.join(fingerprint)).unwrap();
    assert!(!place.is_kept());
    // Its record says for which engine it is: under another key it is not taken either.
    let engine = SharedEngine::new().unwrap().with_key("11111111111111111111111111111111");
    let compilers = Compilers { engine: &engine, quick: None };
    let (cache, key_file) = (place.cache(), place.key());
    let artifacts = Artifacts { cache_dir: &cache, key_file: &key_file, bytes_max: u64::MAX };
    let loaded = artifacts.component("@test/guest", compilers, Digest::of(&place.wasm), place.gone());
    assert!(matches!(loaded, Err(ExtensionError::Missing { .. })));
}

#[test]
fn symbolic_links_lead_nowhere_wherever_they_stand() {
    for link in ["record", "key", "engine", "version"] {
        let place = Place::new();
        place.load(place.bytes()).unwrap();
        let linked = match link {
            "record" => place.file("record"),
            "key" => place.shelf(),
            "engine" => place.shelf().parent().unwrap().to_owned(),
            _ => place.cache().join("v1"),
        };
        let elsewhere = place.directory.path().join("elsewhere");
        std::fs::rename(&linked, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &linked).unwrap();
        assert!(!place.is_kept(), "{link} was followed");
        // It is no error either: what cannot be kept is compiled.
        place.load(place.bytes()).unwrap();
    }
}

#[test]
fn a_cache_of_somebody_else_is_not_used() {
    let place = Place::new();
    place.load(place.bytes()).unwrap();
    let directory = place.shelf();
    match std::os::unix::fs::chown(&directory, Some(12_345), None) {
        // Only root can give a directory away: elsewhere nobody can put one here either.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return,
        other => other.unwrap(),
    }
    assert!(!place.is_kept());
    place.load(place.bytes()).unwrap();
}

#[test]
fn files_that_are_exchanged_all_the_time_are_loaded_whole_or_made_again() {
    let place = Place::new();
    place.load(place.bytes()).unwrap();
    let good = std::fs::read(place.file("cwasm")).unwrap();
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let half = place.directory.path().join("half");
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                std::fs::write(&half, &good[..good.len() / 2]).unwrap();
                let _ = std::fs::rename(&half, place.file("cwasm"));
            }
        });
        for _ in 0..200 {
            place.load(place.bytes()).unwrap();
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn what_was_not_used_for_longest_goes_first_and_what_was_just_made_stays() {
    let mut place = Place::new();
    place.load(place.bytes()).unwrap();
    place.used_at(1_000);
    let first = place.wasm.clone();
    place = place.with_another_component("second");
    place.load(place.bytes()).unwrap();
    place.used_at(2_000);
    let second = std::mem::take(&mut place.wasm);
    place.wasm = first.clone();
    // Its use is noted: the other one is older now.
    assert!(place.is_kept());
    place.bytes_max = place.kept().iter().map(|kept| kept.bytes).sum::<u64>() + 1;
    place = place.with_another_component("third");
    place.load(place.bytes()).unwrap();
    let left: Vec<Digest> = place.kept().iter().map(|kept| kept.component).collect();
    assert_eq!(left.len(), 2);
    assert!(left.contains(&Digest::of(&first)), "what was used last was removed");
    assert!(!left.contains(&Digest::of(&second)));

    place.bytes_max = 0;
    place = place.with_another_component("fourth");
    place.load(place.bytes()).unwrap();
    assert!(place.is_kept(), "what was just made was removed");
    assert_eq!(place.kept().len(), 1);
}

#[test]
fn what_a_killed_process_left_is_counted_and_removed_with_its_artifact_and_nothing_else_is() {
    let place = Place::new();
    place.load(place.bytes()).unwrap();
    let foreign = place.file("cwasm").with_file_name("somebody.else");
    std::fs::write(&foreign, b"foreign").unwrap();
    let before = place.kept()[0].bytes;
    std::fs::write(place.file("cwasm.0123456789abcdef"), [0; 1000]).unwrap();
    assert_eq!(place.kept()[0].bytes, before + 1000);
    let freed = inventory::remove(&place.cache(), &place.kept()).unwrap();
    assert_eq!(freed, Freed { bytes: before + 1000, in_use: 0 });
    assert!(place.kept().is_empty());
    assert!(foreign.exists());
    let left = std::fs::read_dir(foreign.parent().unwrap()).unwrap().count();
    assert_eq!(left, 1);
}

#[test]
fn verifying_sets_aside_what_does_not_fit_and_nothing_else() {
    let place = Place::new();
    assert!(inventory::verify(&place.cache(), &place.key()).unwrap().is_empty());
    place.load(place.bytes()).unwrap();
    assert!(inventory::verify(&place.cache(), &place.key()).unwrap().is_empty());
    assert!(place.is_kept());
    let mut bytes = std::fs::read(place.file("cwasm")).unwrap();
    bytes[100] ^= 1;
    std::fs::write(place.file("cwasm"), bytes).unwrap();
    let rejected = inventory::verify(&place.cache(), &place.key()).unwrap();
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0].reason, "the artifact is not what was recorded");
    assert!(!place.kept()[0].usable);
    assert!(inventory::verify(&place.cache(), &place.key()).unwrap().is_empty());
}
