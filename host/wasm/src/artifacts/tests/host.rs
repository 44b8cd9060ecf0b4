//! What a host makes of it: one bundle a component and process, made again when it fails or is gone.

use std::sync::Arc;

use peat_test_support::clock::ManualClock;
use peat_test_support::random::SeededRandom;

use super::*;
use crate::{ExtensionSource, Host, HostOptions, Limits};

fn host(place: &Place) -> Host {
    Host::new(HostOptions {
        cache_dir: place.cache(),
        cache_bytes_max: u64::MAX,
        quick_bytes_min: None,
        key_file: place.key(),
        limits: Limits::default(),
        clock: Arc::new(ManualClock::default()),
        random: Arc::new(SeededRandom::new(1)),
    })
}

/// The source of a component that is installed.
fn source(place: &Place) -> ExtensionSource {
    let metadata = place.metadata();
    let path = place.directory.path().join("component.wasm");
    std::fs::write(&path, &place.wasm).unwrap();
    ExtensionSource { name: metadata.name.clone(), path, digest: Digest::of(&place.wasm), metadata: Arc::new(metadata) }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_have_one_bundle() {
    let place = Place::new();
    let (host, source) = (host(&place), source(&place));
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let (host, source) = (host.clone(), source.clone());
            tokio::spawn(async move { host.bundle(&source).await.unwrap() })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap().directory, place.file("bundle"));
    }
    assert_eq!(place.left(), ["bundle", "cwasm", "lock", "record"]);
    // The host keeps it for as long as it lives.
    assert_eq!(inventory::remove(&place.cache(), &place.kept()).unwrap().in_use, 1);
    drop(host);
    assert_eq!(inventory::remove(&place.cache(), &place.kept()).unwrap().in_use, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_that_was_deleted_since_it_was_listed_is_missed_by_name_and_found_when_it_is_back() {
    let place = Place::new();
    let (host, source) = (host(&place), source(&place));
    std::fs::remove_file(&source.path).unwrap();
    let error = host.bundle(&source).await.unwrap_err();
    assert!(matches!(error, ExtensionError::Missing { .. }), "{error}");
    std::fs::write(&source.path, &place.wasm).unwrap();
    host.bundle(&source).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_somebody_removed_by_hand_is_made_again() {
    let place = Place::new();
    let (host, source) = (host(&place), source(&place));
    let bundle = host.bundle(&source).await.unwrap();
    std::fs::remove_dir_all(place.cache()).unwrap();
    let again = host.bundle(&source).await.unwrap();
    assert_eq!(again.digest, bundle.digest);
    assert!(again.directory.join(BUNDLE_ARTIFACT).exists());
}
