//! The way of a run, with the real local store and an in-memory datastore in virtual time: what happens between two
//! machines, and when something fails at each step.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(unreachable_pub, reason = "the modules of one test")]

mod hold;
mod world;

use std::sync::Arc;
use std::time::Duration;

use peat_core::content;
use peat_core::identifiers::{DataName, MethodName, ModelId, ModelName, Version};
use peat_core::interrupt::Interrupt;
use peat_core::ports::{
    Clock, DatastoreFeatures, EntryFilter, LocalStore, MethodError, MethodOutcome, RunDataError, StoredState,
};
use peat_core::repository::HydrationStrategy;
use peat_core::run::{RunError, RunRequest, RunStatus};
use peat_core::transfer::Hydrated;
use peat_test_support::clock::ManualClock;
use peat_test_support::datastore::{Fault, MemoryDatastore, SharedState};
use peat_test_support::executor::ClosureExecutor;
use serde_json::{Value, json};
use world::{Machine, TTL, model, partition, request, text_of, writer};

#[test]
fn a_local_run_commits_its_data_its_record_and_its_log() {
    let clock = ManualClock::default();
    let machine = Machine::local(&clock, 1);
    let executor = writer(&clock, 1, Ok(()));
    let report = clock.run(machine.run(&executor, &Interrupt::new())).unwrap();
    assert_eq!((report.record.status, report.entries[0].entry.version.0), (RunStatus::Succeeded, 1));
    assert_eq!(text_of(&machine, &report), b"hello");
    let again = clock.run(machine.run(&executor, &Interrupt::new())).unwrap();
    assert_eq!(again.entries[0].entry.version.0, 2);
    let all = machine.store.entries(&EntryFilter::default()).unwrap();
    assert_eq!(all.len(), 6, "two runs, each with an answer, a record and a log");
    assert!(machine.locks.held().is_empty());
}

#[test]
fn bad_arguments_and_unknown_methods_touch_nothing() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let machine = Machine::shared(&clock, &state, 1);
    let executor = writer(&clock, 0, Ok(()));
    let with = |arguments: Value| RunRequest { arguments, ..request() };
    let error = clock.run(machine.run_with(&executor, &Interrupt::new(), with(json!({ "text": 7 })))).unwrap_err();
    assert!(matches!(&error, RunError::Arguments { .. }) && error.to_string().contains("/text"), "{error}");
    let unknown = RunRequest { method: MethodName::parse("fly").unwrap(), ..request() };
    let error = clock.run(machine.run_with(&executor, &Interrupt::new(), unknown)).unwrap_err();
    assert!(error.to_string().contains("write"), "{error}");
    assert!(state.calls().is_empty());
}

#[test]
fn a_shared_run_costs_one_call_of_each_kind_and_leaves_no_lease() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let machine = Machine::shared(&clock, &state, 1);
    let executor = writer(&clock, 1, Ok(()));
    clock.run(machine.run(&executor, &Interrupt::new())).unwrap();
    assert_eq!(state.calls(), ["acquire", "pull", "push"]);
    assert!(!state.is_leased(&partition()));
    assert_eq!(machine.data(), [("answer".to_owned(), 1, StoredState::Here)]);
    assert!(machine.store.pending(None).unwrap().is_empty());
}

#[test]
fn what_one_machine_wrote_another_reads_after_a_sync() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let (first, second) = (Machine::shared(&clock, &state, 1), Machine::shared(&clock, &state, 2));
    let executor = writer(&clock, 1, Ok(()));
    let report = clock.run(first.run(&executor, &Interrupt::new())).unwrap();
    let brought = second.sync(HydrationStrategy::Full).brought;
    assert_eq!(brought.partitions_changed, 1);
    assert_eq!(text_of(&second, &report), b"hello");
    assert_eq!(second.sync(HydrationStrategy::Full).brought, Hydrated::default(), "nothing changed, nothing came");
}

