//! Probing: a store that does what it must is set up once; one that does not is refused by name of what it ignored.

use peat_chain::ErrorKind;
use peat_chain::memory::{Schedule, Store};
use peat_chain::types::Verdict;

use crate::support::*;

#[test]
fn a_good_store_is_set_up_once_also_when_several_do_it_at_the_same_time() {
    for seed in 0..20 {
        let store = Store::new(seed);
        let ids = std::cell::RefCell::new(Vec::new());
        let mut schedule = Schedule::new(&store);
        for pid in 1..=4 {
            let (chain, ids) = (machine(&store, pid), &ids);
            schedule.add(async move {
                let profile = chain.setup(NAMESPACE).await.unwrap();
                assert!(profile.findings.iter().all(|finding| finding.verdict == Verdict::Passed), "{profile:#?}");
                ids.borrow_mut().push(profile.store_id);
            });
        }
        schedule.run();
        let ids = ids.into_inner();
        assert!(ids.iter().all(|id| *id == ids[0] && id.len() == 32));
        assert!(store.keys("_probe/").is_empty(), "scratch objects are gone");
        assert_eq!(store.keys(""), ["default/_index/_meta.json", "peat.json"]);
        let verified = run(&store, machine(&store, 9).verify(NAMESPACE)).unwrap();
        assert_eq!(verified.store_id, ids[0]);
        assert_eq!(store.keys("").len(), 2);
    }
}

#[test]
fn a_store_that_ignores_conditions_is_refused_and_nothing_is_created() {
    let store = Store::new(1);
    store.ignore_conditions();
    let profile = run(&store, machine(&store, 1).setup(NAMESPACE)).unwrap();
    let failed: Vec<&str> = profile
        .findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Failed)
        .map(|finding| finding.name.as_str())
        .collect();
    assert_eq!(failed, ["second create", "stale compare-and-swap", "race of creates", "race of swaps"]);
    let details: String = profile.findings.iter().map(|finding| finding.detail.as_str()).collect();
    assert!(details.contains("ignored If-Match") && details.contains("ignored If-None-Match: *"));
    assert!(profile.store_id.is_empty());
    assert!(store.keys("").is_empty());
}

#[test]
fn a_store_of_a_newer_format_is_not_touched() {
    let store = store(2);
    store.tamper("peat.json", &sealed(r#"{"format":2,"storeId":"abc","shiny":true}"#));
    let error = run(&store, machine(&store, 1).setup(NAMESPACE)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.message.contains("peat.json") && error.message.contains("newer version"), "{error}");
}

#[test]
fn the_first_use_of_a_store_of_a_newer_format_is_refused_before_anything_is_written() {
    let store = store(4);
    run(&store, async {
        write(&machine(&store, 1), "c1", "a", b"1").await.unwrap();
        store.tamper("peat.json", &sealed(r#"{"format":2,"storeId":"abc"}"#));
        store.take_requests();
        let fresh = machine(&store, 2);
        for error in [pull(&fresh).await.unwrap_err(), acquire(&fresh, 0).await.unwrap_err()] {
            assert_eq!(error.kind, ErrorKind::Unsupported);
            assert!(error.message.contains("peat.json") && error.message.contains("newer version"), "{error}");
        }
        let push = push_request("c2", vec![new_entry("b", b"2", "c2")], None);
        assert_eq!(fresh.push(&push).await.unwrap_err().kind, ErrorKind::Unsupported);
        assert_eq!(store.take_requests(), ["GET peat.json"; 3]);
    });
}

#[test]
fn a_namespace_of_a_newer_format_is_neither_read_nor_written() {
    let store = store(3);
    let chain = machine(&store, 1);
    run(&store, async {
        write(&chain, "c1", "a", b"1").await.unwrap();
        // Whoever brings a namespace to a newer format closes it meanwhile.
        let structural = machine(&store, 2).acquire_structural(NAMESPACE, TTL_MS, 0).await.unwrap();
        assert_eq!(structural.partition, peat_chain::keys::STRUCTURAL);
        store.tamper("default/_index/_meta.json", &sealed(r#"{"format":2}"#));
        assert_eq!(pull(&chain).await.unwrap_err().kind, ErrorKind::Unsupported);
        assert_eq!(acquire(&chain, 0).await.unwrap_err().kind, ErrorKind::Unsupported);
    });
}
