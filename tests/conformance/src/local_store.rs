//! What every local store must do.

mod receipts;

use peat_core::content;
use peat_core::digest::Digest;
use peat_core::entry::ChangeSet;
use peat_core::identifiers::Version;
use peat_core::ports::{
    DeltaMode, EntryFilter, LocalStore, Missing, MissingFilter, MissingPosition, StoreError, StoredEntry, StoredState,
};

use crate::samples::{
    append, bytes, commit_id, delta, description, entry, name, new_entry, partition, read, receipt, reference,
};

pub use receipts::*;

/// One test a check; `make` gives a `Fixture` with an empty store.
#[macro_export]
macro_rules! local_store_suite {
    ($make:expr) => {
        $crate::suite! { $make, local_store:
            a_commit_assigns_versions_and_stores_everything
            a_commit_that_is_tried_again_answers_the_same_and_changes_nothing
            a_version_cap_removes_the_oldest
            numbers_of_another_datastore_are_kept
            a_removed_version_is_not_given_again
            a_commit_that_does_not_fit_stores_nothing
            a_staged_commit_is_pending_with_its_content
            a_confirmed_commit_is_committed_and_pending_no_more
            what_was_collected_since_it_was_committed_is_let_go
            a_receipt_about_something_else_is_refused
            a_receipt_that_gives_a_version_twice_changes_nothing
            a_discarded_commit_is_gone
            an_extension_of_a_partition_adds_to_it
            a_replacement_removes_what_it_does_not_name
            a_replacement_that_was_broken_off_loses_nothing
            content_is_remote_until_it_is_kept
            content_of_every_size_is_read_back
            what_is_missing_is_listed_by_its_place
            of_what_is_missing_a_method_reads_the_newest
            a_partition_is_unread_until_its_news_are_here
            a_distrusted_partition_is_told_whole_again
            spooled_content_can_be_committed
            entries_are_listed_in_order
            a_listing_is_filtered
            the_latest_version_is_not_of_a_failed_run
            paging_shows_everything_once
            what_is_cached_comes_back
            notes_are_kept
            partitions_are_those_known_or_pending
            collecting_deletes_what_nothing_refers_to
        }
    };
}

fn all(store: &impl LocalStore) -> Vec<StoredEntry> {
    store.entries(&EntryFilter::default()).unwrap()
}

/// Name, version and state of entries.
fn shape(entries: &[StoredEntry]) -> Vec<(&str, u64, StoredState)> {
    entries
        .iter()
        .map(|stored| (stored.entry.description.name.as_str(), stored.entry.version.0, stored.state))
        .collect()
}

fn known(store: &impl LocalStore, of: &str) -> Option<String> {
    store.known(&[partition(of)]).unwrap().remove(0)
}

pub async fn a_commit_assigns_versions_and_stores_everything(store: &impl LocalStore) {
    assert_eq!(known(store, "p"), None);
    let first = store.commit(&append(1, "p", vec![new_entry("a", b"1"), new_entry("b", b"2")])).unwrap();
    let second = store.commit(&append(2, "p", vec![new_entry("a", b"3")])).unwrap();
    let versions = |receipt: &peat_core::ports::PushReceipt| {
        receipt.entries.iter().map(|entry| entry.version.0).collect::<Vec<_>>()
    };
    assert_eq!((versions(&first), versions(&second)), (vec![1, 1], vec![2]));
    assert_eq!(first.entries[0].description, description("a", b"1"));
    assert_ne!(first.version, second.version);
    assert_eq!(known(store, "p"), Some(second.version));
    let entries = all(store);
    use StoredState::Here;
    assert_eq!(shape(&entries), [("a", 2, Here), ("a", 1, Here), ("b", 1, Here)]);
    assert_eq!(entries[1].entry, first.entries[0]);
    assert_eq!(read(&store.content(&Digest::of(b"3")).unwrap().unwrap()), b"3");
    assert!(store.pending(None).unwrap().is_empty());
}