#[test]
fn a_lazy_sync_hears_of_a_partition_and_a_run_brings_its_index_and_content() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let (first, second) = (Machine::shared(&clock, &state, 1), Machine::shared(&clock, &state, 2));
    let executor = writer(&clock, 1, Ok(()));
    clock.run(first.run(&executor, &Interrupt::new())).unwrap();
    second.sync(HydrationStrategy::Lazy);
    assert_eq!((second.data(), second.store.unread().unwrap()), (Vec::new(), vec![partition()]));
    let reader = ClosureExecutor::new(|_, data, _| {
        Box::pin(async move {
            let (entry, content) = data.read(None, &DataName::parse("answer").unwrap(), None).await.unwrap();
            let text = String::from_utf8(content::read_all(&*content, 100).unwrap()).unwrap();
            Ok(MethodOutcome { summary: format!("{} {text}", entry.version) })
        })
    });
    let report = clock.run(second.run_with(&reader, &Interrupt::new(), lazy())).unwrap();
    assert_eq!(report.record.summary, "1 hello");
}

/// Reads `answer` of the model, or of the one that runs, in these versions, one after the other.
fn reader_of(model: Option<&str>, versions: &[u64]) -> ClosureExecutor {
    let (model, versions) = (model.map(|name| ModelName::parse(name).unwrap()), versions.to_vec());
    ClosureExecutor::new(move |_, data, _| {
        let (model, versions) = (model.clone(), versions.clone());
        Box::pin(async move {
            let name = DataName::parse("answer").unwrap();
            let mut texts = Vec::new();
            for version in versions {
                let failed = |error: RunDataError| MethodError::Failed { message: error.to_string(), transient: false };
                let (_, content) = data.read(model.as_ref(), &name, Some(Version(version))).await.map_err(failed)?;
                texts.push(String::from_utf8(content::read_all(&*content, 100).unwrap()).unwrap());
            }
            Ok(MethodOutcome { summary: texts.join(" ") })
        })
    })
}

/// Two machines: the first has written versions 1 to 3 of `answer`, the second is a lazy clone.
fn lazy_clone(clock: &ManualClock, state: &SharedState) -> Machine {
    let (first, second) = (Machine::shared(clock, state, 1), Machine::shared(clock, state, 2));
    for text in ["one", "two", "three"] {
        let request = RunRequest { arguments: json!({ "text": text }), ..request() };
        clock.run(first.run_with(&writer(clock, 1, Ok(())), &Interrupt::new(), request)).unwrap();
    }
    second.sync(HydrationStrategy::Lazy);
    second
}

fn lazy() -> RunRequest {
    RunRequest { hydration: HydrationStrategy::Lazy, ..request() }
}

#[test]
fn an_older_version_comes_when_a_method_of_a_lazy_repository_reads_it() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let second = lazy_clone(&clock, &state);
    let report = clock.run(second.run_with(&reader_of(None, &[3, 1, 1]), &Interrupt::new(), lazy())).unwrap();
    assert_eq!(report.record.summary, "three one one");
    assert_eq!(state.count("fetch"), 2, "the newest before the run, the first on demand, once");
    let stored: Vec<_> = second.data().into_iter().map(|(_, version, stored)| (version, stored)).collect();
    assert_eq!(stored, [(3, StoredState::Here), (2, StoredState::Remote), (1, StoredState::Here)]);
    // What is not there is not asked for.
    let report = clock.run(second.run_with(&reader_of(None, &[4]), &Interrupt::new(), lazy())).unwrap();
    assert!(report.failure.unwrap().to_string().contains("no data answer version 4"));
    assert_eq!(state.count("fetch"), 2);
}

#[test]
fn an_older_version_of_another_model_comes_too() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let second = lazy_clone(&clock, &state);
    let mut request = RunRequest { reads: vec![model()], ..lazy() };
    request.model.id = ModelId::parse("ffffffffffff").unwrap();
    request.model.name = ModelName::parse("other").unwrap();
    let report = clock.run(second.run_with(&reader_of(Some("web"), &[2]), &Interrupt::new(), request)).unwrap();
    assert_eq!(report.record.summary, "two");
}

