//! Runners without a process: the runner's end of the protocol on a thread, or bytes that pretend to be a runner.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use peat_wasm::{Confinement, LaunchError, LaunchRequest, LaunchedRunner, Launcher, RunnerProcess, guest_process};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::runtime::Handle;

/// Bytes between the two ends before one waits for the other: that of a pipe.
const PIPE_BYTES: usize = 64 * 1024;

/// A stream of the runtime for a thread that blocks.
struct Blocking(DuplexStream, Handle);

impl Read for Blocking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.block_on(self.0.read(buffer))
    }
}

impl Write for Blocking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // On a thread of the runner's own runtime: that one may not be blocked by another, and a task of it that has used up
        // its turn would wait here for its next one for ever.
        futures::executor::block_on(tokio::task::unconstrained(self.0.write(bytes)))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs the runner's end on a thread of this process. Counts how often it was started.
#[derive(Debug, Default)]
pub struct OnAThread {
    pub started: Mutex<u32>,
}

struct Thread;

#[async_trait]
impl RunnerProcess for Thread {
    async fn ended(&mut self) -> String {
        "the thread ended".to_owned()
    }
}

fn confine(_: &Confinement, _: &[std::path::PathBuf]) -> Result<Vec<String>, String> {
    Ok(vec!["nothing: it is a thread".to_owned()])
}

#[async_trait]
impl Launcher for OnAThread {
    fn name(&self) -> &'static str {
        "process"
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchedRunner, LaunchError> {
        *self.started.lock().unwrap() += 1;
        let (input, runner_input) = tokio::io::duplex(PIPE_BYTES);
        let (runner_output, output) = tokio::io::duplex(PIPE_BYTES);
        let handle = Handle::current();
        std::thread::spawn(move || {
            let (input, output) = (Blocking(runner_input, handle.clone()), Blocking(runner_output, handle));
            // A host that goes away is how every test ends.
            let _ = guest_process::serve(input, output, confine);
        });
        Ok(launched(input, output, request))
    }
}

/// Says what it was told to say, whatever it is asked.
#[derive(Debug)]
pub struct Scripted {
    /// What it says at once.
    pub says: Vec<u8>,
    /// Whether it then stays, saying nothing.
    pub stays: bool,
}

#[async_trait]
impl Launcher for Scripted {
    fn name(&self) -> &'static str {
        "process"
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchedRunner, LaunchError> {
        let (input, mut heard) = tokio::io::duplex(PIPE_BYTES);
        let (mut saying, output) = tokio::io::duplex(PIPE_BYTES);
        let (says, stays) = (self.says.clone(), self.stays);
        tokio::spawn(async move {
            let said = async {
                let _ = saying.write_all(&says).await;
                if !stays {
                    drop(saying);
                    return;
                }
                std::future::pending::<()>().await;
            };
            let hearing = async { tokio::io::copy(&mut heard, &mut tokio::io::sink()).await };
            let _ = futures::join!(said, hearing);
        });
        Ok(launched(input, output, request))
    }
}

/// Starts nothing.
#[derive(Debug)]
pub struct Refusing;

#[async_trait]
impl Launcher for Refusing {
    fn name(&self) -> &'static str {
        "container"
    }

    async fn launch(&self, _: &LaunchRequest) -> Result<LaunchedRunner, LaunchError> {
        Err(LaunchError("no container runtime is installed; install podman".to_owned()))
    }
}

fn launched(
    input: impl AsyncWrite + Send + Unpin + 'static,
    output: impl AsyncRead + Send + Unpin + 'static,
    request: &LaunchRequest,
) -> LaunchedRunner {
    LaunchedRunner {
        input: Box::new(input),
        output: Box::new(output),
        process: Box::new(Thread),
        bundle: request.bundle.directory.clone(),
        directories: request
            .directories
            .iter()
            .map(|(name, path)| (name.clone(), path.clone()))
            .collect::<BTreeMap<_, _>>(),
        confinement: Confinement::default(),
    }
}

/// A launcher that several hosts can share.
pub fn on_a_thread() -> Arc<OnAThread> {
    Arc::default()
}
