//! What a receipt of a datastore may change.

use peat_core::digest::Digest;
use peat_core::identifiers::RunId;
use peat_core::ports::{DeltaMode, LocalStore, StoreError, StoredState};

use super::{all, known, shape};
use crate::samples::{append, commit_id, delta, entry, new_entry, partition, receipt, reference};

pub async fn a_confirmed_commit_is_committed_and_pending_no_more(store: &impl LocalStore) {
    let changes = append(1, "p", vec![new_entry("a", b"1")]);
    store.apply(&delta("p", DeltaMode::Extend, "v6", vec![entry("a", 6, b"old")], false)).unwrap();
    store.stage(&changes, 1).unwrap();
    let mut receipt = receipt(&changes, 7, "v7");
    receipt.removed = vec![reference("a", 6)];
    for _ in 0..2 {
        store.confirm(&commit_id(1), &partition("p"), &receipt).unwrap();
        assert!(store.pending(None).unwrap().is_empty());
        let entries = all(store);
        assert_eq!(shape(&entries), [("a", 7, StoredState::Here)]);
        assert_eq!(entries[0].entry, receipt.entries[0]);
        assert_eq!(known(store, "p").as_deref(), Some("v7"));
    }
    store.apply(&delta("p", DeltaMode::Replace, "v8", Vec::new(), false)).unwrap();
    store.confirm(&commit_id(1), &partition("p"), &receipt).unwrap();
    assert!(all(store).is_empty(), "confirming again brought back what is gone");
}

pub async fn what_was_collected_since_it_was_committed_is_let_go(store: &impl LocalStore) {
    let changes = append(1, "p", vec![new_entry("a", b"1"), new_entry("b", b"2"), new_entry("c", b"3")]);
    store.stage(&changes, 1).unwrap();
    let mut receipt = receipt(&changes, 7, "v7");
    receipt.entries.remove(1);
    let mut other_position = receipt.clone();
    other_position.collected = vec![2];
    let answer = store.confirm(&commit_id(1), &partition("p"), &other_position);
    assert!(matches!(answer, Err(StoreError::Inconsistent { .. })), "{answer:?}");
    receipt.collected = vec![1];
    store.confirm(&commit_id(1), &partition("p"), &receipt).unwrap();
    assert!(store.pending(None).unwrap().is_empty());
    assert_eq!(shape(&all(store)), [("a", 7, StoredState::Here), ("c", 7, StoredState::Here)]);
}

pub async fn a_receipt_about_something_else_is_refused(store: &impl LocalStore) {
    let changes = append(1, "p", vec![new_entry("a", b"1")]);
    store.stage(&changes, 1).unwrap();
    let good = receipt(&changes, 1, "v1");
    let mut other_content = good.clone();
    other_content.entries[0].description.digest = Digest::of(b"2");
    let mut too_few = good.clone();
    too_few.entries.clear();
    let mut no_version = good.clone();
    no_version.entries[0].version.0 = 0;
    for (partition_name, bad) in [("p", &other_content), ("p", &too_few), ("p", &no_version), ("q", &good)] {
        let answer = store.confirm(&commit_id(1), &partition(partition_name), bad);
        assert!(matches!(answer, Err(StoreError::Inconsistent { .. })), "{answer:?}");
    }
    assert_eq!(store.pending(None).unwrap().len(), 1);
    assert_eq!(shape(&all(store)), [("a", 0, StoredState::Uncommitted)]);
    assert_eq!(known(store, "p"), None);
}

pub async fn a_receipt_that_gives_a_version_twice_changes_nothing(store: &impl LocalStore) {
    let known_before = [entry("a", 1, b"1"), entry("a", 2, b"2"), entry("b", 1, b"1")];
    store.apply(&delta("p", DeltaMode::Extend, "v1", known_before.to_vec(), false)).unwrap();
    let changes = append(1, "p", vec![new_entry("b", b"1"), new_entry("a", b"new")]);
    store.stage(&changes, 1).unwrap();
    let before = all(store);
    // `b` is what it says it is, known already; `a` is not.
    let answer = store.confirm(&commit_id(1), &partition("p"), &receipt(&changes, 1, "v2"));
    assert!(matches!(answer, Err(StoreError::Contradicted { .. })), "{answer:?}");
    let mut other_run = append(2, "p", vec![new_entry("b", b"1")]);
    other_run.append[0].description.run_id = RunId::parse("run-00000002").unwrap();
    store.stage(&other_run, 1).unwrap();
    let answer = store.confirm(&commit_id(2), &partition("p"), &receipt(&other_run, 1, "v2"));
    assert!(matches!(answer, Err(StoreError::Contradicted { .. })), "{answer:?}");
    store.discard(&commit_id(2)).unwrap();
    assert_eq!((all(store), known(store, "p").as_deref()), (before, Some("v1")));
    store.confirm(&commit_id(1), &partition("p"), &receipt(&changes, 3, "v3")).unwrap();
    assert_eq!(all(store).len(), 5);
}
