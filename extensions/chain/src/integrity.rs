//! The checksum every record in the shared store carries of itself: one changed byte anywhere is found before anything of
//! it is believed.
//!
//! A record is one JSON object whose first member is `checksum`, the SHA-256 of the object without that member:
//! `{"checksum":"<64 hexadecimal digits>",…}` over `{…}`. The frame is compared byte by byte, not as JSON, so that no
//! byte lies outside of it; it stays the same in all formats. It finds damage. It does not keep out who may write to the
//! store: that is the store's own affair. Segments need none, they are named by the digest of their bytes.

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::FORMAT;
use crate::segment::hexadecimal;

const BEFORE: &[u8] = b"{\"checksum\":\"";
const AFTER: &[u8] = b"\",";

/// What every record of this format begins with.
const FORMAT_FIRST: &str = "{\"format\":1,";
const _: () = assert!(FORMAT == 1, "`FORMAT_FIRST` is of format 1");

/// Digits of a checksum.
const DIGITS: usize = 64;

/// The bytes to write for `record`, which serialises to an object with at least one member.
pub(crate) fn seal(record: &impl Serialize) -> Vec<u8> {
    let (quote, comma) = AFTER.split_at(AFTER.len() - 1);
    let mut sealed = [BEFORE, &[b'0'; DIGITS], quote].concat();
    let start = sealed.len();
    serde_json::to_writer(&mut sealed, record).expect("records of the store have only string keys");
    let checksum = checksum(&sealed[start..]);
    sealed[BEFORE.len()..][..DIGITS].copy_from_slice(checksum.as_bytes());
    // In the place of the brace that the object begins with.
    sealed[start] = comma[0];
    sealed
}

/// How many bytes [`seal`] makes of `record`, without making them.
pub(crate) fn sealed_bytes(record: &impl Serialize) -> usize {
    BEFORE.len() + DIGITS + AFTER.len() - 1 + json_bytes(record)
}

/// How many bytes `value` has as JSON, without writing them: what is counted may be a hundred times what is written.
pub(crate) fn json_bytes(value: &impl Serialize) -> usize {
    let mut counted = Counted(0);
    serde_json::to_writer(&mut counted, value).expect("records of the store have only string keys");
    counted.0
}

/// Counts what is written to it.
struct Counted(usize);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads the record at `key`: size, then checksum, then format, then shape. Untrusted: what is wrong names the key.
pub(crate) fn unseal<T: DeserializeOwned>(key: &str, bytes: &[u8], longest: usize) -> Result<T> {
    if bytes.len() > longest {
        return Err(Error::corrupt(key, format!("it has {} bytes, more than the {longest} allowed", bytes.len())));
    }
    let Some((expected, rest)) = framed(bytes) else {
        // A record without the frame is none of this format; one that says so itself is a newer one's.
        check_format(key, bytes)?;
        return Err(Error::corrupt(key, "it does not begin with its checksum"));
    };
    let mut body = Vec::with_capacity(rest.len() + 1);
    body.push(b'{');
    body.extend_from_slice(rest);
    if checksum(&body).as_bytes() != expected {
        return Err(Error::corrupt(key, "its bytes do not have the checksum they begin with"));
    }
    decode(key, &body)
}

/// Reads JSON whose bytes are known to be what was written: format, then shape.
pub(crate) fn decode<T: DeserializeOwned>(key: &str, json: &[u8]) -> Result<T> {
    check_format(key, json)?;
    serde_json::from_slice(json).map_err(|error| Error::corrupt(key, error))
}

/// What a format probe reads before anything else.
#[derive(Deserialize)]
struct FormatOnly {
    format: u64,
}

fn check_format(key: &str, json: &[u8]) -> Result<()> {
    // As it is written here. A second member of that name is refused with the shape.
    if json.starts_with(FORMAT_FIRST.as_bytes()) {
        return Ok(());
    }
    let found: FormatOnly = serde_json::from_slice(json).map_err(|error| Error::corrupt(key, error))?;
    if found.format == u64::from(FORMAT) {
        return Ok(());
    }
    let message = format!(
        "object {key} has format {}, this extension knows format {FORMAT}; install a newer version of it with `peat \
         extension add`",
        found.format
    );
    Err(Error::new(ErrorKind::Unsupported, key, message))
}

/// The checksum a record begins with, and what comes after it.
fn framed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (expected, rest) = bytes.strip_prefix(BEFORE)?.split_at_checked(DIGITS)?;
    Some((expected, rest.strip_prefix(AFTER)?))
}

fn checksum(body: &[u8]) -> String {
    hexadecimal(&Sha256::digest(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        format: u32,
        text: String,
    }

    fn example() -> Example {
        Example { format: FORMAT, text: "any \"text\" }, {".to_owned() }
    }

    #[test]
    fn a_record_is_read_back_and_any_changed_missing_or_added_byte_is_corrupt() {
        let bytes = seal(&example());
        assert_eq!(unseal::<Example>("k", &bytes, 1_000).unwrap(), example());
        assert_eq!(sealed_bytes(&example()), bytes.len());
        let refused = |bytes: &[u8]| {
            let error = unseal::<Example>("some/key", bytes, 1_000).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Corrupt, "{error}");
            assert!(error.message.contains("some/key"), "{error}");
        };
        for place in 0..bytes.len() {
            for mask in [0x01, 0x20, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[place] ^= mask;
                refused(&changed);
            }
            let mut shortened = bytes.clone();
            shortened.remove(place);
            refused(&shortened);
            let mut lengthened = bytes.clone();
            lengthened.insert(place, b' ');
            refused(&lengthened);
        }
        refused(&[bytes.as_slice(), b"\n"].concat());
        refused(&serde_json::to_vec(&example()).unwrap());
    }

    #[test]
    fn a_newer_format_is_told_from_damage_with_the_frame_and_without() {
        let newer = Example { format: FORMAT + 1, ..example() };
        for bytes in [seal(&newer), serde_json::to_vec(&newer).unwrap()] {
            assert_eq!(unseal::<Example>("k", &bytes, 1_000).unwrap_err().kind, ErrorKind::Unsupported);
        }
    }
}