pub async fn a_commit_that_is_tried_again_answers_the_same_and_changes_nothing(store: &impl LocalStore) {
    let mut changes = append(1, "p", vec![new_entry("a", b"1")]);
    changes.append[0].version_cap = Some(1);
    let first = store.commit(&changes).unwrap();
    store.commit(&append(2, "p", vec![new_entry("a", b"2")])).unwrap();
    let before = all(store);
    let again = store.commit(&changes).unwrap();
    assert_eq!((again.entries, again.removed, again.version), (first.entries, first.removed, first.version));
    assert_eq!(all(store), before);
    let elsewhere = ChangeSet { partition: partition("q"), ..changes };
    assert!(matches!(store.commit(&elsewhere), Err(StoreError::Inconsistent { .. })));
}

pub async fn numbers_of_another_datastore_are_kept(store: &impl LocalStore) {
    let numbered = |version, bytes: &[u8]| {
        let mut entry = new_entry("x", bytes);
        entry.version = Some(Version(version));
        entry
    };
    let receipt = store.commit(&append(1, "p", vec![numbered(3, b"3"), numbered(7, b"7")])).unwrap();
    assert_eq!(receipt.entries.iter().map(|entry| entry.version.0).collect::<Vec<_>>(), [3, 7]);
    let next = store.commit(&append(2, "p", vec![new_entry("x", b"8")])).unwrap();
    assert_eq!(next.entries[0].version, Version(8));
}

pub async fn a_version_cap_removes_the_oldest(store: &impl LocalStore) {
    let capped = |commit: u64, cap: Option<u32>| {
        let mut changes = append(commit, "p", vec![new_entry("a", &commit.to_le_bytes())]);
        changes.append[0].version_cap = cap;
        store.commit(&changes).unwrap().removed
    };
    for commit in 1..=4 {
        assert!(capped(commit, None).is_empty());
    }
    assert_eq!(capped(5, Some(3)), [reference("a", 1), reference("a", 2)]);
    assert_eq!(capped(6, Some(0)), [reference("a", 3), reference("a", 4), reference("a", 5)]);
    assert_eq!(shape(&all(store)), [("a", 6, StoredState::Here)]);
}

pub async fn a_removed_version_is_not_given_again(store: &impl LocalStore) {
    store.commit(&append(1, "p", vec![new_entry("a", b"1")])).unwrap();
    store.commit(&append(2, "p", vec![new_entry("a", b"2")])).unwrap();
    let remove = vec![reference("a", 2), reference("a", 9), reference("gone", 1)];
    let receipt = store.commit(&ChangeSet { remove, ..append(3, "p", Vec::new()) }).unwrap();
    assert_eq!(receipt.removed, [reference("a", 2)]);
    let receipt = store.commit(&append(4, "p", vec![new_entry("a", b"3")])).unwrap();
    assert_eq!(receipt.entries[0].version.0, 3);
}

pub async fn a_commit_that_does_not_fit_stores_nothing(store: &impl LocalStore) {
    let twice = append(1, "p", vec![new_entry("a", b"1"), new_entry("a", b"2")]);
    let mut wrong_digest = append(2, "p", vec![new_entry("b", b"fine"), new_entry("a", b"1")]);
    wrong_digest.append[1].description.digest = Digest::of(b"something else");
    let mut wrong_size = append(3, "p", vec![new_entry("a", b"1")]);
    wrong_size.append[0].description.size = 2;
    for changes in [&twice, &wrong_size] {
        assert!(matches!(store.commit(changes), Err(StoreError::Inconsistent { .. })));
        assert!(matches!(store.stage(changes, 1), Err(StoreError::Inconsistent { .. })));
    }
    assert!(matches!(store.commit(&wrong_digest), Err(StoreError::Corrupt { .. })));
    assert!(matches!(store.stage(&wrong_digest, 1), Err(StoreError::Corrupt { .. })));
    assert!(all(store).is_empty() && store.pending(None).unwrap().is_empty() && store.partitions().unwrap().is_empty());
}

