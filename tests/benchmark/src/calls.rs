//! What a call of a prepared component costs inside a host, for `cargo xtask bench`: without starting a process, opening a
//! store or committing anything.
//!
//! `call-benchmark COMPONENT CALLS` takes the component of `tests/guests/empty` and prints one JSON document.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use peat_core::identifiers::{MethodName, ModelId, ModelName, RunId};
use peat_core::ports::{Invocation, MethodExecutor as _, MethodOutcome, Silent};
use peat_store::{SystemClock, SystemRandom};
use peat_test_support::local_store::MemoryStore;
use peat_test_support::run::Nothing;
use peat_wasm::{ExtensionSource, GrantedCapabilities, Host, HostOptions, Limits, ModelBinding, ModelExecutor};
use serde_json::json;

/// Host calls of one call of the guest, to tell one of them from the call around it.
const HOST_CALLS: u32 = 200_000;

/// Calls that are not counted: the first ones find cold caches.
const WARM_UP_CALLS: usize = 50;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [component, calls] = arguments.as_slice() else { panic!("call-benchmark COMPONENT CALLS") };
    let calls: usize = calls.parse().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let executor = executor(Path::new(component), scratch.path());
    // On a thread of the runtime: from outside of it each call would be handed over to one, and back.
    let (call_us, host_call_ns) = tokio::spawn(measure(executor, calls)).await.unwrap();
    println!("{}", json!({ "callUs": sorted(call_us), "hostCallNs": sorted(host_call_ns) }));
}

/// Microseconds of each call, nanoseconds of calls of the host.
async fn measure(executor: ModelExecutor, calls: usize) -> (Vec<f64>, Vec<f64>) {
    let nothing = invocation("nothing", json!({}));
    let asking = invocation("ask", json!({ "calls": HOST_CALLS }));
    let mut call_us = Vec::with_capacity(calls);
    for number in 0..WARM_UP_CALLS + calls {
        let took = time(&executor, &nothing).await;
        if number >= WARM_UP_CALLS {
            call_us.push(took.as_secs_f64() * 1e6);
        }
    }
    let mut host_call_ns = Vec::new();
    for _ in 0..(calls / 50).max(3) {
        let took = time(&executor, &asking).await.saturating_sub(time(&executor, &nothing).await);
        host_call_ns.push(took.as_secs_f64() * 1e9 / f64::from(HOST_CALLS));
    }
    (call_us, host_call_ns)
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

async fn time(executor: &ModelExecutor, invocation: &Invocation) -> Duration {
    let began = Instant::now();
    let MethodOutcome { summary } = executor.execute(invocation, &Nothing, &Nothing).await.unwrap();
    let took = began.elapsed();
    assert!(!summary.is_empty());
    took
}

fn executor(component: &Path, scratch: &Path) -> ModelExecutor {
    let host = Host::new(HostOptions {
        cache_dir: scratch.join("cache"),
        cache_bytes_max: u64::MAX,
        quick_bytes_min: None,
        key_file: scratch.join("key"),
        limits: Limits::default(),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
    });
    let bytes = std::fs::read(component).unwrap();
    let inspected = host.inspect("component", &bytes, &GrantedCapabilities::default()).unwrap();
    let source = ExtensionSource {
        name: inspected.metadata.name.clone(),
        path: component.to_owned(),
        digest: inspected.digest,
        metadata: Arc::new(inspected.metadata),
    };
    let binding = ModelBinding {
        capabilities: GrantedCapabilities::default(),
        settings: json!({}),
        files: BTreeMap::new(),
        secrets: BTreeMap::new(),
        spool: Arc::new(MemoryStore::default()),
        observer: Arc::new(Silent),
        launcher: None,
    };
    host.model_executor(source, binding)
}

fn invocation(method: &str, arguments: serde_json::Value) -> Invocation {
    Invocation {
        run_id: RunId::parse("run-00000001").unwrap(),
        model_id: ModelId::parse("model-00000001").unwrap(),
        model_name: ModelName::parse("subject").unwrap(),
        model_type: peat_core::identifiers::ModelTypeName::parse("@test/empty").unwrap(),
        method: MethodName::parse(method).unwrap(),
        model_arguments: json!({}),
        arguments,
        deadline: Duration::from_secs(600),
        held: None,
    }
}
