//! Bodies on their way out: handed to the connection in frames, each of which is a sign of progress.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use peat_core::content::{self, SharedContent};
use peat_core::digest::Digest;
use tokio::sync::mpsc;

use super::exchange::Watch;

/// Bytes of a body handed to the connection at once.
const FRAME_BYTES: usize = 64 * 1024;

/// Pieces of a content that were read and not sent yet, of [`content::CHUNK_BYTES`] each.
const PIECES_AHEAD: usize = 4;

/// What a request sends.
#[derive(Debug, Clone)]
pub(super) enum Outgoing {
    /// In memory: the SDK hashes it.
    Bytes(Bytes),
    /// Read while it is sent, as it may be larger than memory. This is its digest.
    Content(SharedContent, Digest),
}

impl Outgoing {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Content(content, _) => content.size(),
        }
    }

    /// What the SDK may see of it before it is sent.
    pub(super) fn in_memory(&self) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Content(..) => Bytes::new(),
        }
    }

    /// The digest to sign, where the SDK cannot compute it.
    pub(super) fn digest(&self) -> Option<Digest> {
        match self {
            Self::Bytes(_) => None,
            Self::Content(_, digest) => Some(*digest),
        }
    }

    /// All of it, from its beginning. Needs a tokio runtime.
    pub(super) fn body(&self, watch: Watch) -> SdkBody {
        let (rest, following) = match self {
            Self::Bytes(bytes) => (bytes.clone(), None),
            Self::Content(content, _) => (Bytes::new(), Some(pieces(content.clone()))),
        };
        SdkBody::from_body_1_x(Frames { left: self.size(), rest, following, watch })
    }
}

/// Reads `content` on a thread of its own, which ends with the receiver.
fn pieces(content: SharedContent) -> mpsc::Receiver<io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    tokio::task::spawn_blocking(move || {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        let read =
            content::walk(&*content, |piece| sender.blocking_send(Ok(Bytes::copy_from_slice(piece))).map_err(gone));
        if let Err(error) = read {
            let _ = sender.blocking_send(Err(error));
        }
    });
    receiver
}

/// A body in frames.
struct Frames {
    /// Bytes still to come.
    left: u64,
    /// The first of them.
    rest: Bytes,
    /// What follows; none when `rest` is all.
    following: Option<mpsc::Receiver<io::Result<Bytes>>>,
    watch: Watch,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        if self.rest.is_empty() {
            let piece = match &mut self.following {
                Some(pieces) => ready!(pieces.poll_recv(context)),
                None => None,
            };
            match piece.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into())) {
                Ok(piece) => self.rest = piece,
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
        let length = self.rest.len().min(FRAME_BYTES);
        self.watch.moved(length);
        self.left = self.left.saturating_sub(length as u64);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures::future::poll_fn;
    use peat_core::content::Content;

    use super::*;

    /// Zeroes that count how far they were read, and end early.
    #[derive(Debug, Default)]
    struct Zeroes {
        promised: u64,
        there: u64,
        read: AtomicU64,
    }

    impl Content for Zeroes {
        fn size(&self) -> u64 {
            self.promised
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(usize::try_from(self.there.saturating_sub(offset)).unwrap());
            self.read.fetch_max(offset + length as u64, Ordering::Relaxed);
            Ok(length)
        }
    }

    fn sent(zeroes: &Arc<Zeroes>) -> SdkBody {
        let content: SharedContent = Arc::clone(zeroes) as SharedContent;
        let outgoing = Outgoing::Content(content, Digest::of(b""));
        outgoing.body(Watch::of(Some(outgoing.clone())))
    }

    async fn frame(body: &mut SdkBody) -> Option<Result<u64, String>> {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
        Some(frame.map(|frame| frame.into_data().unwrap().len() as u64).map_err(|error| error.to_string()))
    }

    #[tokio::test]
    async fn a_content_is_read_as_fast_as_it_is_sent() {
        const BYTES: u64 = 100 << 20;
        let zeroes = Arc::new(Zeroes { promised: BYTES, there: BYTES, read: AtomicU64::new(0) });
        let mut body = sent(&zeroes);
        assert_eq!(body.content_length(), Some(BYTES));
        let mut sent = 0;
        while let Some(length) = frame(&mut body).await {
            sent += length.unwrap();
            // One in the frames, one that waits to be taken along.
            let ahead = (PIECES_AHEAD as u64 + 2) * content::CHUNK_BYTES as u64;
            assert!(zeroes.read.load(Ordering::Relaxed) <= sent + ahead, "read far ahead of {sent}");
        }
        assert_eq!(sent, BYTES);
    }

    #[tokio::test]
    async fn a_content_that_ends_early_fails_the_body() {
        let zeroes = Arc::new(Zeroes { promised: 1_000_000, there: 900_000, read: AtomicU64::new(0) });
        let mut body = sent(&zeroes);
        let mut last = None;
        while let Some(Ok(length)) = frame(&mut body).await {
            last = Some(length);
        }
        assert!(last.is_some());
        assert!(!body.is_end_stream(), "a content that is too short was sent as if it were whole");
    }
}