pub async fn a_staged_commit_is_pending_with_its_content(store: &impl LocalStore) {
    let large = bytes(1, 200_000);
    let mut changes = append(1, "p", vec![new_entry("a", b"small"), new_entry("b", &large)]);
    changes.remove = vec![reference("c", 4)];
    changes.append[1].version_cap = Some(3);
    store.stage(&changes, 42).unwrap();
    store.stage(&append(2, "q", vec![new_entry("a", b"other")]), 43).unwrap();
    store.stage(&changes, 44).unwrap();

    let pending = store.pending(None).unwrap();
    let ids: Vec<_> = pending.iter().map(|pending| pending.changes.commit_id.clone()).collect();
    assert_eq!(ids, [commit_id(1), commit_id(2)]);
    let first = &pending[0];
    assert_eq!((first.staged_at_ms, &first.changes.partition), (42, &partition("p")));
    assert_eq!(first.changes.remove, changes.remove);
    assert_eq!(first.changes.append[1].version_cap, Some(3));
    assert_eq!(first.changes.append[1].description, description("b", &large));
    assert_eq!(read(&first.changes.append[0].content), b"small");
    assert_eq!(read(&first.changes.append[1].content), large);
    assert_eq!(store.pending(Some(&partition("q"))).unwrap().len(), 1);
    let filter = EntryFilter { partition: Some(partition("p")), ..EntryFilter::default() };
    let entries = store.entries(&filter).unwrap();
    assert_eq!(shape(&entries), [("a", 0, StoredState::Uncommitted), ("b", 0, StoredState::Uncommitted)]);
    assert_eq!(known(store, "p"), None);
}

pub async fn a_discarded_commit_is_gone(store: &impl LocalStore) {
    store.stage(&append(1, "p", vec![new_entry("a", b"1")]), 1).unwrap();
    store.stage(&append(2, "p", vec![new_entry("a", b"2")]), 1).unwrap();
    store.discard(&commit_id(1)).unwrap();
    store.discard(&commit_id(1)).unwrap();
    store.discard(&commit_id(77)).unwrap();
    assert_eq!(store.pending(None).unwrap().len(), 1);
    assert_eq!(all(store)[0].entry.description.digest, Digest::of(b"2"));
}

pub async fn an_extension_of_a_partition_adds_to_it(store: &impl LocalStore) {
    use StoredState::Remote;
    store.apply(&delta("p", DeltaMode::Extend, "v1", vec![entry("a", 1, b"1")], false)).unwrap();
    store.apply(&delta("p", DeltaMode::Extend, "v3", vec![entry("a", 2, b"2")], true)).unwrap();
    assert_eq!(known(store, "p").as_deref(), Some("v1"), "known before the last page");
    let mut last = delta("p", DeltaMode::Extend, "v3", vec![entry("b", 1, b"3")], false);
    last.removed = vec![reference("a", 1), reference("zzz", 1)];
    for _ in 0..2 {
        store.apply(&last).unwrap();
        assert_eq!(known(store, "p").as_deref(), Some("v3"));
        assert_eq!(shape(&all(store)), [("a", 2, Remote), ("b", 1, Remote)]);
    }
    assert_eq!(all(store)[0].entry, entry("a", 2, b"2"));
    let no_version = delta("p", DeltaMode::Extend, "v4", vec![entry("a", 0, b"2")], false);
    assert!(matches!(store.apply(&no_version), Err(StoreError::Inconsistent { .. })));
    assert_eq!(known(store, "p").as_deref(), Some("v3"));
}

pub async fn a_replacement_removes_what_it_does_not_name(store: &impl LocalStore) {
    use DeltaMode::{Extend, Replace};
    let old = vec![entry("a", 1, b"1"), entry("a", 2, b"2"), entry("b", 1, b"3"), entry("c", 1, b"4")];
    store.apply(&delta("p", Extend, "v1", old, false)).unwrap();
    store.apply(&delta("other", Extend, "v1", vec![entry("a", 1, b"1")], false)).unwrap();
    for later in [Replace, Extend] {
        let target = format!("v-{later:?}");
        store.apply(&delta("p", Replace, &target, vec![entry("a", 2, b"2")], true)).unwrap();
        store.apply(&delta("p", later, &target, vec![entry("b", 1, b"3")], true)).unwrap();
        assert!(all(store).len() >= 4, "something went before the last page");
        store.apply(&delta("p", later, &target, vec![entry("d", 1, b"5")], false)).unwrap();
        let filter = EntryFilter { partition: Some(partition("p")), ..EntryFilter::default() };
        let entries = store.entries(&filter).unwrap();
        let names: Vec<_> = shape(&entries).into_iter().map(|(name, version, _)| (name, version)).collect();
        assert_eq!(names, [("a", 2), ("b", 1), ("d", 1)]);
        assert_eq!(known(store, "p"), Some(target));
        store.apply(&delta("p", Extend, "v9", vec![entry("e", 1, b"6"), entry("f", 1, b"6")], false)).unwrap();
    }
    store.apply(&delta("p", Replace, "v10", vec![entry("a", 2, b"changed")], false)).unwrap();
    let entries = all(store);
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[1].entry.description.digest, Digest::of(b"changed"));
}

