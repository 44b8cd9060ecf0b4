//! The host's side of every interface of `peat:host`, one file each.
//!
//! What a guest passes is untrusted: every string is bounded and parsed before it is used, every count and size has a
//! limit, and a wrong argument is answered with `invalid-input`, not with a trap. Only a limit ends the call.

pub(crate) mod blobs;
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod data;
pub(crate) mod files;
pub(crate) mod holders;
pub(crate) mod log;
pub(crate) mod objects;
pub(crate) mod progress;
pub(crate) mod random;
pub(crate) mod replica;
pub(crate) mod secrets;
pub(crate) mod wasi;

use crate::bindings::imports::interfaces::errors::{Error, ErrorKind};
use crate::convert::text::shown;
use crate::limits::TEXT_BYTES_MAX;

/// What a capability answers: the outer error ends the call, the inner one is for the guest.
pub(crate) type Answer<T> = wasmtime::Result<Result<T, Error>>;

/// An error for the guest.
pub(crate) fn error(kind: ErrorKind, subject: &str, message: impl Into<String>) -> Error {
    Error { kind, subject: shown(subject), message: message.into() }
}

/// Refuses a text that is longer than anything that could be right.
pub(crate) fn bounded(what: &str, text: &str) -> Result<(), Error> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("{what} has {} bytes, at most {TEXT_BYTES_MAX} are allowed", text.len());
        return Err(error(ErrorKind::InvalidInput, text, message));
    }
    Ok(())
}

/// Answers the inner error of an `Answer` to the guest.
macro_rules! guest_try {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        }
    };
}
pub(crate) use guest_try;
