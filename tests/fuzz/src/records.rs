//! The records of a shared store that carry a checksum of themselves. Inputs are records without it, for no fuzzer guesses
//! one; whole records are taken as they are.

use peat_chain::head::Head;
use peat_chain::keys;
use peat_chain::meta::{Meta, StoreRecord};
use sha2::{Digest as _, Sha256};

/// Where the records lie.
pub(crate) const NAMESPACE: &str = "default";

/// Whose head it is.
pub(crate) const PARTITION: &str = "model--command+shell--0a1b2c3d";

/// How a record with a checksum begins.
const FRAME: &str = "{\"checksum\":\"";

/// A partition's head.
pub(crate) fn head(input: &[u8]) -> bool {
    let decode = |bytes: &[u8]| Head::decode(&keys::head(NAMESPACE, PARTITION), PARTITION, bytes);
    let Ok(head) = decode(&sealed(input)) else { return false };
    assert_eq!(decode(&head.encode()).as_ref(), Ok(&head));
    true
}

/// The root of a namespace.
pub(crate) fn namespace_root(input: &[u8]) -> bool {
    let decode = |bytes: &[u8]| Meta::decode(&keys::meta(NAMESPACE), NAMESPACE, bytes);
    let Ok(meta) = decode(&sealed(input)) else { return false };
    assert_eq!(decode(&meta.encode()).as_ref(), Ok(&meta));
    true
}

/// The record of the store.
pub(crate) fn store_record(input: &[u8]) -> bool {
    let Ok(record) = StoreRecord::decode(&sealed(input)) else { return false };
    assert_eq!(StoreRecord::decode(&record.encode()).as_ref(), Ok(&record));
    true
}

/// The record with its checksum before it. Made from docs/shared-store.md, not from the protocol's code.
pub(crate) fn sealed(record: &[u8]) -> Vec<u8> {
    match record.strip_prefix(b"{") {
        Some(rest) if !record.starts_with(FRAME.as_bytes()) => {
            [FRAME.as_bytes(), hexadecimal(&Sha256::digest(record)).as_bytes(), b"\",", rest].concat()
        }
        _ => record.to_vec(),
    }
}

/// SHA-256 in the digits that keys and references have.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