#[test]
fn what_another_model_has_not_committed_hides_nothing_that_it_has() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let machine = Machine::shared(&clock, &state, 1);
    clock.run(machine.run(&writer(&clock, 1, Ok(())), &Interrupt::new())).unwrap();
    machine.remote().fail("push", [Fault::Before]);
    clock.run(machine.run(&writer(&clock, 1, Ok(())), &Interrupt::new())).unwrap_err();
    let reader = ClosureExecutor::new(|_, data, _| {
        Box::pin(async move {
            let web = ModelName::parse("web").unwrap();
            let listed = data.list(Some(&web), "", None, 10).unwrap();
            let (entry, _) = data.read(Some(&web), &DataName::parse("answer").unwrap(), None).await.unwrap();
            Ok(MethodOutcome { summary: format!("{} {}", listed[0].version, entry.version) })
        })
    });
    let mut request = RunRequest { reads: vec![model()], ..request() };
    request.model.id = ModelId::parse("ffffffffffff").unwrap();
    request.model.name = ModelName::parse("other").unwrap();
    let report = clock.run(machine.run_with(&reader, &Interrupt::new(), request)).unwrap();
    assert_eq!(report.record.summary, "1 1");
}

#[test]
fn a_method_is_told_which_version_cannot_be_brought() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let second = lazy_clone(&clock, &state);
    let executor = reader_of(None, &[2]);
    second.remote().fail("fetch", [Fault::None, Fault::Before]);
    let report = clock.run(second.run_with(&executor, &Interrupt::new(), lazy())).unwrap();
    let failure = report.failure.unwrap().to_string();
    assert!(failure.contains("answer version 2 of") && failure.contains("cannot be brought"), "{failure}");
    assert!(!state.is_leased(&partition()));
    // The next one has it.
    let report = clock.run(second.run_with(&executor, &Interrupt::new(), lazy())).unwrap();
    assert_eq!(report.record.summary, "two");
}

#[test]
fn two_runs_of_one_model_queue_and_both_succeed() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let (first, second) = (Machine::shared(&clock, &state, 1), Machine::shared(&clock, &state, 2));
    let executor = writer(&clock, 20, Ok(()));
    let interrupt = Interrupt::new();
    let both = futures::future::join(first.run(&executor, &interrupt), second.run(&executor, &interrupt));
    let (first_report, second_report) = clock.run(both);
    let (first_report, second_report) = (first_report.unwrap(), second_report.unwrap());
    assert!(second_report.record.waited_ms >= 20_000, "{}", second_report.record.waited_ms);
    assert_eq!((first_report.entries[0].entry.version.0, second_report.entries[0].entry.version.0), (1, 2));
}

#[test]
fn a_long_run_keeps_its_lease_by_renewing_it() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let machine = Machine::shared(&clock, &state, 1);
    // One renewal fails before and one after it was applied: one miss in a row is survived.
    machine.remote().fail("renew", [Fault::Before]);
    let executor = writer(&clock, 300, Ok(()));
    let report = clock.run(machine.run(&executor, &Interrupt::new())).unwrap();
    assert_eq!(report.record.status, RunStatus::Succeeded);
    assert!(state.calls().iter().filter(|call| **call == "renew").count() >= 14, "{:?}", state.calls());
}

#[test]
fn a_lost_lease_stops_the_method_at_once_and_keeps_its_results_here() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let machine = Machine::shared(&clock, &state, 1);
    let executor = writer(&clock, 100_000, Ok(()));
    let thief = async {
        clock.sleep(Duration::from_secs(30)).await;
        state.take_over(&partition());
    };
    let interrupt = Interrupt::new();
    let (result, ()) = clock.run(futures::future::join(machine.run(&executor, &interrupt), thief));
    assert!(matches!(result.unwrap_err(), RunError::LeaseLost { .. }));
    assert!(clock.elapsed_ms() < 60_000, "stopped at {} ms", clock.elapsed_ms());
    assert!(!state.calls().contains(&"push"), "{:?}", state.calls());
    assert!(state.entries(&partition()).is_empty());
    assert_eq!(machine.data(), [("answer".to_owned(), 0, StoredState::Uncommitted)]);
}

