//! The local store on SQLite does what every local store must do.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

use peat_conformance_tests::samples::{append, new_entry};
use peat_conformance_tests::{Fixture, local_store_suite};
use peat_core::entry::ChangeSet;
use peat_core::ports::{EntryFilter, LocalStore as _, StoreError};
use peat_store::{Departure, SqliteStore, StoreSettings};

local_store_suite!(Fixture::in_directory(|path| {
    let settings = StoreSettings::default();
    SqliteStore::open(path, settings).unwrap()
}));

#[test]
fn what_was_left_takes_nothing_more() {
    let place = tempfile::tempdir().unwrap();
    let open = || SqliteStore::open(place.path(), StoreSettings::default()).unwrap();
    let changes = |number| -> ChangeSet { append(number, "p", vec![new_entry("data", &[7; 100_000])]) };
    // Another process has it open already.
    let (store, other) = (open(), open());
    store.commit(&changes(1)).unwrap();
    other.stage(&changes(2), 1).unwrap();
    let departure = Departure { to: "@peat/s3".to_owned(), repository: "/repository".into() };
    assert!(!store.leave(&departure).unwrap(), "what is staged would never be sent");
    assert_eq!(other.departure().unwrap(), None);
    other.discard(&changes(2).commit_id).unwrap();
    assert!(store.leave(&departure).unwrap());
    assert_eq!(other.departure().unwrap().as_ref(), Some(&departure));
    let refused = |answer: Result<(), StoreError>| match answer {
        Err(StoreError::Left { to, .. }) => assert_eq!(to, "@peat/s3"),
        other => panic!("{other:?}"),
    };
    refused(other.writable());
    refused(other.stage(&changes(3), 1));
    refused(other.commit(&changes(3)).map(drop));
    assert_eq!(open().entries(&EntryFilter::default()).unwrap().len(), 1);
    // What was answered once is answered again.
    assert_eq!(other.commit(&changes(1)).unwrap().entries.len(), 1);
    open().enter().unwrap();
    other.writable().unwrap();
    other.commit(&changes(3)).unwrap();
}
