//! The cache of the local store is written behind: when, and what that may cost.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

use std::path::Path;

use peat_conformance_tests::samples::{append, bytes, delta, entry, new_entry, partition, read};
use peat_core::content;
use peat_core::ports::{DeltaMode, LocalStore, PushReceipt, Replica};
use peat_store::{SqliteStore, StoreSettings};

fn open(place: &Path) -> SqliteStore {
    SqliteStore::open(place, StoreSettings::default()).unwrap()
}

fn database(place: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(place.join("store.db")).unwrap()
}

fn cached(store: &SqliteStore, key: &str) -> Option<Vec<u8>> {
    store.cached(key).unwrap().map(|content| read(&content))
}

/// Keys of the cache that are in the database.
fn written(database: &rusqlite::Connection) -> Vec<String> {
    let mut statement = database.prepare("SELECT key FROM cache ORDER BY key").unwrap();
    let keys = statement.query_map((), |row| row.get(0)).unwrap();
    keys.collect::<Result<_, _>>().unwrap()
}

/// Changes with every transaction that another connection commits.
fn version(database: &rusqlite::Connection) -> i64 {
    database.pragma_query_value(None, "data_version", |row| row.get(0)).unwrap()
}

#[test]
fn what_is_cached_is_written_with_the_receipt_of_a_run_and_in_no_transaction_of_its_own() {
    let place = tempfile::tempdir().unwrap();
    let (store, database) = (open(place.path()), database(place.path()));
    let before = version(&database);
    for written in [b"leased", b"renews", b"commit"] {
        store.cache("root", &content::in_memory(*written)).unwrap();
        assert_eq!(cached(&store, "root").as_deref(), Some(&written[..]));
    }
    store.cache("glance", &content::in_memory(*b"nobody")).unwrap();
    store.cache("glance", &content::in_memory(*b"")).unwrap();
    assert_eq!(version(&database), before, "a transaction");

    let changes = append(1, "p", vec![new_entry("a", b"1")]);
    store.stage(&changes, 1).unwrap();
    assert!(written(&database).is_empty(), "what a commit waits for the disk with is the commit");
    let receipt = PushReceipt { version: "v1".to_owned(), ..receipt_of(&changes) };
    store.confirm(&changes.commit_id, &partition("p"), &receipt).unwrap();
    assert_eq!(written(&database), ["root"]);
    assert_eq!(cached(&open(place.path()), "root").as_deref(), Some(&b"commit"[..]));
}

fn receipt_of(changes: &peat_core::entry::ChangeSet) -> PushReceipt {
    let entries = changes.append.iter().map(|new| peat_core::entry::Entry {
        description: new.description.clone(),
        version: peat_core::identifiers::Version(1),
        location: String::new(),
    });
    PushReceipt::local(entries.collect(), Vec::new(), String::new())
}

#[test]
fn what_waits_is_written_when_the_store_is_closed() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path());
    store.cache("kept", &content::in_memory(*b"before")).unwrap();
    store.cache("forgotten", &content::in_memory(*b"before")).unwrap();
    drop(store);
    let store = open(place.path());
    store.cache("kept", &content::in_memory(*b"after")).unwrap();
    store.cache("forgotten", &content::in_memory(*b"")).unwrap();
    assert_eq!(cached(&store, "forgotten"), None);
    drop(store);
    let store = open(place.path());
    assert_eq!(cached(&store, "kept").as_deref(), Some(&b"after"[..]));
    assert_eq!(cached(&store, "forgotten"), None);
    assert_eq!(written(&database(place.path())), ["kept"]);
}

#[test]
fn more_than_half_a_megabyte_does_not_wait() {
    let place = tempfile::tempdir().unwrap();
    let (store, database) = (open(place.path()), database(place.path()));
    for number in 0..30 {
        store.cache(&format!("key-{number:02}"), &content::in_memory(bytes(number, 60_000))).unwrap();
        let waits = number as usize + 1 - written(&database).len();
        assert!(waits * 60_000 <= 512 * 1024, "{waits} wait");
    }
    for number in 0..30 {
        assert_eq!(cached(&store, &format!("key-{number:02}")), Some(bytes(number, 60_000)));
    }
}