#[test]
fn renewals_that_are_never_answered_count_as_a_lost_lease_before_it_expires() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let machine = Machine::shared(&clock, &state, 1);
    machine.remote().fail("renew", [Fault::Never, Fault::Never, Fault::Never]);
    let executor = writer(&clock, 100_000, Ok(()));
    let error = clock.run(machine.run(&executor, &Interrupt::new())).unwrap_err();
    assert!(matches!(error, RunError::LeaseLost { .. }), "{error}");
    assert!(clock.elapsed_ms() <= 80_000, "stopped at {} ms", clock.elapsed_ms());
}

#[test]
fn a_failed_push_fails_the_run_keeps_the_results_and_the_next_command_sends_them_once() {
    for fault in [Fault::Before, Fault::After] {
        let (clock, state) = (ManualClock::default(), SharedState::default());
        let machine = Machine::shared(&clock, &state, 1);
        machine.remote().fail("push", [fault]);
        let executor = writer(&clock, 1, Ok(()));
        let error = clock.run(machine.run(&executor, &Interrupt::new())).unwrap_err();
        assert!(error.to_string().contains("peat datastore sync"), "{error}");
        assert_eq!(machine.data(), [("answer".to_owned(), 0, StoredState::Uncommitted)], "{fault:?}");
        assert_eq!(machine.sync(HydrationStrategy::Full).commits_pushed, 1);
        assert_eq!(machine.data(), [("answer".to_owned(), 1, StoredState::Here)], "{fault:?}");
        assert_eq!(state.entries(&partition()).len(), 3, "{fault:?}: an answer, a record and a log, once");
        assert!(machine.store.pending(None).unwrap().is_empty());
    }
}

#[test]
fn the_next_run_of_a_model_sends_what_the_last_one_left_behind_first() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let machine = Machine::shared(&clock, &state, 1);
    machine.remote().fail("push", [Fault::Before]);
    let executor = writer(&clock, 1, Ok(()));
    clock.run(machine.run(&executor, &Interrupt::new())).unwrap_err();
    let report = clock.run(machine.run(&executor, &Interrupt::new())).unwrap();
    assert_eq!(report.entries[0].entry.version.0, 2);
    assert!(machine.store.pending(None).unwrap().is_empty());
}

#[test]
fn a_failed_method_is_recorded_and_its_data_is_not_the_latest() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let machine = Machine::shared(&clock, &state, 1);
    clock.run(machine.run(&writer(&clock, 1, Ok(())), &Interrupt::new())).unwrap();
    let failure = MethodError::Failed { message: "no answer from the service".to_owned(), transient: true };
    let report = clock.run(machine.run(&writer(&clock, 1, Err(failure)), &Interrupt::new())).unwrap();
    assert_eq!(report.record.status, RunStatus::Failed);
    assert!(report.record.summary.contains("no answer"));
    let filter = EntryFilter { latest_only: true, public_only: true, ..EntryFilter::default() };
    let latest = machine.store.entries(&filter).unwrap();
    assert_eq!(latest.iter().map(|stored| stored.entry.version.0).collect::<Vec<_>>(), [1]);
    assert_eq!(machine.data().len(), 2, "the data of the failed run is kept");
}

#[test]
fn an_interrupted_run_ends_at_once_and_is_recorded_as_interrupted() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let machine = Machine::shared(&clock, &state, 1);
    let (interrupt, executor) = (Interrupt::new(), writer(&clock, 100_000, Ok(())));
    let operator = async {
        clock.sleep(Duration::from_secs(5)).await;
        interrupt.trigger();
    };
    let (report, ()) = clock.run(futures::future::join(machine.run(&executor, &interrupt), operator));
    assert_eq!(report.unwrap().record.status, RunStatus::Interrupted);
    assert!(clock.elapsed_ms() < 6_000);
    assert!(!state.is_leased(&partition()));
}

#[test]
fn an_interrupt_while_waiting_for_another_holder_changes_nothing() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let machine = Machine::shared(&clock, &state, 1);
    state.take_over(&partition());
    let interrupt = Interrupt::new();
    let operator = async {
        clock.sleep(Duration::from_secs(5)).await;
        interrupt.trigger();
    };
    let executor = writer(&clock, 1, Ok(()));
    let (result, ()) = clock.run(futures::future::join(machine.run(&executor, &interrupt), operator));
    assert!(matches!(result.unwrap_err(), RunError::Interrupted));
    assert!(state.entries(&partition()).is_empty() && machine.locks.held().is_empty());
}

