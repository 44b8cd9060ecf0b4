//! Models as authors write them, built by `cargo xtask guests`: they do their work, and when they do not, the host says so.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use peat_core::content::SharedContent;
use peat_core::ports::{ExtensionError, MethodError, Observer, Progress, Spool, SpoolWriter, StoreError};
use peat_wasm::{Capability, GrantedCapabilities, Limits, ModelBinding};
use serde_json::{Value, json};

use world::{Ran, World, built_guest, grant, invocation};

const LONG: Duration = Duration::from_secs(60);

/// A binding with the capabilities of a model and a granted directory with a file, a link out of it and a secret place.
fn granted(world: &World) -> ModelBinding {
    let root = world.directory.path();
    std::fs::create_dir_all(root.join("source/deeper")).unwrap();
    std::fs::write(root.join("source/text.txt"), "one two\ntwo three\n").unwrap();
    std::fs::write(root.join("private.txt"), "private").unwrap();
    let _ = std::os::unix::fs::symlink("../private.txt", root.join("source/link.txt"));
    let _ = std::os::unix::fs::symlink("text.txt", root.join("source/inside.txt"));
    let mut binding = world.binding();
    binding.capabilities = GrantedCapabilities::from_iter([Capability::Files, Capability::Secrets]);
    binding.files = [(grant("source"), root.join("source"))].into();
    binding
}

async fn misbehave(world: &World, method: &str, arguments: Value, deadline: Duration) -> Ran {
    let source = world.install(&built_guest("test-misbehaving.wasm"));
    world.execute(source, granted(world), &invocation(method, arguments, deadline)).await
}

