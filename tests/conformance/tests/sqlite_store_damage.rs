//! The local store on a bad day: damaged, foreign, newer, full, read-only, or used by many at once.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use peat_conformance_tests::samples::{append, bytes, delta, entry, new_entry, partition, read};
use peat_core::content;
use peat_core::digest::Digest;
use peat_core::ports::{DeltaMode, EntryFilter, LocalStore, Replica, Spool, StoreError};
use peat_store::{SqliteStore, StoreSettings};
use peat_test_support::scarce_disk::ScarceDisk;

fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    let settings = StoreSettings { busy_timeout: Duration::from_millis(300), ..StoreSettings::default() };
    SqliteStore::open(path, settings)
}

fn file_of(place: &Path, digest: &Digest) -> PathBuf {
    let text = digest.to_string();
    place.join("content").join(&text[..2]).join(text)
}

#[test]
fn a_store_of_a_newer_format_is_left_as_it_is() {
    let place = tempfile::tempdir().unwrap();
    open(place.path()).unwrap().set_note("kept", "yes").unwrap();
    let database = rusqlite::Connection::open(place.path().join("store.db")).unwrap();
    database.pragma_update(None, "user_version", 999).unwrap();
    let error = open(place.path()).unwrap_err();
    assert!(matches!(error, StoreError::NewerFormat { found: 999, known: 4, .. }), "{error}");
    assert!(error.to_string().contains("store.db") && error.to_string().contains("newer peat"), "{error}");
    database.pragma_update(None, "user_version", 4).unwrap();
    assert_eq!(open(place.path()).unwrap().note("kept").unwrap().as_deref(), Some("yes"));
}

#[test]
fn a_database_of_another_program_is_left_as_it_is() {
    let place = tempfile::tempdir().unwrap();
    let database = rusqlite::Connection::open(place.path().join("store.db")).unwrap();
    database.execute_batch("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1);").unwrap();
    let before = std::fs::read(place.path().join("store.db")).unwrap();
    let error = open(place.path()).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { reason, .. } if reason.contains("move it away")), "{error}");
    assert_eq!(std::fs::read(place.path().join("store.db")).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("store.db"), bytes(1, 10_000)).unwrap();
    let error = open(place.path()).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { path, .. } if path.ends_with("store.db")), "{error}");
}

#[test]
fn a_damaged_database_is_an_error_and_never_a_wrong_answer() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path()).unwrap();
    for commit in 0..200 {
        store.commit(&append(commit, "p", vec![new_entry(&format!("item-{commit}"), &bytes(commit, 400))])).unwrap();
    }
    let all = store.entries(&EntryFilter::default()).unwrap();
    drop(store);
    let path = place.path().join("store.db");
    let whole = std::fs::read(&path).unwrap();
    assert!(!place.path().join("store.db-wal").exists(), "the log was not folded in");
    let mut refused = 0;
    for page in 1..whole.len() / 4096 {
        let mut damaged = whole.clone();
        damaged[page * 4096..page * 4096 + 64].fill(0xA5);
        std::fs::write(&path, damaged).unwrap();
        let looked = open(place.path()).and_then(|store| {
            for stored in store.entries(&EntryFilter::default())? {
                assert!(all.contains(&stored), "page {page}: an entry that nobody wrote");
                if let Some(content) = store.content(&stored.entry.description.digest)? {
                    assert_eq!(Digest::of(&read(&content)), stored.entry.description.digest);
                }
            }
            Ok(store.examine()?.len())
        });
        match looked {
            Ok(0) => panic!("page {page}: nobody noticed"),
            Ok(_) => {}
            Err(StoreError::Corrupt { reason, .. }) => {
                assert!(reason.contains("restore a backup"), "{reason}");
                refused += 1;
            }
            Err(error) => panic!("page {page}: {error:?}"),
        }
    }
    assert!(refused > 0);
}

#[test]
fn content_that_changed_in_its_file_is_not_handed_out_and_heals() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path()).unwrap();
    let written = bytes(5, 100_000);
    let digest = Digest::of(&written);
    store.commit(&append(1, "p", vec![new_entry("a", &written)])).unwrap();
    let file = file_of(place.path(), &digest);
    let mut flipped = written.clone();
    flipped[77_777] ^= 1;
    for damaged in [&flipped[..], &written[..99_999], b""] {
        std::fs::write(&file, damaged).unwrap();
        let error = store.content(&digest).unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt { path, .. } if *path == file.display().to_string()), "{error}");
        assert!(error.to_string().contains("backup"), "{error}");
        assert!(store.keep(&digest, &content::in_memory(flipped.clone())).is_err());
        store.keep(&digest, &content::in_memory(written.clone())).unwrap();
        assert!(read(&store.content(&digest).unwrap().unwrap()) == written);
    }
    std::fs::remove_file(&file).unwrap();
    assert!(store.content(&digest).unwrap().is_none());
    store.commit(&append(2, "p", vec![new_entry("b", &written)])).unwrap();
    assert!(read(&store.content(&digest).unwrap().unwrap()) == written);
}

