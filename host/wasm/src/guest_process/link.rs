//! The way to the host: frames out, and answers to those who wait for them.

use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::channel::oneshot;

use crate::wire::{Answered, Frame, Import, Kind, Wire, decode, encode};

/// What was asked: its call and its number.
type Asked = (u32, u32);

/// The stream to the host, shared by all calls.
pub(super) struct Link {
    output: Mutex<Box<dyn Write + Send>>,
    waiting: Mutex<HashMap<Asked, oneshot::Sender<Vec<u8>>>>,
    next: AtomicU32,
}

/// The same for one call.
#[derive(Clone)]
pub(super) struct CallLink {
    link: Arc<Link>,
    call: u32,
}

impl Link {
    pub(super) fn new(output: Box<dyn Write + Send>) -> Self {
        Self { output: Mutex::new(output), waiting: Mutex::default(), next: AtomicU32::new(0) }
    }

    /// Sends a frame. A host that does not listen is gone, and the end of the input says so.
    pub(super) fn send(&self, frame: &Frame) {
        let Some(header) = frame.header() else { return };
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = output.write_all(&header).and_then(|()| output.write_all(&frame.body)).and_then(|()| output.flush());
    }

    /// An answer of the host came.
    pub(super) fn answered(&self, frame: Frame) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&(frame.call, frame.number));
        if let Some(waiting) = waiting {
            let _ = waiting.send(frame.body);
        }
    }

    /// Nobody of this call is answered any more.
    pub(super) fn forget(&self, call: u32) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).retain(|(waiting, _), _| *waiting != call);
    }

    /// What one call uses.
    pub(super) fn of_call(self: &Arc<Self>, call: u32) -> CallLink {
        CallLink { link: Arc::clone(self), call }
    }
}

impl CallLink {
    /// Asks the host and waits, without holding up other calls of the guest.
    pub(super) async fn ask<R: Wire>(&self, import: Import, parameters: impl Wire) -> wasmtime::Result<R> {
        let answer = self.begin(import, &parameters)?;
        results(&answer.await.map_err(|_| gone())?)
    }

    /// Asks the host and waits on this thread: for functions that the contract has as synchronous ones.
    pub(super) fn ask_now<R: Wire>(&self, import: Import, parameters: impl Wire) -> wasmtime::Result<R> {
        let answer = self.begin(import, &parameters)?;
        results(&futures::executor::block_on(answer).map_err(|_| gone())?)
    }

    /// Tells the host, who answers nothing.
    pub(super) fn tell(&self, import: Import, parameters: impl Wire) {
        self.link.send(&Frame::new(Kind::Tell, self.call, 0, encode(&(import, parameters))));
    }

    /// The call has ended.
    pub(super) fn ended(&self, answered: &Answered) {
        self.link.forget(self.call);
        self.link.send(&Frame::new(Kind::Ended, self.call, 0, encode(answered)));
    }

    fn begin(&self, import: Import, parameters: &impl Wire) -> wasmtime::Result<oneshot::Receiver<Vec<u8>>> {
        let number = self.link.next.fetch_add(1, Ordering::Relaxed);
        let mut body = encode(&import);
        parameters.write(&mut body);
        let frame = Frame::new(Kind::Import, self.call, number, body);
        if frame.header().is_none() {
            return Err(wasmtime::Error::msg("a host call passes more than one message may hold"));
        }
        let (sender, answer) = oneshot::channel();
        self.link.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert((self.call, number), sender);
        self.link.send(&frame);
        Ok(answer)
    }
}

fn results<R: Wire>(bytes: &[u8]) -> wasmtime::Result<R> {
    decode(bytes)
        .map_err(|malformed| wasmtime::Error::msg(format!("the answer of the host does not parse: {malformed}")))
}

fn gone() -> wasmtime::Error {
    wasmtime::Error::msg("the host gave the call up")
}