pub async fn a_replacement_that_was_broken_off_loses_nothing(store: &impl LocalStore) {
    use DeltaMode::{Extend, Replace};
    store.apply(&delta("p", Extend, "v1", vec![entry("a", 1, b"1"), entry("b", 1, b"2")], false)).unwrap();
    store.apply(&delta("p", Replace, "v2", vec![entry("c", 1, b"3")], true)).unwrap();
    assert_eq!(known(store, "p").as_deref(), Some("v1"));
    let names = |store| all(store).iter().map(|stored| stored.entry.description.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(store), ["a", "b", "c"]);
    // Meanwhile the partition has moved on: another replacement, in two pages, that lacks what the first one brought.
    store.apply(&delta("p", Replace, "v3", vec![entry("a", 1, b"1")], true)).unwrap();
    store.apply(&delta("p", Replace, "v3", vec![entry("d", 1, b"4")], false)).unwrap();
    assert_eq!(names(store), ["a", "d"]);
    // Late pages of what is already known add, and never take away.
    store.apply(&delta("p", Replace, "v3", vec![entry("d", 1, b"4")], false)).unwrap();
    assert_eq!(names(store), ["a", "d"]);
}

pub async fn content_is_remote_until_it_is_kept(store: &impl LocalStore) {
    for length in [100, 100_000] {
        let remote = bytes(length, length as usize);
        let digest = Digest::of(&remote);
        let target = format!("v{length}");
        store.apply(&delta("p", DeltaMode::Extend, &target, vec![entry("a", length, &remote)], false)).unwrap();
        let filter = EntryFilter { name: Some(name("a")), ..EntryFilter::default() };
        let state = || store.entries(&filter).unwrap()[0].state;
        assert_eq!(state(), StoredState::Remote);
        assert!(store.content(&digest).unwrap().is_none());
        let wrong = store.keep(&digest, &content::in_memory(bytes(9, length as usize)));
        assert!(matches!(wrong, Err(StoreError::Corrupt { .. })), "{wrong:?}");
        assert!(store.content(&digest).unwrap().is_none());
        store.keep(&digest, &content::in_memory(remote.clone())).unwrap();
        assert_eq!(state(), StoredState::Here);
        assert_eq!(read(&store.content(&digest).unwrap().unwrap()), remote);
        assert_eq!(store.collect().unwrap(), 0);
        assert_eq!(state(), StoredState::Here);
    }
    let mut with_content = delta("p", DeltaMode::Extend, "v9", vec![entry("b", 1, b"along")], false);
    with_content.entries[0].content = Some(content::in_memory(*b"along"));
    store.apply(&with_content).unwrap();
    assert_eq!(read(&store.content(&Digest::of(b"along")).unwrap().unwrap()), b"along");
    with_content.entries[0].content = Some(content::in_memory(*b"wrong"));
    assert!(matches!(store.apply(&with_content), Err(StoreError::Corrupt { .. })));
}