#[test]
fn content_that_is_indexed_but_gone_is_reported_by_name() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let (first, second) = (Machine::shared(&clock, &state, 1), Machine::shared(&clock, &state, 2));
    let executor = writer(&clock, 1, Ok(()));
    let report = clock.run(first.run(&executor, &Interrupt::new())).unwrap();
    second.sync(HydrationStrategy::Lazy);
    state.lose_content(&report.entries[0].entry.description.digest);
    let error = clock.run(second.run_with(&executor, &Interrupt::new(), lazy())).unwrap_err();
    assert!(error.to_string().contains("answer version 1"), "{error}");
    assert!(!state.is_leased(&partition()), "the lease is given up after the error");
}

#[test]
fn a_datastore_without_locks_and_hydration_serialises_its_writers_and_brings_everything() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let mut machine = Machine::shared(&clock, &state, 1);
    let remote = MemoryDatastore::new(state.clone(), clock.clone(), machine.store.clone());
    machine.datastore = Some(Arc::new(remote.with_features(DatastoreFeatures::default())));
    let executor = writer(&clock, 20, Ok(()));
    let interrupt = Interrupt::new();
    let mut other = request();
    other.model.id = ModelId::parse("ffffffffffff").unwrap();
    let both =
        futures::future::join(machine.run(&executor, &interrupt), machine.run_with(&executor, &interrupt, other));
    let (first, second) = clock.run(both);
    first.unwrap();
    assert!(second.unwrap().record.waited_ms >= 19_000, "two models did not exclude each other");
    assert!(!state.calls().contains(&"acquire") && !state.calls().contains(&"fetch"), "{:?}", state.calls());
}

#[test]
fn content_that_cannot_be_fetched_comes_with_a_full_pull_of_its_partition() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let (first, second) = (Machine::shared(&clock, &state, 1), Machine::shared(&clock, &state, 2));
    let executor = writer(&clock, 1, Ok(()));
    clock.run(first.run(&executor, &Interrupt::new())).unwrap();
    second.remote().fail("fetch", [Fault::Before; 10]);
    clock.run(second.run_with(&executor, &Interrupt::new(), lazy())).unwrap();
    assert_eq!(
        second.data(),
        [("answer".to_owned(), 2, StoredState::Here), ("answer".to_owned(), 1, StoredState::Here)]
    );
    // Where that does not help either, the run fails and names what it lacks, and leaves no lease behind.
    let third = Machine::shared(&clock, &state, 3);
    third.remote().fail("fetch", [Fault::Before; 10]);
    state.damage_index(&partition());
    let error = clock.run(third.run_with(&executor, &Interrupt::new(), lazy())).unwrap_err();
    assert!(error.to_string().contains(partition().as_str()), "{error}");
    assert!(!state.is_leased(&partition()));
}

#[test]
fn a_commit_that_takes_three_times_to_live_is_renewed_meanwhile_and_nobody_takes_over() {
    let (clock, state) = (ManualClock::default(), SharedState::default());
    let (first, second) = (Machine::shared(&clock, &state, 1), Machine::shared(&clock, &state, 2));
    first.remote().fail("push", [Fault::Slow(3 * TTL.as_secs())]);
    let executor = writer(&clock, 1, Ok(()));
    let (interrupt, patient) = (Interrupt::new(), Duration::from_secs(3_600));
    let waiting = async {
        clock.sleep(Duration::from_secs(10)).await;
        second.run_with(&executor, &interrupt, RunRequest { lock_timeout: patient, ..request() }).await
    };
    let (pushed, waited) = clock.run(futures::future::join(first.run(&executor, &interrupt), waiting));
    assert_eq!(pushed.unwrap().entries[0].entry.version.0, 1);
    let waited = waited.unwrap();
    assert_eq!(waited.entries[0].entry.version.0, 2);
    assert!(waited.record.waited_ms >= 170_000, "{}", waited.record.waited_ms);
    // The lease is given up in the commit: no renewal comes after it.
    assert!(state.count("renew") >= 8 && state.calls().last() == Some(&"push"), "{:?}", state.calls());
}
