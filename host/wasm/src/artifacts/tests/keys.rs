//! Several keys in one cache.

use super::*;

#[test]
fn two_keys_share_a_cache_and_neither_sets_aside_what_the_other_made() {
    let mut place = Place::new();
    place.load(place.bytes()).unwrap();
    let first = place.shelf();
    place = place.with_another_key();
    assert!(!place.is_kept(), "what another key vouches for was trusted");
    place.load(place.bytes()).unwrap();
    place.bundle(place.bytes()).unwrap();
    assert_ne!(place.shelf(), first);
    assert!(place.is_kept());
    assert_eq!(place.left(), ["bundle", "cwasm", "lock", "record"]);
    let mut left: Vec<_> = std::fs::read_dir(first).unwrap().map(|entry| entry.unwrap().path()).collect();
    left.sort();
    let endings: Vec<_> = left.iter().map(|path| path.extension().unwrap()).collect();
    assert_eq!(endings, ["cwasm", "lock", "record"]);
}

#[test]
fn an_artifact_or_a_bundle_of_another_key_in_ones_own_place_is_set_aside() {
    let mut place = Place::new();
    place.load(place.bytes()).unwrap();
    drop(place.bundle(place.bytes()).unwrap());
    let first = place.shelf();
    place = place.with_another_key();
    place.load(place.bytes()).unwrap();
    std::fs::remove_dir_all(place.shelf()).unwrap();
    std::fs::rename(first, place.shelf()).unwrap();
    assert!(!place.is_bundled(), "the bundle of another key was used");
    assert!(!place.is_kept(), "the artifact of another key was loaded");
    place.bundle(place.bytes()).unwrap();
    assert!(place.is_kept() && place.is_bundled());
}

#[test]
fn verifying_looks_at_nothing_of_another_key() {
    let mut place = Place::new();
    place.load(place.bytes()).unwrap();
    std::fs::write(place.file("cwasm"), b"damaged").unwrap();
    let damaged = place.file("record");
    place = place.with_another_key();
    assert!(inventory::verify(&place.cache(), &place.key()).unwrap().is_empty(), "without a key");
    assert!(!place.key().exists(), "looking made a key");
    place.load(place.bytes()).unwrap();
    assert!(inventory::verify(&place.cache(), &place.key()).unwrap().is_empty());
    assert!(damaged.exists(), "what another key vouches for was set aside");
    std::fs::write(place.file("cwasm"), b"damaged").unwrap();
    assert_eq!(inventory::verify(&place.cache(), &place.key()).unwrap().len(), 1);
}

#[test]
fn what_another_key_vouches_for_counts_and_goes_when_there_is_no_room() {
    let mut place = Place::new();
    place.load(place.bytes()).unwrap();
    place.used_at(1_000);
    let first = place.file("record");
    place = place.with_another_key();
    place.load(place.bytes()).unwrap();
    place.used_at(2_000);
    let kept = place.kept();
    assert_eq!(kept.len(), 2);
    assert_ne!(kept[0].key, kept[1].key);
    assert_eq!(kept[0].component, kept[1].component);
    place = place.with_another_component("another");
    place.load(place.bytes()).unwrap();
    // Room for all but one byte: what the other key vouches for was not used for longest.
    place.bytes_max = place.kept().iter().map(|kept| kept.bytes).sum::<u64>() - 1;
    std::fs::remove_file(place.file("record")).unwrap();
    place.load(place.bytes()).unwrap();
    assert_eq!(place.kept().len(), 2);
    assert!(!first.exists(), "what was not used for longest is still there");
    let freed = inventory::remove(&place.cache(), &place.kept()).unwrap();
    assert!(freed.bytes > 0 && place.kept().is_empty());
}
