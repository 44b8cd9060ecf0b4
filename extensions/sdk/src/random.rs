//! Cryptographically secure randomness.

use crate::bindings::host::peat::host::random;

/// Most bytes of one call, as `peat:host/random` sets it.
const CALL_BYTES_MAX: usize = 4096;

/// `length` random bytes.
pub fn bytes(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        bytes.extend_from_slice(&random::bytes((length - bytes.len()).min(CALL_BYTES_MAX) as u32));
    }
    bytes
}

/// `length` random bytes as twice as many lower-case hexadecimal digits: a nonce or an id.
pub fn hexadecimal(length: usize) -> String {
    bytes(length).iter().map(|byte| format!("{byte:02x}")).collect()
}