fn extension_error(ran: &Ran) -> &ExtensionError {
    match &ran.result {
        Err(MethodError::Extension(error)) => error,
        other => panic!("the guest was not stopped: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_granted_file_is_profiled() {
    let world = World::new();
    let source = world.install(&built_guest("example-text.wasm"));
    let ran = world.execute(source, granted(&world), &invocation("profile", json!({"path": "text.txt"}), LONG)).await;
    assert_eq!(ran.result.as_ref().unwrap().summary, "text.txt: 2 lines, 4 words, 18 bytes");
    let profile: Value = serde_json::from_str(&ran.text("profile")).unwrap();
    assert_eq!(profile["words"], 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_go_in_and_data_and_log_come_out() {
    let world = World::new();
    let source = world.install(&built_guest("test-empty.wasm"));
    let ran = world.execute(source, world.binding(), &invocation("echo", json!({"say": "ä\n"}), LONG)).await;
    assert_eq!(serde_json::from_str::<Value>(&ran.text("echo")).unwrap(), json!({"say": "ä\n"}));
    assert_eq!(ran.log.len(), 1);
    assert!(ran.log[0].starts_with("info: echoed"), "{:?}", ran.log);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_leaves_the_granted_directory_is_denied() {
    let world = World::new();
    for path in ["../private.txt", "/etc/passwd", "deeper/../../private.txt", "link.txt", "a\0b", "a\\b", ".", ""] {
        let ran = misbehave(&world, "read-path", json!({"directory": "source", "path": path}), LONG).await;
        assert!(ran.data.is_empty(), "{path:?} was read");
        assert!(matches!(ran.result, Err(MethodError::Failed { .. })), "{path:?}: {:?}", ran.result);
    }
    let long = misbehave(&world, "read-path", json!({"directory": "source", "path": "x/".repeat(4096)}), LONG).await;
    assert!(matches!(long.result, Err(MethodError::Failed { .. })), "{:?}", long.result);
    let inside = misbehave(&world, "read-path", json!({"directory": "source", "path": "inside.txt"}), LONG).await;
    assert_eq!(inside.text("escaped"), "one two\ntwo three\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_granted_by_name_is_denied_and_what_is_granted_is_named() {
    let world = World::new();
    let folder = misbehave(&world, "open-folder", json!({"name": "home"}), LONG).await;
    assert!(folder.error().contains("granted are [source]"), "{}", folder.error());
    let secret = misbehave(&world, "read-secret", json!({"name": "token"}), LONG).await;
    assert!(secret.error().contains("no such secret is granted"), "{}", secret.error());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_name_that_escapes_is_refused() {
    let world = World::new();
    for name in ["../x", "/x", "a/../b", "a\0b", "C:\\x", "", ".run/x/log", "Ä"] {
        let ran = misbehave(&world, "write-named", json!({"name": name}), LONG).await;
        assert!(ran.data.is_empty(), "{name:?} was written");
        assert!(ran.error().contains("data name"), "{name:?}: {}", ran.error());
    }
    let long = misbehave(&world, "write-named", json!({"name": "x".repeat(4096)}), LONG).await;
    assert!(long.error().contains("data name") && long.error().len() < 2000, "{}", long.error());
    let good = misbehave(&world, "write-named", json!({"name": "reports/one"}), LONG).await;
    assert_eq!(good.text("reports/one"), "escaped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_misbehave_has_its_own_name() {
    let limits = Limits { content_bytes: 64 * 1024 * 1024, ..Limits::default() };
    let world = World::with(limits);
    let short = Duration::from_secs(2);
    for (method, deadline, expected) in [
        ("trap", LONG, "trapped"),
        ("overflow-stack", LONG, "out of bounds memory access"),
        ("spin", short, "did not finish run within 2000 ms"),
        ("wait-for-nothing", LONG, "trapped in run"),
        ("sleep-for-ever", short, "did not finish run within 2000 ms"),
        ("allocate", LONG, "268435456 bytes of memory"),
        ("hoard-blobs", LONG, "32768 handles"),
        ("flood-data", LONG, "67108864 bytes of content"),
    ] {
        let begun = Instant::now();
        let ran = misbehave(&world, method, json!({}), deadline).await;
        let error = extension_error(&ran).to_string();
        assert!(error.contains(expected), "{method}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{method} took {:?}", begun.elapsed());
    }
    let failed = misbehave(&world, "fail-after-write", json!({}), LONG).await;
    assert!(failed.error().contains("the second half is missing"), "{}", failed.error());
    assert_eq!(failed.text("half"), "the first half");
}

/// A disk without room.
struct Full;

impl Spool for Full {
    fn begin(&self) -> Result<Box<dyn SpoolWriter>, StoreError> {
        Ok(Box::new(Self))
    }
}

impl SpoolWriter for Full {
    fn write(&mut self, _: &[u8]) -> Result<(), StoreError> {
        Err(StoreError::Full { path: "spool".to_owned(), reason: "no space left on device".to_owned() })
    }

    fn finish(self: Box<Self>) -> Result<SharedContent, StoreError> {
        Err(StoreError::Full { path: "spool".to_owned(), reason: "no space left on device".to_owned() })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_not_the_failure_of_the_method() {
    let world = World::new();
    let source = world.install(&built_guest("test-misbehaving.wasm"));
    let binding = ModelBinding { spool: Arc::new(Full), ..granted(&world) };
    let ran = world.execute(source, binding, &invocation("flood-data", json!({}), LONG)).await;
    assert!(matches!(ran.result, Err(MethodError::Store(StoreError::Full { .. }))), "{:?}", ran.result);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_are_cut() {
    let world = World::new();
    let log = misbehave(&world, "flood-log", json!({}), LONG).await;
    assert!(log.log.iter().map(String::len).sum::<usize>() < 5 * 1024 * 1024);
    assert!(log.log.last().unwrap().contains("the log is cut"));
    let summary = misbehave(&world, "flood-summary", json!({}), LONG).await;
    assert!(summary.result.map_or_else(|error| error.to_string(), |outcome| outcome.summary).len() < 10_000);
}

/// Counts reports.
#[derive(Default)]
struct Reports(AtomicU64);

impl Observer for Reports {
    fn progress(&self, _: Progress) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn warn(&self, _: &str) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_progress_reaches_nobody_faster_than_they_can_see() {
    let world = World::new();
    let source = world.install(&built_guest("test-misbehaving.wasm"));
    let reports = Arc::new(Reports::default());
    let binding = ModelBinding { observer: reports.clone(), ..granted(&world) };
    let begun = Instant::now();
    let ran = world.execute(source, binding, &invocation("flood-progress", json!({}), LONG)).await;
    assert!(ran.result.is_ok(), "{:?}", ran.result);
    let seen = reports.0.load(Ordering::Relaxed);
    let allowed = u64::try_from(begun.elapsed().as_millis()).unwrap() / 50 + 1;
    assert!((1..=allowed).contains(&seen), "{seen} reports were passed on, {allowed} may be");
}

/// Breaks in the middle of a call.
struct Broken;

impl Observer for Broken {
    fn progress(&self, _: Progress) {
        panic!("the eye is broken");
    }
    fn warn(&self, _: &str) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_panics_in_a_call_has_lost_that_call_alone() {
    let world = World::new();
    let source = world.install(&built_guest("test-misbehaving.wasm"));
    let binding = ModelBinding { observer: Arc::new(Broken), ..granted(&world) };
    let ran = world.execute_there(source.clone(), binding, &invocation("flood-progress", json!({}), LONG)).await;
    assert!(matches!(extension_error(&ran), ExtensionError::Host { .. }), "{}", ran.error());
    assert!(ran.error().contains("the eye is broken"), "{}", ran.error());
    let ran = world.execute(source, granted(&world), &invocation("flood-progress", json!({}), LONG)).await;
    assert!(ran.result.is_ok(), "{:?}", ran.result);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_of_a_standard_library_runs_and_finds_nothing() {
    let world = World::new();
    let binding = world.binding();
    let source = world.install(&peat_test_guests::standard_library_model());
    let ran = world.execute(source, binding, &invocation("print", json!({}), LONG)).await;
    assert_eq!(ran.result.as_ref().unwrap().summary, "printed");
    assert_eq!(ran.log, [format!("stdout: {}", peat_test_guests::STANDARD_OUTPUT_LINE)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ungranted_import_stops_a_run_too() {
    let world = World::new();
    let source = world.install(&built_guest("example-text.wasm"));
    let ran = world.execute(source, world.binding(), &invocation("profile", json!({"path": "x"}), LONG)).await;
    let error = extension_error(&ran).to_string();
    assert!(error.contains("peat:host/files@0.1.0"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compiled_extension_runs_after_its_file_is_gone_and_a_new_one_does_not() {
    let world = World::new();
    let source = world.install(&built_guest("test-empty.wasm"));
    let nothing = invocation("nothing", json!({}), LONG);
    assert!(world.execute(source.clone(), world.binding(), &nothing).await.result.is_ok());
    std::fs::remove_file(&source.path).unwrap();
    let host = World::host(world.directory.path(), Limits::default());
    let kept = World { directory: tempfile::tempdir().unwrap(), host };
    assert!(kept.execute(source.clone(), world.binding(), &nothing).await.result.is_ok());
    let ran = World::new().execute(source, world.binding(), &nothing).await;
    assert!(matches!(extension_error(&ran), ExtensionError::Missing { .. }), "{:?}", ran.result);
}
