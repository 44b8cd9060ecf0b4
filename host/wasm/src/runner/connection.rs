//! The streams of one runner: frames out, frames in, each to the call that it belongs to.
//!
//! What lies between the runner and the calls is bounded in bytes: beyond it, the runner is not read from until something
//! was served. Serving waits for nothing that the runner would have to say first, so this ends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::launch::{LaunchedRunner, RunnerProcess};
use crate::bindings::datastore::exports::peat::datastore::capabilities::Features;
use crate::convert::text::line;
use crate::wire::{
    CallBegin, Frame, GuestFailure, HEADER_BYTES, Header, Hello, Kind, PROTOCOL_VERSION, Ready, decode, encode,
};

/// Bytes of frames that were read and are not served yet: two of the largest.
const UNSERVED_BYTES_MAX: usize = 34 * 1024 * 1024;

/// What a frame counts beyond its body.
const FRAME_COST_BYTES: usize = 64;

/// Bytes one permit of the bound stands for.
const PERMIT_BYTES: usize = 64;

/// Frames that wait to be written. Those who make them wait when it is full.
const UNWRITTEN_FRAMES_MAX: usize = 4;

/// How long a process that closed its streams may take to end, for the sake of the message.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// A runner that has loaded its component.
pub(super) struct Connection {
    shared: Arc<Shared>,
    ready: Ready,
    process: tokio::sync::Mutex<Box<dyn RunnerProcess>>,
    tasks: [JoinHandle<()>; 2],
}

struct Shared {
    outbound: mpsc::Sender<Frame>,
    calls: Mutex<Calls>,
    /// What it said that belongs to no call: it is not listened to any more.
    violation: OnceLock<String>,
    is_gone: AtomicBool,
}

#[derive(Default)]
struct Calls {
    /// How many were begun. The first has number 1.
    begun: u32,
    under_way: HashMap<u32, mpsc::UnboundedSender<Inbound>>,
}

/// A frame of one call, counted until it is dropped.
pub(super) struct Inbound {
    pub(super) frame: Frame,
    _counted: OwnedSemaphorePermit,
}

/// One call, as the host sees it.
pub(super) struct Conversation {
    shared: Arc<Shared>,
    call: u32,
    inbound: mpsc::UnboundedReceiver<Inbound>,
    has_ended: bool,
}

/// Why a runner did not begin.
pub(super) enum Refused {
    /// The component cannot be used.
    Component(String),
    /// Anything else.
    Runner(String),
}

impl Refused {
    fn of(failure: GuestFailure) -> Self {
        match failure {
            GuestFailure::Unusable(reason) => Self::Component(line(&reason)),
            GuestFailure::Host(reason) => Self::Runner(line(&reason)),
            other => Self::Runner(format!("it refused to begin: {other:?}")),
        }
    }
}

impl Connection {
    /// Says hello and waits for the answer.
    pub(super) async fn open(launched: LaunchedRunner, hello: &Hello) -> Result<Self, Refused> {
        let LaunchedRunner { mut input, mut output, mut process, .. } = launched;
        let bound = Arc::new(Semaphore::new(UNSERVED_BYTES_MAX / PERMIT_BYTES));
        let first = async {
            let hello = Frame::new(Kind::Hello, 0, 0, encode(hello));
            write(&mut input, &hello).await.map_err(|error| error.to_string())?;
            read(&mut output, &bound).await
        };
        let ready: Ready = match first.await {
            Ok(Some(Inbound { frame: Frame { kind: Kind::Ready, body, .. }, .. })) => {
                decode(&body).map_err(|malformed| {
                    Refused::Runner(format!("its runner's first answer does not parse: {malformed}"))
                })?
            }
            Ok(Some(Inbound { frame: Frame { kind: Kind::Refused, body, .. }, .. })) => {
                return Err(
                    decode(&body).map_or_else(|_| Refused::Runner("it refused to begin".to_owned()), Refused::of)
                );
            }
            Ok(Some(inbound)) => {
                return Err(Refused::Runner(format!("its runner began with {:?}", inbound.frame.kind)));
            }
            Ok(None) | Err(_) => return Err(Refused::Runner(ending(&mut *process).await)),
        };
        if ready.version != PROTOCOL_VERSION {
            return Err(Refused::Runner(format!(
                "its runner speaks version {} of the protocol, this peat speaks {PROTOCOL_VERSION}; install the \
                 peat-runner that came with this peat",
                ready.version
            )));
        }
        let (outbound, unwritten) = mpsc::channel(UNWRITTEN_FRAMES_MAX);
        let shared = Arc::new(Shared {
            outbound,
            calls: Mutex::default(),
            violation: OnceLock::new(),
            is_gone: AtomicBool::new(false),
        });
        let tasks =
            [tokio::spawn(write_all(input, unwritten)), tokio::spawn(read_all(output, bound, Arc::clone(&shared)))];
        Ok(Self { shared, ready, process: tokio::sync::Mutex::new(process), tasks })
    }

    /// What the runner gave up.
    pub(super) fn confined(&self) -> &[String] {
        &self.ready.confined
    }

    /// Optional interfaces of its component.
    pub(super) fn exported(&self) -> Features {
        self.ready.exported
    }

    /// Whether it will never answer again.
    pub(super) fn is_gone(&self) -> bool {
        self.shared.is_gone.load(Ordering::Acquire)
    }

