//! The runner's end: a process that runs the guests of one extension for a host.
//!
//! It is told what to load, gives up what it does not need, loads native code that was made elsewhere, and then calls what
//! the host asks it to call. Everything a guest imports is asked of the host, except time, randomness and WASI, which are
//! answered here as they are in the host's process. It ends when its input ends.
//!
//! Deliberately absent: a compiler, grants, files of its own, deadlines (the host ends a call), and any decision.

mod calls;
mod clock;
mod imports;
mod link;
mod state;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use peat_core::digest::Digest;
use wasmtime::component::Component;

use self::calls::Calls;
use self::link::Link;
use crate::artifacts::BUNDLE_ARTIFACT;
use crate::datastore::exported;
use crate::engine::SharedEngine;
use crate::epoch::EpochThread;
use crate::grants::GrantedCapabilities;
use crate::imports::unlinkable;
use crate::inspect::InspectedKind;
use crate::runner::Confinement;
use crate::wire::{Frame, GuestFailure, HEADER_BYTES, Header, Hello, Kind, PROTOCOL_VERSION, Ready, decode, encode};

/// Threads that run guests. One that waits for the host inside a synchronous import keeps its thread.
const WORKER_THREADS: usize = 4;

/// Gives up what a runner does not need but the directories named; answers in words what was given up, or why it cannot.
pub type Confine = fn(&Confinement, &[PathBuf]) -> Result<Vec<String>, String>;

/// Speaks with a host over the standard streams until the host is gone. `confine` runs while there is one thread only,
/// after the component was read.
pub fn main(confine: Confine) -> ExitCode {
    // A task that ended badly would leave the host waiting for it; a process that did is seen.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
    match serve(std::io::stdin().lock(), std::io::stdout(), confine) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("peat-runner: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// The same over any two streams.
pub fn serve(mut input: impl Read, output: impl Write + Send + 'static, confine: Confine) -> Result<(), String> {
    let link = Arc::new(Link::new(Box::new(output)));
    let first = read(&mut input)?.ok_or("nobody said hello; a runner is started by peat")?;
    let loaded = hello(&first).and_then(|hello| load(hello, confine));
    let (calls, ready) = match loaded {
        Ok(loaded) => loaded,
        Err(refusal) => {
            link.send(&Frame::new(Kind::Refused, 0, 0, encode(&refusal)));
            return Err(format!("{refusal:?}"));
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_time()
        .build()
        .map_err(|error| format!("its runtime cannot be started: {error}"))?;
    link.send(&Frame::new(Kind::Ready, 0, 0, encode(&ready)));
    while let Some(frame) = read(&mut input)? {
        match frame.kind {
            Kind::Answer => link.answered(frame),
            Kind::Call => calls.begin(frame, &link, runtime.handle()),
            Kind::Cancel => calls.cancel(frame.call, &link),
            other => return Err(format!("the host sent {other:?}, which is not its to send")),
        }
    }
    runtime.shutdown_background();
    Ok(())
}

fn hello(frame: &Frame) -> Result<Hello, GuestFailure> {
    let version = |body: &[u8]| body.first_chunk().map(|version| u32::from_le_bytes(*version));
    if frame.kind != Kind::Hello || version(&frame.body) != Some(PROTOCOL_VERSION) {
        return Err(GuestFailure::Host(format!(
            "this runner speaks version {PROTOCOL_VERSION} of the protocol and peat another; install the peat-runner \
             that came with this peat"
        )));
    }
    let malformed = |malformed| GuestFailure::Host(format!("the hello of the host does not parse: {malformed}"));
    decode(&frame.body).map_err(malformed)
}

fn load(hello: Hello, confine: Confine) -> Result<(Calls, Ready), GuestFailure> {
    let own = GuestFailure::Host;
    let native = native_code(&hello).map_err(own)?;
    let directories: Vec<PathBuf> = hello.directories.iter().map(|(_, path)| PathBuf::from(path)).collect();
    let confined = confine(&hello.confinement, &directories).map_err(own)?;
    let engine = SharedEngine::new().map_err(|error| own(format!("its engine cannot be started: {error:#}")))?;
    // SAFETY: the host made this code, and the bytes loaded are those whose SHA-256 the host said over a stream that
    // nobody else can write.
    let component = unsafe { Component::deserialize(engine.engine(), &native) }.map_err(|error| {
        own(format!("the compiled component does not fit this runner: {}", crate::failure::one_line(&error)))
    })?;
    drop(native);
    let kind = if hello.is_models { InspectedKind::Models } else { InspectedKind::Datastore };
    let granted = hello.granted.iter().map(|word| word.parse()).collect::<Result<GrantedCapabilities, _>>();
    let granted = granted.map_err(|error| own(error.to_string()))?;
    let linker = imports::linker(engine.engine(), kind, &granted);
    let component = linker
        .and_then(|linker| linker.instantiate_pre(&component))
        .map_err(|error| GuestFailure::Unusable(unlinkable(&error)))?;
    let epoch =
        EpochThread::start(engine.engine()).map_err(|error| own(format!("its epoch cannot move: {error:#}")))?;
    let exported = exported(component.component());
    let ready = Ready { version: PROTOCOL_VERSION, confined, exported };
    Ok((Calls::new(epoch, component, hello), ready))
}

/// Read once, checked, and those very bytes are loaded.
fn native_code(hello: &Hello) -> Result<Vec<u8>, String> {
    let path = Path::new(&hello.bundle).join(BUNDLE_ARTIFACT);
    let wrong = |reason: String| format!("the bundle {} cannot be used: {reason}", path.display());
    let file = std::fs::File::open(&path).map_err(|error| wrong(error.to_string()))?;
    let mut native = Vec::new();
    file.take(hello.length.saturating_add(1)).read_to_end(&mut native).map_err(|error| wrong(error.to_string()))?;
    if native.len() as u64 != hello.length || Digest::of(&native).to_string() != hello.digest {
        return Err(wrong("it is not what the host recorded".to_owned()));
    }
    Ok(native)
}

/// One frame; none at the end of the stream.
fn read(input: &mut impl Read) -> Result<Option<Frame>, String> {
    let mut header = [0; HEADER_BYTES];
    match input.read_exact(&mut header) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(format!("the host cannot be heard: {error}")),
        Ok(()) => {}
    }
    let header = Header::parse(&header).map_err(|malformed| format!("the host sent no frame: {malformed}"))?;
    let mut body = Vec::new();
    let read = input.take(header.length as u64).read_to_end(&mut body);
    read.map_err(|error| format!("the host cannot be heard: {error}"))?;
    if body.len() < header.length {
        return Ok(None);
    }
    Ok(Some(Frame::new(header.kind, header.call, header.number, body)))
}
