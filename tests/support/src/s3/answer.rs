//! What is answered: built whole, then sent as it is or as a fault wants it.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt as _};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;

use super::fault::Fault;
use super::xml::escaped;

/// Between the last byte of a truncated answer and the end of its connection.
const PAUSE_BEFORE_BREAK: Duration = Duration::from_millis(20);

/// The body of every answer.
pub(super) type AnswerBody = BoxBody<Bytes, io::Error>;

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn xml(status: u16, document: String) -> Self {
        let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{document}");
        Self { body: body.into(), ..Self::new(status).with("content-type", "application/xml") }
    }

    /// A refusal; without a body where there is no code.
    pub(super) fn refusal(status: u16, code: &str) -> Self {
        if code.is_empty() {
            return Self::new(status);
        }
        let message = format!("<Message>{} by the server of the tests</Message>", escaped(code));
        Self::xml(status, format!("<Error><Code>{}</Code>{message}</Error>", escaped(code)))
    }

    /// As it goes over the wire.
    pub(super) fn send(self, fault: Option<&Fault>) -> hyper::Response<AnswerBody> {
        let mut response = hyper::Response::builder().status(self.status);
        for (name, value) in &self.headers {
            response = response.header(*name, value);
        }
        // Not modified has no body and no length.
        if self.status != 304 {
            response = response.header("content-length", self.body.len());
        }
        response.body(body(self.body, fault)).expect("the headers of the server are valid")
    }
}

fn body(bytes: Bytes, fault: Option<&Fault>) -> AnswerBody {
    match fault {
        Some(Fault::Truncated(length)) => {
            let kept = bytes.slice(..bytes.len().min(*length));
            let broken = Err(io::Error::new(io::ErrorKind::ConnectionReset, "a fault of the test"));
            // A pause lets what was sent arrive before the connection breaks.
            let pieces = stream::iter([Ok(Frame::data(kept)), broken]).then(|piece| async {
                if piece.is_err() {
                    tokio::time::sleep(PAUSE_BEFORE_BREAK).await;
                }
                piece
            });
            boxed(pieces)
        }
        Some(Fault::Dripping(pause)) => {
            let pause = *pause;
            let pieces =
                stream::iter(bytes.into_iter().map(|byte| Bytes::from(vec![byte]))).then(move |piece| async move {
                    tokio::time::sleep(pause).await;
                    Ok::<_, io::Error>(Frame::data(piece))
                });
            boxed(pieces)
        }
        Some(Fault::WrongByte) if !bytes.is_empty() => {
            let mut wrong = bytes.to_vec();
            let middle = wrong.len() / 2;
            wrong[middle] ^= 1;
            whole(wrong.into())
        }
        _ => whole(bytes),
    }
}

fn boxed(pieces: impl Stream<Item = io::Result<Frame<Bytes>>> + Send + Sync + 'static) -> AnswerBody {
    BoxBody::new(StreamBody::new(pieces))
}

fn whole(bytes: Bytes) -> AnswerBody {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed()
}