pub async fn what_is_missing_is_listed_by_its_place(store: &impl LocalStore) {
    let at = |data: &str, version: u64, location: &str, bytes: &[u8]| {
        let mut entry = entry(data, version, bytes);
        entry.location = location.to_owned();
        entry
    };
    let (one, two) = (b"first".as_slice(), b"second one".as_slice());
    let entries = vec![
        at("a", 1, "pack:2", one),
        at("b", 1, "pack:1", two),
        at("b", 2, "pack:1", one),
        at("c", 1, "pack:3", two),
    ];
    store.apply(&delta("q", DeltaMode::Extend, "v1", entries, false)).unwrap();
    store.apply(&delta("p", DeltaMode::Extend, "v1", vec![at("z", 1, "pack:9", b"third")], false)).unwrap();
    store.commit(&append(1, "q", vec![new_entry("here", b"here")])).unwrap();
    store.stage(&append(2, "q", vec![new_entry("staged", b"staged")]), 1).unwrap();
    let list = |filter: &MissingFilter| {
        let missing = store.missing(filter).unwrap();
        assert!(missing.iter().all(|stored| stored.state == StoredState::Remote));
        let told = |stored: &StoredEntry| format!("{}{}", stored.entry.description.name, stored.entry.version.0);
        missing.iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(list(&MissingFilter::default()), ["z1", "b1", "b2", "a1", "c1"]);
    let total = |of: Option<&str>| store.missing_total(of.map(partition).as_ref()).unwrap();
    assert_eq!(total(None), Missing { entries: 5, bytes: 35 });
    assert_eq!(total(Some("q")), Missing { entries: 4, bytes: 30 });
    let mut filter = MissingFilter { limit: Some(2), ..MissingFilter::default() };
    let mut paged = Vec::new();
    while let Some(last) = store.missing(&filter).unwrap().pop() {
        paged.extend(list(&filter));
        filter.after = Some(MissingPosition {
            partition: last.partition,
            location: last.entry.location,
            name: last.entry.description.name,
            version: last.entry.version,
        });
    }
    assert_eq!(paged, ["z1", "b1", "b2", "a1", "c1"]);
    // One content may be that of several entries.
    let kept = [(Digest::of(one), content::in_memory(one)), (Digest::of(b"third"), content::in_memory(*b"third"))];
    store.keep_all(&kept).unwrap();
    assert_eq!(list(&MissingFilter { partition: Some(partition("q")), ..MissingFilter::default() }), ["b1", "c1"]);
    assert_eq!(total(None), Missing { entries: 2, bytes: 20 });
    let mut removal = delta("q", DeltaMode::Extend, "v2", vec![at("d", 1, "pack:4", one)], false);
    removal.removed = vec![reference("b", 1)];
    store.apply(&removal).unwrap();
    assert_eq!(list(&MissingFilter::default()), ["c1"], "what came or left is not missing");
    let wrong = [(Digest::of(two), content::in_memory(*b"something")), (Digest::of(b"x"), content::in_memory(*b"x"))];
    assert!(matches!(store.keep_all(&wrong), Err(StoreError::Corrupt { .. })));
    assert!(store.content(&Digest::of(b"x")).unwrap().is_none(), "half of what was given is kept");
}

pub async fn of_what_is_missing_a_method_reads_the_newest(store: &impl LocalStore) {
    let failed = |mut entry: peat_core::entry::Entry| {
        entry.description.of_failed_run = true;
        entry
    };
    let entries = vec![
        entry("a", 1, b"a1"),
        entry("a", 2, b"a2"),
        failed(entry("a", 3, b"a3")),
        failed(entry("b", 1, b"b1")),
        entry("c", 1, b"c1"),
        entry(".run/run-00000001/log", 1, b"log"),
    ];
    store.apply(&delta("p", DeltaMode::Extend, "v1", entries, false)).unwrap();
    store.keep(&Digest::of(b"c1"), &content::in_memory(*b"c1")).unwrap();
    let filter = MissingFilter { newest_only: true, ..MissingFilter::default() };
    assert_eq!(shape(&store.missing(&filter).unwrap()), [("a", 2, StoredState::Remote)]);
    store.keep(&Digest::of(b"a2"), &content::in_memory(*b"a2")).unwrap();
    assert!(store.missing(&filter).unwrap().is_empty(), "an older version is no substitute for the newest");
}

pub async fn a_partition_is_unread_until_its_news_are_here(store: &impl LocalStore) {
    let changed = |of: &str, version: &str| delta(of, DeltaMode::Changed, version, Vec::new(), false);
    let names = |found: Vec<peat_core::identifiers::PartitionName>| {
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    store.apply(&changed("b", "etag-1")).unwrap();
    store.apply(&changed("a", "etag-2")).unwrap();
    assert_eq!((names(store.unread().unwrap()), names(store.partitions().unwrap())), ("a b".into(), "a b".into()));
    assert_eq!(known(store, "a"), None);
    store.apply(&delta("a", DeltaMode::Replace, "v1", vec![entry("x", 1, b"1")], true)).unwrap();
    assert_eq!(names(store.unread().unwrap()), "a b", "half an index is none");
    store.apply(&delta("a", DeltaMode::Extend, "v1", vec![entry("y", 1, b"1")], false)).unwrap();
    assert_eq!((names(store.unread().unwrap()), known(store, "a")), ("b".into(), Some("v1".into())));
    // News of something that is here: it stays as it was.
    store.apply(&changed("a", "etag-3")).unwrap();
    assert_eq!((names(store.unread().unwrap()), known(store, "a")), ("a b".into(), Some("v1".into())));
    assert_eq!(all(store).len(), 2);
    store.mark_read(&[partition("a"), partition("unheard-of")]).unwrap();
    assert_eq!(names(store.unread().unwrap()), "b");
    // A commit of this machine says nothing about what others did.
    let changes = append(1, "b", vec![new_entry("mine", b"mine")]);
    store.stage(&changes, 1).unwrap();
    store.confirm(&commit_id(1), &partition("b"), &receipt(&changes, 1, "v5")).unwrap();
    assert_eq!((names(store.unread().unwrap()), known(store, "b")), ("b".into(), Some("v5".into())));
}

pub async fn a_distrusted_partition_is_told_whole_again(store: &impl LocalStore) {
    store.apply(&delta("p", DeltaMode::Extend, "v1", vec![entry("a", 1, b"1")], false)).unwrap();
    store.distrust(&partition("p")).unwrap();
    store.distrust(&partition("unheard-of")).unwrap();
    assert_eq!((known(store, "p"), all(store).len()), (None, 1));
    assert_eq!(store.partitions().unwrap(), [partition("p")]);
    store.apply(&delta("p", DeltaMode::Replace, "v1", vec![entry("b", 1, b"2")], false)).unwrap();
    assert_eq!(shape(&all(store)), [("b", 1, StoredState::Remote)]);
    assert!(store.unread().unwrap().is_empty());
}

/// Around the bounds of memory, rows and files.
const LENGTHS: [usize; 8] = [0, 1, 65_535, 65_536, 65_537, 262_144, 262_145, 3_000_000];

pub async fn content_of_every_size_is_read_back(store: &impl LocalStore) {
    for (commit, length) in LENGTHS.into_iter().enumerate() {
        let written = bytes(length as u64, length);
        store.commit(&append(commit as u64, "p", vec![new_entry("a", &written)])).unwrap();
        let content = store.content(&Digest::of(&written)).unwrap().unwrap();
        assert_eq!(content.size(), length as u64);
        assert!(read(&content) == written, "{length} bytes came back changed");
    }
    assert!(store.content(&Digest::of(b"never stored")).unwrap().is_none());
}

pub async fn spooled_content_can_be_committed(store: &impl LocalStore) {
    for (commit, length) in LENGTHS.into_iter().enumerate() {
        let written = bytes(length as u64 + 1, length);
        let mut spool = store.begin().unwrap();
        written.chunks(70_001).for_each(|chunk| spool.write(chunk).unwrap());
        let spooled = spool.finish().unwrap();
        assert!(read(&spooled) == written);
        let mut new = new_entry("a", &written);
        new.content = spooled;
        store.commit(&append(commit as u64, "p", vec![new.clone()])).unwrap();
        // The same handle may be stored again, under another name or as something to push.
        new.description.name = name("b");
        store.stage(&append(100 + commit as u64, "p", vec![new.clone()]), 1).unwrap();
        assert!(read(&new.content) == written);
        drop(new);
        assert!(read(&store.content(&Digest::of(&written)).unwrap().unwrap()) == written);
    }
}

pub async fn entries_are_listed_in_order(store: &impl LocalStore) {
    use StoredState::{Here, Uncommitted};
    for (commit, (to, data)) in [("q", "b"), ("p", "b"), ("p", "a"), ("p", "b"), ("p.2", "a")].into_iter().enumerate() {
        store.commit(&append(commit as u64, to, vec![new_entry(data, b"x")])).unwrap();
    }
    store.stage(&append(11, "p", vec![new_entry("b", b"first")]), 1).unwrap();
    store.stage(&append(12, "p", vec![new_entry("b", b"second")]), 2).unwrap();
    let entries = all(store);
    let order: Vec<_> = entries.iter().zip(shape(&entries)).map(|(e, shape)| (e.partition.as_str(), shape)).collect();
    assert_eq!(
        order,
        [
            ("p", ("a", 1, Here)),
            ("p", ("b", 0, Uncommitted)),
            ("p", ("b", 0, Uncommitted)),
            ("p", ("b", 2, Here)),
            ("p", ("b", 1, Here)),
            ("p.2", ("a", 1, Here)),
            ("q", ("b", 1, Here)),
        ]
    );
    assert_eq!(entries[1].entry.description.digest, Digest::of(b"second"), "the newest of the uncommitted comes first");
}

pub async fn a_listing_is_filtered(store: &impl LocalStore) {
    let names = [".run/run-00000001/log", "a", "ab", "ab/c", "b"];
    store.commit(&append(1, "p", names.map(|name| new_entry(name, b"1")).to_vec())).unwrap();
    store.commit(&append(2, "q", vec![new_entry("a", b"2")])).unwrap();
    let list = |filter: EntryFilter| {
        let entries = store.entries(&filter).unwrap();
        entries.iter().map(|e| format!("{}:{}", e.partition, e.entry.description.name)).collect::<Vec<_>>()
    };
    let none = EntryFilter::default;
    assert_eq!(list(EntryFilter { partition: Some(partition("q")), ..none() }), ["q:a"]);
    assert_eq!(list(EntryFilter { name: Some(name("a")), ..none() }), ["p:a", "q:a"]);
    assert_eq!(list(EntryFilter { name_prefix: Some("ab".into()), ..none() }), ["p:ab", "p:ab/c"]);
    assert_eq!(list(EntryFilter { name_prefix: Some("%".into()), ..none() }), [""; 0]);
    assert_eq!(list(EntryFilter { public_only: true, ..none() }), ["p:a", "p:ab", "p:ab/c", "p:b", "q:a"]);
    assert_eq!(list(EntryFilter { limit: Some(2), public_only: true, ..none() }), ["p:a", "p:ab"]);
    let after = Some((partition("p"), name("ab/c")));
    assert_eq!(list(EntryFilter { after, ..none() }), ["p:b", "q:a"]);
    let mix = EntryFilter {
        partition: Some(partition("p")),
        name_prefix: Some("a".into()),
        after: Some((partition("p"), name("a"))),
        ..none()
    };
    assert_eq!(list(mix), ["p:ab", "p:ab/c"]);
}

pub async fn the_latest_version_is_not_of_a_failed_run(store: &impl LocalStore) {
    let failed = |mut entry: peat_core::entry::NewEntry| {
        entry.description.of_failed_run = true;
        entry
    };
    store.commit(&append(1, "p", vec![new_entry("a", b"1"), failed(new_entry("b", b"1"))])).unwrap();
    store.commit(&append(2, "p", vec![new_entry("a", b"2")])).unwrap();
    store.commit(&append(3, "p", vec![failed(new_entry("a", b"3")), new_entry("c", b"3")])).unwrap();
    let filter = EntryFilter { latest_only: true, ..EntryFilter::default() };
    assert_eq!(shape(&store.entries(&filter).unwrap()), [("a", 2, StoredState::Here), ("c", 1, StoredState::Here)]);
    store.stage(&append(4, "p", vec![new_entry("a", b"4"), failed(new_entry("c", b"4"))]), 1).unwrap();
    let entries = store.entries(&filter).unwrap();
    assert_eq!(shape(&entries), [("a", 0, StoredState::Uncommitted), ("c", 1, StoredState::Here)]);
    let committed = store.entries(&EntryFilter { committed_only: true, ..filter }).unwrap();
    assert_eq!(shape(&committed), [("a", 2, StoredState::Here), ("c", 1, StoredState::Here)]);
}

pub async fn paging_shows_everything_once(store: &impl LocalStore) {
    for commit in 0..30 {
        let to = ["p", "q"][commit as usize % 2];
        let data = ["a", "b", "b/c", "d", "e"][commit as usize % 5];
        store.commit(&append(commit, to, vec![new_entry(data, b"x")])).unwrap();
    }
    store.stage(&append(100, "p", vec![new_entry("b", b"x")]), 1).unwrap();
    let expected = all(store);
    for limit in [1, 2, 3, 4, 7, 31, 100] {
        let mut seen = Vec::new();
        let mut filter = EntryFilter { limit: Some(limit), ..EntryFilter::default() };
        loop {
            let page = store.entries(&filter).unwrap();
            let Some(last) = page.last() else { break };
            filter.after = Some((last.partition.clone(), last.entry.description.name.clone()));
            let first = &page[0].entry.description.name;
            let one_name = page.iter().all(|stored| stored.entry.description.name == *first);
            assert!(page.len() <= limit as usize || one_name, "a page of {} for a limit of {limit}", page.len());
            seen.extend(page);
        }
        assert_eq!(shape(&seen), shape(&expected), "limit {limit}");
    }
}

pub async fn what_is_cached_comes_back(store: &impl LocalStore) {
    assert!(store.cached("segment").unwrap().is_none());
    for length in [10, 100_000, 20] {
        let written = bytes(length as u64, length);
        store.cache("segment", &content::in_memory(written.clone())).unwrap();
        assert_eq!(read(&store.cached("segment").unwrap().unwrap()), written);
        store.keep(&Digest::of(&written), &content::in_memory(written.clone())).unwrap();
        store.collect().unwrap();
        assert_eq!(read(&store.cached("segment").unwrap().unwrap()), written);
    }
    assert!(store.content(&Digest::of(&bytes(100_000, 100_000))).unwrap().is_none(), "replaced, but not collected");
    assert!(all(store).is_empty() && store.partitions().unwrap().is_empty());
}

pub async fn notes_are_kept(store: &impl LocalStore) {
    assert_eq!(store.note("profile").unwrap(), None);
    store.set_note("profile", "{\"a\": \"ü\"}").unwrap();
    store.set_note("profile", "newer").unwrap();
    store.set_note("other", "").unwrap();
    assert_eq!(store.note("profile").unwrap().as_deref(), Some("newer"));
    assert_eq!(store.note("other").unwrap().as_deref(), Some(""));
}

pub async fn partitions_are_those_known_or_pending(store: &impl LocalStore) {
    store.stage(&append(1, "c", Vec::new()), 1).unwrap();
    store.apply(&delta("b", DeltaMode::Replace, "v1", Vec::new(), false)).unwrap();
    store.commit(&append(2, "a", Vec::new())).unwrap();
    let names =
        |store: &dyn LocalStore| store.partitions().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(store), ["a", "b", "c"]);
    store.discard(&commit_id(1)).unwrap();
    assert_eq!(names(store), ["a", "b"]);
    let known = store.known(&[partition("c"), partition("b")]).unwrap();
    assert_eq!(known, [None, Some("v1".to_owned())]);
}

pub async fn collecting_deletes_what_nothing_refers_to(store: &impl LocalStore) {
    for length in [1_000, 100_000] {
        let base = length as u64;
        let [shared, alone, staged, kept] = [1, 2, 3, 4].map(|seed| bytes(base + seed, length));
        let here = |bytes: &[u8]| store.content(&Digest::of(bytes)).unwrap().is_some();
        store.commit(&append(base, "p", vec![new_entry("a", &shared), new_entry("b", &alone)])).unwrap();
        let a = store.commit(&append(base + 1, "p", vec![new_entry("a", &shared)])).unwrap().entries[0].version.0;
        let b = all(store).iter().find(|stored| stored.entry.description.name == name("b")).unwrap().entry.version.0;
        store.stage(&append(base + 2, "q", vec![new_entry("a", &staged)]), 1).unwrap();
        for content in [&kept, &staged] {
            store.keep(&Digest::of(content), &content::in_memory(content.clone())).unwrap();
        }
        assert_eq!(store.collect().unwrap(), base, "of what was kept, only what is not pending has no reference");

        let remove = vec![reference("a", a), reference("b", b)];
        store.commit(&ChangeSet { remove, ..append(base + 3, "p", Vec::new()) }).unwrap();
        assert_eq!(store.collect().unwrap(), base);
        assert!(here(&shared) && here(&staged) && !here(&alone) && !here(&kept));
        store.discard(&commit_id(base + 2)).unwrap();
        assert_eq!(store.collect().unwrap(), base);
        assert!(here(&shared) && !here(&staged));
        assert_eq!(store.collect().unwrap(), 0);
        store.commit(&append(base + 4, "p", vec![new_entry("b", &alone)])).unwrap();
        assert!(here(&alone), "what was collected cannot be stored again");
    }
}