#[test]
fn what_is_large_is_written_at_once_and_nothing_that_waited_takes_its_place() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path());
    store.cache("segment", &content::in_memory(*b"small")).unwrap();
    store.cache("segment", &content::in_memory(bytes(1, 100_000))).unwrap();
    assert_eq!(written(&database(place.path())), ["segment"]);
    drop(store);
    assert_eq!(cached(&open(place.path()), "segment"), Some(bytes(1, 100_000)));
}

#[test]
fn a_cache_that_refuses_costs_the_transaction_it_comes_with_nothing() {
    let place = tempfile::tempdir().unwrap();
    let (store, database) = (open(place.path()), database(place.path()));
    database.execute_batch("ALTER TABLE cache RENAME TO stolen").unwrap();
    store.cache("root", &content::in_memory(*b"cached")).unwrap();
    store.apply(&delta("p", DeltaMode::Replace, "v1", vec![entry("a", 1, b"1")], false)).unwrap();
    assert_eq!(store.known(&[partition("p")]).unwrap(), [Some("v1".to_owned())]);
    database.execute_batch("ALTER TABLE stolen RENAME TO cache").unwrap();
    assert_eq!(cached(&store, "root"), None);
}

#[test]
fn many_small_contents_exceed_the_bound_by_fifteen_of_them_at_most() {
    let place = tempfile::tempdir().unwrap();
    let settings = StoreSettings { cache_bytes_max: 1_000_000, ..StoreSettings::default() };
    let store = SqliteStore::open(place.path(), settings).unwrap();
    let database = database(place.path());
    for number in 0..200 {
        store.cache(&format!("key-{number}"), &content::in_memory(bytes(number, 10_000))).unwrap();
        store.mark_read(&[]).unwrap();
        assert!(cached(&store, "key-0").is_some(), "what is in use was pushed out at {number}");
        let total: i64 = database.query_row("SELECT sum(size) FROM cache", (), |row| row.get(0)).unwrap();
        assert!(total <= 1_000_000 + 15 * 10_000, "{total} at {number}");
    }
    assert!(cached(&store, "key-1").is_none() && cached(&store, "key-199").is_some());
}

#[test]
fn a_head_that_is_cached_for_every_run_takes_the_room_of_one() {
    let place = tempfile::tempdir().unwrap();
    let (store, database) = (open(place.path()), database(place.path()));
    let contents = || -> i64 { database.query_row("SELECT count(*) FROM contents", (), |row| row.get(0)).unwrap() };
    for number in 0..1_000 {
        store.cache("root", &content::in_memory(bytes(number, 20_000))).unwrap();
        store.mark_read(&[]).unwrap();
        assert_eq!(contents(), 1, "after {number}");
    }
    let pages: i64 = database.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let page: i64 = database.pragma_query_value(None, "page_size", |row| row.get(0)).unwrap();
    assert!(pages * page < 500_000, "{pages} pages of {page} bytes");
}

#[test]
fn content_that_leaves_the_cache_stays_for_whoever_else_has_it() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path());
    let committed = append(1, "p", vec![new_entry("a", b"of both")]);
    store.stage(&committed, 1).unwrap();
    for key in ["one", "other"] {
        store.cache(key, &content::in_memory(*b"of both")).unwrap();
        store.cache(key, &content::in_memory(*b"")).unwrap();
        store.mark_read(&[]).unwrap();
    }
    store.cache("one", &content::in_memory(*b"of two keys")).unwrap();
    store.cache("other", &content::in_memory(*b"of two keys")).unwrap();
    store.mark_read(&[]).unwrap();
    store.cache("one", &content::in_memory(*b"")).unwrap();
    store.mark_read(&[]).unwrap();
    assert_eq!(cached(&store, "other").as_deref(), Some(&b"of two keys"[..]));
    let pending = store.pending(None).unwrap();
    assert_eq!(read(&pending[0].changes.append[0].content), b"of both");
}