#[test]
fn content_that_changed_in_its_row_is_not_handed_out() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path()).unwrap();
    store.commit(&append(1, "p", vec![new_entry("a", b"written")])).unwrap();
    store.cache("segment", &content::in_memory(*b"cached")).unwrap();
    drop(store);
    let store = open(place.path()).unwrap();
    let database = rusqlite::Connection::open(place.path().join("store.db")).unwrap();
    database.execute("UPDATE contents SET bytes = x'00112233'", ()).unwrap();
    let error = store.content(&Digest::of(b"written")).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(store.cached("segment").unwrap().is_none(), "a damaged cache is an empty one");
}

#[test]
fn a_full_disk_is_said_so_and_costs_nothing_that_was_stored() {
    let Some(disk) = ScarceDisk::mount(4_096) else { return };
    let place = disk.path().join("store");
    let store = open(&place).unwrap();
    store.commit(&append(1, "p", vec![new_entry("a", b"before")])).unwrap();
    disk.fill(64);
    let mut refused = 0;
    for (commit, length) in [(2, 30_000), (3, 300_000), (4, 60_000), (5, 60_000), (6, 60_000)] {
        let written = bytes(commit, length);
        match store.commit(&append(commit, "p", vec![new_entry("b", &written)])) {
            Err(StoreError::Full { path, .. }) => {
                assert!(path.contains("store"), "{path}");
                refused += 1;
            }
            Ok(_) => assert!(read(&store.content(&Digest::of(&written)).unwrap().unwrap()) == written),
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(refused >= 2, "only {refused} were refused");
    let mut spool = store.begin().unwrap();
    let spooled = spool.write(&bytes(9, 300_000));
    assert!(matches!(spooled, Err(StoreError::Full { .. })), "{spooled:?}");
    drop(spool);
    let seen = store.entries(&EntryFilter::default()).unwrap();
    assert!(seen.iter().any(|stored| stored.entry.description.digest == Digest::of(b"before")));
    assert_eq!(std::fs::read_dir(place.join("spool")).unwrap().count(), 0, "temporary files stayed");
    disk.empty();
    store.commit(&append(7, "p", vec![new_entry("a", &bytes(7, 300_000))])).unwrap();
    assert_eq!(store.examine().unwrap(), [""; 0]);
}

#[test]
fn a_store_cannot_be_opened_on_a_full_disk_and_says_so() {
    let Some(disk) = ScarceDisk::mount(1_024) else { return };
    disk.fill(8);
    let error = open(&disk.path().join("store")).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
}

#[test]
fn a_read_only_disk_is_said_so() {
    let Some(disk) = ScarceDisk::mount(4_096) else { return };
    let place = disk.path().join("store");
    drop(open(&place).unwrap());
    disk.make_read_only();
    let error = open(&place).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    assert!(error.to_string().contains("PEAT_HOME"), "{error}");
    let error = open(&disk.path().join("another")).unwrap_err();
    assert!(matches!(&error, StoreError::ReadOnly { path, .. } if path.contains("another")), "{error:?}");
}

#[test]
fn a_path_that_is_no_directory_is_named() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("file"), "in the way").unwrap();
    let error = open(&place.path().join("file")).unwrap_err();
    assert!(matches!(&error, StoreError::Io { path, .. } if path.ends_with("/file")), "{error:?}");
}

#[test]
fn a_transaction_of_another_process_is_waited_for_and_not_for_ever() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path()).unwrap();
    let other = rusqlite::Connection::open(place.path().join("store.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.set_note("a", "b").unwrap_err();
    assert!(matches!(error, StoreError::Busy { waited_ms: 300, .. }), "{error:?}");
    assert_eq!(store.note("a").unwrap(), None, "reading does not wait for writers");
    let ended = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        other.execute_batch("COMMIT").unwrap();
    });
    store.set_note("a", "b").unwrap();
    ended.join().unwrap();
}

