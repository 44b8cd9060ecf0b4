//! Runners that say anything: what the host does with it; and hosts that say anything to a runner.
//!
//! The first byte of an input chooses who hears the rest, and how it was framed.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use peat_core::identifiers::{MethodName, ModelId, ModelName, RunId};
use peat_core::ports::{Invocation, MethodExecutor as _, Silent};
use peat_test_support::local_store::MemoryStore;
use peat_test_support::random::SeededRandom;
use peat_test_support::real_clock::RealClock;
use peat_test_support::run::Nothing;
use peat_wasm::{
    Capability, Confinement, ExtensionSource, GrantedCapabilities, Host, HostOptions, LaunchError, LaunchRequest,
    LaunchedRunner, Launcher, Limits, ModelBinding, RunnerProcess, guest_process,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::runtime::Runtime;

/// The frame that says *ready*, for version 1: nothing given up, nothing exported.
const READY: &[u8] = &[2, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];

/// The call that a frame without any belongs to: the first.
const CALL: u32 = 1;

/// Longer than any conversation here; a run that comes to it is a finding.
const DEADLINE: Duration = Duration::from_secs(20);

/// Bytes between the two ends before one waits for the other.
const PIPE_BYTES: usize = 64 * 1024;

/// What hears the inputs: compiled once.
static HOST: LazyLock<(Runtime, Host, ExtensionSource)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let directory = std::env::temp_dir().join(format!("peat-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("the directory for temporary files can be written to");
    let host = Host::new(HostOptions {
        cache_dir: directory.join("cache"),
        cache_bytes_max: u64::MAX,
        quick_bytes_min: None,
        key_file: directory.join("key"),
        limits: Limits::default(),
        clock: Arc::new(RealClock::default()),
        random: Arc::new(SeededRandom::new(1)),
    });
    let model = peat_test_guests::sound_model();
    let all = GrantedCapabilities::from_iter(Capability::ALL);
    let inspected = host.inspect("guest.wasm", &model, &all).expect("the guest is sound");
    let path = directory.join("guest.wasm");
    std::fs::write(&path, &model).expect("the directory for temporary files can be written to");
    let source = ExtensionSource {
        name: inspected.metadata.name.clone(),
        path,
        digest: inspected.digest,
        metadata: Arc::new(inspected.metadata),
    };
    (runtime.expect("a runtime can be made"), host, source)
});

/// One conversation. Accepted when the run succeeded, or the runner came to a good end.
pub(crate) fn runner(input: &[u8]) -> bool {
    let Some((how, rest)) = input.split_first() else { return false };
    match how {
        // Everything that the runner says.
        b'r' => host_hears(rest.to_vec()),
        // What it says once it is ready: kind, number of the import, length, body, and again. Lengths are right.
        b'f' => host_hears([READY, &framed(rest)].concat()),
        // Everything that the host says.
        _ => guest_process::serve(rest, io::sink(), |_, _| Ok(Vec::new())).is_ok(),
    }
}

fn framed(mut rest: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    while let [kind, number, length, after @ ..] = rest {
        let (body, next) = after.split_at(after.len().min(usize::from(*length)));
        frames.push(*kind);
        frames.extend(CALL.to_le_bytes());
        frames.extend(u32::from(*number).to_le_bytes());
        frames.extend((body.len() as u32).to_le_bytes());
        frames.extend(body);
        rest = next;
    }
    frames
}

fn host_hears(says: Vec<u8>) -> bool {
    let (runtime, host, source) = &*HOST;
    let binding = ModelBinding {
        capabilities: GrantedCapabilities::from_iter([Capability::Secrets]),
        settings: serde_json::json!({ "some": "setting" }),
        files: BTreeMap::new(),
        secrets: BTreeMap::new(),
        spool: Arc::new(MemoryStore::default()),
        observer: Arc::new(Silent),
        launcher: Some(Arc::new(Scripted { says })),
    };
    let invocation = Invocation {
        run_id: RunId::parse("run-00000001").expect("it is a run id"),
        model_id: ModelId::parse("model-00000001").expect("it is a model id"),
        model_name: ModelName::parse("example").expect("it is a name"),
        model_type: source.metadata.model_types()[0].name.clone(),
        method: MethodName::parse("run").expect("it is a name"),
        model_arguments: serde_json::json!({}),
        arguments: serde_json::json!({}),
        deadline: DEADLINE,
        held: None,
    };
    let began = Instant::now();
    let result = runtime
        .block_on(host.model_executor(source.clone(), binding).execute(&invocation, &Nothing, &Nothing))
        .map_err(|error| error.to_string());
    assert!(began.elapsed() < DEADLINE, "the conversation was over long before");
    if let Err(text) = &result {
        assert!(!text.contains(['\n', '\u{1b}']), "{text:?}");
    }
    result.is_ok()
}

/// Says what it was told to say, whatever it is asked, and goes: the first frame at once, the others when it was called.
#[derive(Debug)]
struct Scripted {
    says: Vec<u8>,
}

/// Bytes of the header of a frame. Its last four are the length of what follows.
const HEADER_BYTES: usize = 13;

fn body_bytes(header: &[u8]) -> Option<usize> {
    let length = header.get(HEADER_BYTES - 4..HEADER_BYTES)?.try_into().ok()?;
    Some(u32::from_le_bytes(length) as usize)
}

async fn hear_frame(heard: &mut DuplexStream) -> io::Result<()> {
    let mut header = [0; HEADER_BYTES];
    heard.read_exact(&mut header).await?;
    let length = body_bytes(&header).unwrap_or_default() as u64;
    tokio::io::copy(&mut heard.take(length), &mut tokio::io::sink()).await?;
    Ok(())
}

#[async_trait]
impl Launcher for Scripted {
    fn name(&self) -> &'static str {
        "process"
    }

    async fn launch(&self, _: &LaunchRequest) -> Result<LaunchedRunner, LaunchError> {
        let (input, mut heard) = tokio::io::duplex(PIPE_BYTES);
        let (mut saying, output) = tokio::io::duplex(PIPE_BYTES);
        let says = self.says.clone();
        tokio::spawn(async move {
            let first = body_bytes(&says).map_or(says.len(), |length| says.len().min(HEADER_BYTES + length));
            let (first, others) = says.split_at(first);
            saying.write_all(first).await?;
            if !others.is_empty() {
                // The hello, and the call.
                hear_frame(&mut heard).await?;
                hear_frame(&mut heard).await?;
                saying.write_all(others).await?;
            }
            drop(saying);
            tokio::io::copy(&mut heard, &mut tokio::io::sink()).await
        });
        Ok(LaunchedRunner {
            input: Box::new(input),
            output: Box::new(output),
            process: Box::new(Gone),
            bundle: PathBuf::from("/bundle"),
            directories: BTreeMap::new(),
            confinement: Confinement::default(),
        })
    }
}

struct Gone;

#[async_trait]
impl RunnerProcess for Gone {
    async fn ended(&mut self) -> String {
        "it went".to_owned()
    }
}
