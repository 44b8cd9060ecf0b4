//! A local store that an older Peat wrote is brought to the newest format when it is opened, with everything in it.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

use std::path::Path;

use peat_conformance_tests::samples::{delta, description, entry, partition, read};
use peat_core::content::in_memory;
use peat_core::digest::Digest;
use peat_core::ports::{DeltaMode, EntryFilter, LocalStore, Missing, MissingFilter, Replica, StoredState};
use peat_store::{SqliteStore, StoreSettings};

const FORMAT_1: &str = include_str!("local_store_format_1.sql");

/// A store of format 1: of two entries one has no content here.
fn of_format_1(place: &Path) {
    let database = rusqlite::Connection::open(place.join("store.db")).unwrap();
    database.execute_batch(FORMAT_1).unwrap();
    database.execute("INSERT INTO partitions (name, known) VALUES ('p', 'v1')", ()).unwrap();
    for (name, content) in [("here", "one"), ("remote", "three")] {
        let description = serde_json::to_string(&description(name, content.as_bytes())).unwrap();
        let digest = Digest::of(content.as_bytes());
        let sql = "INSERT INTO entries (partition, name, version, digest, failed, description, location)
                   VALUES ('p', ?1, 1, ?2, 0, ?3, 'pack:1')";
        database.execute(sql, (name, digest.as_bytes(), description)).unwrap();
    }
    let sql = "INSERT INTO contents (digest, size, bytes) VALUES (?1, 3, ?2)";
    database.execute(sql, (Digest::of(b"one").as_bytes(), b"one")).unwrap();
}

fn open(place: &Path) -> SqliteStore {
    SqliteStore::open(place, StoreSettings::default()).unwrap()
}

#[test]
fn a_store_of_format_1_keeps_everything_and_learns_what_is_missing() {
    let place = tempfile::tempdir().unwrap();
    of_format_1(place.path());
    // The second time it is already of the newest format.
    for _ in 0..2 {
        let store = open(place.path());
        let entries = store.entries(&EntryFilter::default()).unwrap();
        let states: Vec<_> =
            entries.iter().map(|stored| (stored.entry.description.name.as_str(), stored.state)).collect();
        assert_eq!(states, [("here", StoredState::Here), ("remote", StoredState::Remote)]);
        assert_eq!(store.missing_total(None).unwrap(), Missing { entries: 1, bytes: 5 });
        assert_eq!(store.known(&[partition("p")]).unwrap(), [Some("v1".to_owned())]);
        assert!(store.unread().unwrap().is_empty());
        assert!(store.examine().unwrap().is_empty());
    }
    let store = open(place.path());
    store.keep(&Digest::of(b"three"), &in_memory(*b"three")).unwrap();
    assert!(store.missing(&MissingFilter::default()).unwrap().is_empty());
    store.apply(&delta("p", DeltaMode::Extend, "v2", vec![entry("new", 1, b"new")], false)).unwrap();
    assert_eq!(store.missing_total(None).unwrap(), Missing { entries: 1, bytes: 3 });
    assert_eq!(read(&store.content(&Digest::of(b"one")).unwrap().unwrap()), b"one");
}

#[test]
fn an_entry_whose_description_is_damaged_does_not_stop_the_others() {
    let place = tempfile::tempdir().unwrap();
    of_format_1(place.path());
    let database = rusqlite::Connection::open(place.path().join("store.db")).unwrap();
    database.execute("UPDATE entries SET description = 'no JSON' WHERE name = 'here'", ()).unwrap();
    drop(database);
    let store = open(place.path());
    assert_eq!(store.missing_total(None).unwrap(), Missing { entries: 1, bytes: 5 });
    assert_eq!(store.missing(&MissingFilter::default()).unwrap().len(), 1);
}
