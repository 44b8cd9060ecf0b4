//! Frames: a header of fixed length that says what it is, whose it is and how long the rest is.

use super::codec::choice;
use super::{Malformed, decode, encode};

/// Most bytes of one frame beyond its header: the most that one call may pass, and some for what describes it.
pub(crate) const FRAME_BYTES_MAX: usize = 17 * 1024 * 1024;

/// Bytes of a header: kind, call, number, length.
pub(crate) const HEADER_BYTES: usize = 1 + 4 + 4 + 4;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Host to runner, first: what to load and under which limits.
    Hello,
    /// Runner to host: loaded, confined.
    Ready,
    /// Runner to host: it cannot be loaded; then the runner ends.
    Refused,
    /// Host to runner: call an exported function.
    Call,
    /// Host to runner: nobody waits for that call any more.
    Cancel,
    /// Runner to host: call a function of the host and answer.
    Import,
    /// Runner to host: the same without an answer.
    Tell,
    /// Host to runner: the answer to an import.
    Answer,
    /// Runner to host: a call has ended.
    Ended,
}

choice! {
    Kind {
        1 => Hello, 2 => Ready, 3 => Refused, 4 => Call, 5 => Cancel, 6 => Import, 7 => Tell, 8 => Answer, 9 => Ended,
    }
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// Which call of an exported function it belongs to.
    pub(crate) call: u32,
    /// Which import of that call it asks or answers.
    pub(crate) number: u32,
    /// Bytes that follow.
    pub(crate) length: usize,
}

/// A whole frame.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) call: u32,
    pub(crate) number: u32,
    pub(crate) body: Vec<u8>,
}

impl Header {
    /// Reads a header. A length that no frame may have is refused here, before anything is allocated.
    pub(crate) fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Malformed> {
        let (kind, call, number, length): (Kind, u32, u32, u32) = decode(bytes)?;
        let length = length as usize;
        if length > FRAME_BYTES_MAX {
            return Err(Malformed::Budget);
        }
        Ok(Self { kind, call, number, length })
    }
}

impl Frame {
    pub(crate) fn new(kind: Kind, call: u32, number: u32, body: Vec<u8>) -> Self {
        Self { kind, call, number, body }
    }

    /// The bytes of its header. None when the body is longer than a frame may be.
    pub(crate) fn header(&self) -> Option<Vec<u8>> {
        if self.body.len() > FRAME_BYTES_MAX {
            return None;
        }
        Some(encode(&(self.kind, self.call, self.number, self.body.len() as u32)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_as_it_went_and_too_long_a_frame_is_refused_on_both_ends() {
        let frame = Frame::new(Kind::Import, 3, 9, vec![0; 5]);
        let bytes: [u8; HEADER_BYTES] = frame.header().unwrap().try_into().unwrap();
        assert_eq!(Header::parse(&bytes), Ok(Header { kind: Kind::Import, call: 3, number: 9, length: 5 }));
        let mut endless = bytes;
        endless[9..].fill(0xff);
        assert_eq!(Header::parse(&endless), Err(Malformed::Budget));
        assert!(Frame::new(Kind::Answer, 0, 0, vec![0; FRAME_BYTES_MAX + 1]).header().is_none());
    }
}