    /// How it ended, for people.
    pub(super) async fn ending(&self) -> String {
        if let Some(violation) = self.shared.violation.get() {
            return violation.clone();
        }
        ending(&mut **self.process.lock().await).await
    }

    /// Begins a call.
    pub(super) async fn begin(&self, begin: &CallBegin) -> Result<Conversation, String> {
        let (sender, inbound) = mpsc::unbounded_channel();
        let call = self.shared.calls().begin(sender);
        let conversation = Conversation { shared: Arc::clone(&self.shared), call, inbound, has_ended: false };
        let frame = Frame::new(Kind::Call, call, 0, encode(begin));
        if frame.header().is_none() {
            return Err("the arguments are too long for one message".to_owned());
        }
        // A runner that is gone ends the conversation.
        let _ = self.shared.outbound.send(frame).await;
        if self.is_gone() {
            self.shared.calls().under_way.clear();
        }
        Ok(conversation)
    }
}

impl Shared {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a frame to its call. The error says what is wrong with one that can belong to none.
    fn deliver(&self, inbound: Inbound) -> Result<(), String> {
        let (calls, Frame { kind, call, .. }) = (self.calls(), &inbound.frame);
        if !(1..=calls.begun).contains(call) {
            return Err(format!("its runner sent {kind:?} for call {call}, which was never begun"));
        }
        // What belongs to no call under way is of one that was given up.
        if let Some(call) = calls.under_way.get(call) {
            let _ = call.send(inbound);
        }
        Ok(())
    }
}

impl Calls {
    /// Numbers a call whose frames go to `sender`.
    fn begin(&mut self, sender: mpsc::UnboundedSender<Inbound>) -> u32 {
        self.begun += 1;
        self.under_way.insert(self.begun, sender);
        self.begun
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Conversation {
    /// The next frame of this call; none when the runner is gone. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Inbound> {
        let inbound = self.inbound.recv().await;
        self.has_ended |= inbound.as_ref().is_none_or(|inbound| inbound.frame.kind == Kind::Ended);
        inbound
    }

    /// What sends the answers.
    pub(super) fn answers(&self) -> Answers {
        Answers { outbound: self.shared.outbound.clone(), call: self.call }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.shared.calls().under_way.remove(&self.call);
        if !self.has_ended {
            // Where the queue is full, the runner does not read and its process is about to be killed anyway.
            let _ = self.shared.outbound.try_send(Frame::new(Kind::Cancel, self.call, 0, Vec::new()));
        }
    }
}

/// Sends the answers of one call.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    outbound: mpsc::Sender<Frame>,
    call: u32,
}

impl Answers {
    /// Answers an import. A runner that is gone ends the conversation elsewhere.
    pub(super) async fn send(&self, number: u32, body: Vec<u8>) {
        let _ = self.outbound.send(Frame::new(Kind::Answer, self.call, number, body)).await;
    }
}

async fn ending(process: &mut dyn RunnerProcess) -> String {
    match tokio::time::timeout(END_TIMEOUT, process.ended()).await {
        Ok(how) => format!("its runner ended early: {}", line(&how)),
        Err(_) => "its runner closed its output".to_owned(),
    }
}

async fn write_all(mut input: Box<dyn AsyncWrite + Send + Unpin>, mut unwritten: mpsc::Receiver<Frame>) {
    while let Some(frame) = unwritten.recv().await {
        if write(&mut input, &frame).await.is_err() {
            return;
        }
    }
}

async fn write(input: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> std::io::Result<()> {
    let header = frame.header().ok_or_else(|| std::io::Error::other("a frame is too long"))?;
    input.write_all(&header).await?;
    input.write_all(&frame.body).await?;
    input.flush().await
}

async fn read_all(mut output: Box<dyn AsyncRead + Send + Unpin>, bound: Arc<Semaphore>, shared: Arc<Shared>) {
    while let Ok(Some(inbound)) = read(&mut output, &bound).await {
        if let Err(violation) = shared.deliver(inbound) {
            let _ = shared.violation.set(violation);
            break;
        }
    }
    shared.is_gone.store(true, Ordering::Release);
    shared.calls().under_way.clear();
}

/// One frame; none at the end of the stream.
async fn read(output: &mut (impl AsyncRead + Unpin), bound: &Arc<Semaphore>) -> Result<Option<Inbound>, String> {
    let mut header = [0; HEADER_BYTES];
    match output.read_exact(&mut header).await {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.to_string()),
        Ok(_) => {}
    }
    let header = Header::parse(&header).map_err(|malformed| malformed.to_string())?;
    let permits = (header.length + FRAME_COST_BYTES).div_ceil(PERMIT_BYTES);
    let permits = u32::try_from(permits).map_err(|error| error.to_string())?;
    let counted = Arc::clone(bound).acquire_many_owned(permits).await.map_err(|error| error.to_string())?;
    // Memory grows with what arrives, not with what is announced.
    let mut body = Vec::new();
    output.take(header.length as u64).read_to_end(&mut body).await.map_err(|error| error.to_string())?;
    if body.len() < header.length {
        return Ok(None);
    }
    Ok(Some(Inbound { frame: Frame::new(header.kind, header.call, header.number, body), _counted: counted }))
}