#[test]
fn a_new_store_can_be_opened_by_many_at_once() {
    let place = tempfile::tempdir().unwrap();
    for round in 0..10 {
        let path = place.path().join(round.to_string());
        std::thread::scope(|scope| {
            for commit in 0..6 {
                let path = &path;
                scope.spawn(move || {
                    let store = SqliteStore::open(path, StoreSettings::default()).unwrap();
                    store.commit(&append(commit, "p", vec![new_entry("a", b"1")])).unwrap();
                });
            }
        });
        assert_eq!(open(&path).unwrap().entries(&EntryFilter::default()).unwrap().len(), 6);
    }
}

#[test]
fn spooled_content_is_moved_into_place_and_not_copied() {
    use std::os::unix::fs::MetadataExt;
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path()).unwrap();
    let written = bytes(3, 1_000_000);
    let mut spool = store.begin().unwrap();
    spool.write(&written).unwrap();
    let mut new = new_entry("a", &written);
    new.content = spool.finish().unwrap();
    let spooled = std::fs::read_dir(place.path().join("spool")).unwrap().next().unwrap().unwrap();
    let inode = spooled.metadata().unwrap().ino();
    store.stage(&append(1, "p", vec![new]), 1).unwrap();
    let placed = std::fs::metadata(file_of(place.path(), &Digest::of(&written))).unwrap();
    assert_eq!((placed.ino(), placed.nlink()), (inode, 1));
    assert_eq!(std::fs::read_dir(place.path().join("spool")).unwrap().count(), 0);
}

#[test]
fn spooled_content_is_not_read_back_for_its_digest_and_damage_of_it_is_found_when_it_is_handed_out() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path()).unwrap();
    let written = bytes(3, 1_000_000);
    let mut spool = store.begin().unwrap();
    written.chunks(70_000).for_each(|part| spool.write(part).unwrap());
    let mut new = new_entry("a", &written);
    new.content = spool.finish().unwrap();
    let spooled = std::fs::read_dir(place.path().join("spool")).unwrap().next().unwrap().unwrap();
    std::fs::File::options().write(true).open(spooled.path()).unwrap().set_len(10).unwrap();
    assert_eq!(content::digest(&*new.content).unwrap(), Digest::of(&written));
    store.stage(&append(1, "p", vec![new]), 1).unwrap();
    let error = store.content(&Digest::of(&written)).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { .. }), "{error}");
}

#[test]
fn the_cache_is_bounded_and_the_least_recently_used_goes_first() {
    let place = tempfile::tempdir().unwrap();
    let settings = StoreSettings { cache_bytes_max: 1_000_000, ..StoreSettings::default() };
    let store = SqliteStore::open(place.path(), settings).unwrap();
    let key = |number: u64| format!("key-{number}");
    store.cache("hot", &content::in_memory(bytes(1_000, 1_000))).unwrap();
    for number in 0..100 {
        store.cache(&key(number), &content::in_memory(bytes(number, 100_000))).unwrap();
        assert!(store.cached("hot").unwrap().is_some() || number < 10, "what is in use was pushed out at {number}");
    }
    let here = (0..100).filter(|number| store.cached(&key(*number)).unwrap().is_some()).collect::<Vec<_>>();
    assert_eq!(here, (91..100).collect::<Vec<_>>());
    store.cache("huge", &content::in_memory(bytes(1, 300_000))).unwrap();
    assert!(store.cached("huge").unwrap().is_none() && store.cached("hot").unwrap().is_some());
    let shards = std::fs::read_dir(place.path().join("content")).unwrap();
    let files: usize = shards.map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap().count()).sum();
    assert_eq!(files, 9, "files of what was pushed out stayed");
}

#[test]
fn numbers_that_cannot_be_stored_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path()).unwrap();
    let news = delta("p", DeltaMode::Extend, "v1", vec![entry("a", u64::MAX, b"1")], false);
    let error = store.apply(&news).unwrap_err();
    assert!(matches!(error, StoreError::Inconsistent { .. }), "{error}");
    assert_eq!(store.known(&[partition("p")]).unwrap(), [None]);
    let mut removal = append(1, "p", Vec::new());
    removal.remove = vec![peat_conformance_tests::samples::reference("a", u64::MAX)];
    assert!(store.commit(&removal).unwrap().removed.is_empty());
    assert!(matches!(store.stage(&append(2, "p", Vec::new()), u64::MAX), Err(StoreError::Inconsistent { .. })));
}
