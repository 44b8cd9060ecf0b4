//! Objects in a directory on a bad day: damaged, full, read-only, or with strange files among them.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use peat_conformance_tests::samples::{bytes, read};
use peat_core::content;
use peat_core::ports::{Condition, Lookup, ObjectError, ObjectStore, Range};
use peat_store::DirectoryObjects;
use peat_test_support::scarce_disk::ScarceDisk;

async fn put(store: &DirectoryObjects, key: &str, bytes: &[u8]) -> Result<String, ObjectError> {
    store.put(key, content::in_memory(bytes), Condition::Always).await
}

async fn get(store: &DirectoryObjects, key: &str) -> Result<Vec<u8>, ObjectError> {
    match store.get(key, None).await? {
        Lookup::Found(found) => Ok(read(&found.content)),
        Lookup::NotModified => panic!("not modified, though nothing was asked against"),
    }
}

async fn keys(store: &DirectoryObjects) -> Vec<String> {
    store.list("", false, None).await.unwrap().objects.into_iter().map(|object| object.key).collect()
}

#[tokio::test]
async fn a_damaged_object_is_named_and_hides_no_other() {
    let place = tempfile::tempdir().unwrap();
    let store = DirectoryObjects::open(place.path()).unwrap();
    put(&store, "space/good", b"good").await.unwrap();
    let etag = put(&store, "space/head", &bytes(1, 500_000)).await.unwrap();
    let file = place.path().join("space/head.object");
    let whole = std::fs::read(&file).unwrap();
    let mut longer = whole.clone();
    longer.push(0);
    let mut other_header = whole.clone();
    other_header[25] ^= 1;
    for damaged in [&b""[..], &whole[..10], &whole[..48], &whole[..whole.len() - 1], &longer, &other_header, b"{}"] {
        std::fs::write(&file, damaged).unwrap();
        let parts = store.get_ranges("space/head", &[Range { offset: 0, length: 1 }]).await.map(|_| Vec::new());
        for answer in [get(&store, "space/head").await, parts] {
            let error = answer.unwrap_err();
            assert!(matches!(&error, ObjectError::Corrupt { key, .. } if key == "space/head"), "{error:?}");
            assert!(error.to_string().contains("head.object"), "{error}");
        }
        let swap = store.put("space/head", content::in_memory(*b"x"), Condition::Matches(etag.clone())).await;
        assert!(matches!(swap, Err(ObjectError::Conflict { .. })), "{swap:?}");
        let create = store.put("space/head", content::in_memory(*b"x"), Condition::Absent).await;
        assert!(matches!(create, Err(ObjectError::Conflict { .. })), "{create:?}");
        assert_eq!(keys(&store).await, ["space/good", "space/head"]);
        assert_eq!(get(&store, "space/good").await.unwrap(), b"good");
    }
    // Whoever knows that it is damaged replaces it, once.
    let damaged = store.list("space/head", false, None).await.unwrap().objects.remove(0);
    assert_eq!((damaged.etag.as_str(), damaged.size), ("damaged", 0));
    for is_first in [true, false] {
        let condition = Condition::Matches(damaged.etag.clone());
        let replaced = store.put("space/head", content::in_memory(*b"mended"), condition).await;
        assert_eq!(replaced.is_ok(), is_first, "{replaced:?}");
    }
    assert_eq!(get(&store, "space/head").await.unwrap(), b"mended");
    store.delete(&["space/head".to_owned()]).await.unwrap();
    put(&store, "space/head", b"again").await.unwrap();
    assert_eq!(get(&store, "space/head").await.unwrap(), b"again");
}

