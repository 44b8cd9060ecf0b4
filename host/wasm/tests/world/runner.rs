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
    /// What it says: the first frame at once, the others when it was called.
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
            let (first, others) = says.split_at(first_frame(&says));
            let _ = saying.write_all(first).await;
            // The hello, and the call.
            for _ in 0..2 {
                if !stays || hear_frame(&mut heard).await.is_err() {
                    return;
                }
            }
            let _ = saying.write_all(others).await;
            let _ = tokio::io::copy(&mut heard, &mut tokio::io::sink()).await;
        });
        Ok(launched(input, output, request))
    }
}

/// Bytes of the header of a frame. Its last four are the length of what follows.
const HEADER_BYTES: usize = 13;

fn body_bytes(header: &[u8]) -> usize {
    u32::from_le_bytes(header[HEADER_BYTES - 4..HEADER_BYTES].try_into().expect("it has a header's length")) as usize
}

fn first_frame(says: &[u8]) -> usize {
    if says.len() < HEADER_BYTES { says.len() } else { says.len().min(HEADER_BYTES + body_bytes(says)) }
}

async fn hear_frame(heard: &mut DuplexStream) -> io::Result<()> {
    let mut header = [0; HEADER_BYTES];
    heard.read_exact(&mut header).await?;
    tokio::io::copy(&mut heard.take(body_bytes(&header) as u64), &mut tokio::io::sink()).await?;
    Ok(())
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
