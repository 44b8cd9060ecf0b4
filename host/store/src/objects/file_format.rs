//! The file of an object: a header of fixed size, then the content. Described in `docs/directory-objects.md`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use peat_core::digest::Digest;

use crate::random;

/// Length of the header, in bytes.
pub(super) const HEADER_BYTES: usize = 48;

/// The first bytes of every object file; the last one is the format.
const MAGIC: [u8; 8] = *b"PEATOBJ1";

/// The ETag of a file that is damaged: no header that is whole has it.
pub(super) const DAMAGED_ETAG: &str = "damaged";

/// Where the parts of the header lie.
const ETAG: std::ops::Range<usize> = 8..24;
const LENGTH: std::ops::Range<usize> = 24..32;
const CHECK: std::ops::Range<usize> = 32..48;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    etag: [u8; 16],
    /// Bytes of content.
    pub(super) length: u64,
}

impl Header {
    /// The header of a new object of `length` bytes: its ETag is drawn, never computed, so no two writes share one.
    pub(super) fn new(length: u64) -> Self {
        Self { etag: random::bytes(), length }
    }

    /// The ETag as callers see it.
    pub(super) fn etag(&self) -> String {
        random::hexadecimal(&self.etag)
    }

    /// The written form.
    pub(super) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..ETAG.start].copy_from_slice(&MAGIC);
        bytes[ETAG].copy_from_slice(&self.etag);
        bytes[LENGTH].copy_from_slice(&self.length.to_le_bytes());
        let check = check_of(&bytes);
        bytes[CHECK].copy_from_slice(&check);
        bytes
    }

    /// Reads the written form; says what is wrong with it otherwise.
    pub(super) fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, &'static str> {
        if bytes[..ETAG.start] != MAGIC {
            return Err("it is not an object file of this format");
        }
        if bytes[CHECK] != check_of(bytes) {
            return Err("its header does not agree with itself");
        }
        let (mut etag, mut length) = ([0; 16], [0; 8]);
        etag.copy_from_slice(&bytes[ETAG]);
        length.copy_from_slice(&bytes[LENGTH]);
        Ok(Self { etag, length: u64::from_le_bytes(length) })
    }
}

/// What reading the header of a file found.
#[derive(Debug)]
pub(super) enum Inspected {
    /// A whole object.
    Whole(Header),
    /// Something else.
    Damaged(String),
}

/// Reads the header and compares the length of the file with it. Content is not read.
pub(super) fn inspect(file: &File) -> io::Result<Inspected> {
    let found = file.metadata()?.len();
    let mut bytes = [0; HEADER_BYTES];
    match file.read_exact_at(&mut bytes, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Ok(Inspected::Damaged(format!("its file has only {found} bytes, less than a header")));
        }
        other => other?,
    }
    let header = match Header::parse(&bytes) {
        Ok(header) => header,
        Err(reason) => return Ok(Inspected::Damaged(reason.to_owned())),
    };
    let expected = header.length.checked_add(HEADER_BYTES as u64);
    if expected == Some(found) {
        Ok(Inspected::Whole(header))
    } else {
        Ok(Inspected::Damaged(format!("its file has {found} bytes where {} belong", expected.unwrap_or(u64::MAX))))
    }
}

/// The first half of a SHA-256 over all that precedes the check.
fn check_of(bytes: &[u8; HEADER_BYTES]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&Digest::of(&bytes[..CHECK.start]).as_bytes()[..16]);
    half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_back_and_any_changed_byte_is_noticed() {
        let header = Header::new(u64::MAX);
        let bytes = header.to_bytes();
        assert_eq!(Header::parse(&bytes), Ok(header));
        for position in 0..HEADER_BYTES {
            let mut changed = bytes;
            changed[position] ^= 1;
            assert!(Header::parse(&changed).is_err(), "a change at {position} went unnoticed");
        }
    }

    #[test]
    fn two_writes_of_equal_content_have_different_etags() {
        assert_ne!(Header::new(3).etag(), Header::new(3).etag());
    }
}