#[tokio::test]
async fn a_full_disk_is_said_so_and_the_object_stays_what_it_was() {
    let Some(disk) = ScarceDisk::mount(2_048) else { return };
    let store = DirectoryObjects::open(disk.path()).unwrap();
    put(&store, "head", b"before").await.unwrap();
    disk.fill(40);
    for length in [100_000, 1_000_000] {
        let refused = put(&store, "head", &bytes(1, length)).await;
        assert!(matches!(&refused, Err(ObjectError::Exhausted { key, .. }) if key == "head"), "{refused:?}");
        assert_eq!(get(&store, "head").await.unwrap(), b"before");
    }
    put(&store, "head", b"small").await.unwrap();
    assert_eq!(std::fs::read_dir(disk.path().join(".peat-store/incoming")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_read_only_directory_can_be_read() {
    let Some(disk) = ScarceDisk::mount(2_048) else { return };
    let store = DirectoryObjects::open(disk.path()).unwrap();
    put(&store, "space/head", b"before").await.unwrap();
    disk.make_read_only();
    for store in [store, DirectoryObjects::open(disk.path()).unwrap()] {
        assert_eq!(get(&store, "space/head").await.unwrap(), b"before");
        assert_eq!(keys(&store).await, ["space/head"]);
        let refused = put(&store, "space/head", b"x").await;
        assert!(matches!(refused, Err(ObjectError::Denied { .. })), "{refused:?}");
        let failures = store.delete(&["space/head".to_owned()]).await.unwrap();
        assert!(matches!(&failures[..], [(_, ObjectError::Denied { .. })]), "{failures:?}");
    }
}

#[tokio::test]
async fn a_read_only_directory_that_never_was_a_store_can_be_opened() {
    let Some(disk) = ScarceDisk::mount(2_048) else { return };
    disk.make_read_only();
    let store = DirectoryObjects::open(disk.path()).unwrap();
    assert!(keys(&store).await.is_empty());
    assert!(matches!(put(&store, "a", b"x").await, Err(ObjectError::Denied { .. })));
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_not_made_up() {
    let place = tempfile::tempdir().unwrap();
    let missing = place.path().join("not-mounted");
    let error = DirectoryObjects::open(&missing).unwrap_err();
    assert!(error.to_string().contains("not-mounted"), "{error}");
    assert!(!missing.exists());
}

#[tokio::test]
async fn links_do_not_lead_out_of_the_directory() {
    let place = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let other = DirectoryObjects::open(outside.path()).unwrap();
    put(&other, "deep/secret", b"secret").await.unwrap();
    let store = DirectoryObjects::open(place.path()).unwrap();
    symlink(outside.path().join("deep"), place.path().join("deep")).unwrap();
    symlink(outside.path().join("deep/secret.object"), place.path().join("link.object")).unwrap();
    for key in ["deep/secret", "link"] {
        let read = get(&store, key).await;
        assert!(read.is_err(), "{key} led outside");
    }
    assert!(put(&store, "deep/new", b"x").await.is_err());
    assert!(!outside.path().join("deep/new.object").exists());
}

#[tokio::test]
async fn strange_files_are_no_objects() {
    let place = tempfile::tempdir().unwrap();
    let store = DirectoryObjects::open(place.path()).unwrap();
    put(&store, "a", b"1").await.unwrap();
    std::fs::write(place.path().join("README.txt"), "hello").unwrap();
    std::fs::create_dir_all(place.path().join("empty/deeper")).unwrap();
    std::fs::create_dir_all(place.path().join("directory.object")).unwrap();
    assert_eq!(keys(&store).await, ["a"]);
    let folded = store.list("", true, None).await.unwrap().objects;
    assert_eq!(folded.len(), 1, "{folded:?}");
}

#[tokio::test]
async fn what_dead_writers_left_is_removed_and_young_files_are_not() {
    let place = tempfile::tempdir().unwrap();
    drop(DirectoryObjects::open(place.path()).unwrap());
    let incoming = place.path().join(".peat-store/incoming");
    let leave = |name: &str, age: u64| {
        let file = std::fs::File::create(incoming.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    };
    leave("old", 7_200);
    leave("young", 60);
    drop(DirectoryObjects::open(place.path()).unwrap());
    assert!(!incoming.join("old").exists() && incoming.join("young").exists());
}

#[tokio::test]
async fn a_held_lock_stops_writers_of_its_keys_and_no_readers() {
    let place = tempfile::tempdir().unwrap();
    let store = DirectoryObjects::open(place.path()).unwrap();
    put(&store, "head", b"1").await.unwrap();
    let locks: Vec<_> = all_locks(place.path());
    let writing = tokio::spawn({
        let store = store.clone();
        async move { put(&store, "head", b"2").await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!writing.is_finished(), "a writer did not wait for the lock");
    assert_eq!(get(&store, "head").await.unwrap(), b"1");
    drop(locks);
    writing.await.unwrap().unwrap();
    assert_eq!(get(&store, "head").await.unwrap(), b"2");
}

/// Holds every lock there is, as a stopped process would.
fn all_locks(place: &Path) -> Vec<std::fs::File> {
    let lock = |stripe: u8| {
        let path = place.join(".peat-store/locks").join(format!("{stripe:02x}"));
        let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(path).unwrap();
        file.lock().unwrap();
        file
    };
    (0..=255).map(lock).collect()
}
