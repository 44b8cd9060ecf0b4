//! Immutable index segments: sorted records as JSON, deflated, named by the digest of their bytes.

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::head::{SegmentReference, records_fault};
use crate::integrity;
use crate::limits::{DEFLATE_LEVEL, FORMAT, SEGMENT_BYTES_MAX, SEGMENT_INFLATED_BYTES_MAX, SEGMENT_RECORDS_MAX};
use crate::record::{EntryRecord, Record};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Segment {
    #[allow(dead_code, reason = "checked before the shape is read")]
    format: u32,
    #[allow(dead_code, reason = "it only makes the object's name unique")]
    nonce: String,
    partition: String,
    records: Vec<Record>,
}

#[derive(Serialize)]
struct SegmentView<'a> {
    format: u32,
    nonce: &'a str,
    partition: &'a str,
    records: &'a [Record],
}

/// The object of these sorted records (at least one) and the reference to it. `nonce` is fresh: what nobody names any more is
/// never written again, so a deletion may come as late as it likes.
pub(crate) fn encode(partition: &str, nonce: &str, records: &[Record]) -> (SegmentReference, Vec<u8>) {
    let json = serde_json::to_vec(&SegmentView { format: FORMAT, nonce, partition, records })
        .expect("a segment has only string keys");
    let bytes = compress_to_vec(&json, DEFLATE_LEVEL);
    let first = records.first().map(|record| (record.name().to_owned(), record.version())).unwrap_or_default();
    let reference = SegmentReference {
        digest: digest_of(&bytes),
        first: first.0,
        first_version: first.1,
        records: records.len() as u64,
        bytes: bytes.len() as u64,
        newest: records.iter().map(Record::sequence).max().unwrap_or(0),
        tombstones: records.iter().filter(|record| record.has_rest()).count() as u64,
        expires_ms: first_expiry(records),
    };
    (reference, bytes)
}

/// Reads and checks the object that `reference` names. Bounded for hostile input.
pub(crate) fn decode(key: &str, partition: &str, reference: &SegmentReference, bytes: &[u8]) -> Result<Vec<Record>> {
    if bytes.len() > SEGMENT_BYTES_MAX || digest_of(bytes) != reference.digest {
        return Err(Error::corrupt(key, "its bytes do not have the digest it is named by"));
    }
    let json = decompress_to_vec_with_limit(bytes, SEGMENT_INFLATED_BYTES_MAX)
        .map_err(|error| Error::corrupt(key, format!("it cannot be decompressed ({:?})", error.status)))?;
    let segment: Segment = integrity::decode(key, &json)?;
    if segment.partition != partition || segment.records.len() > SEGMENT_RECORDS_MAX || segment.records.is_empty() {
        return Err(Error::corrupt(key, "it belongs to another partition or has a wrong number of records"));
    }
    if let Some(fault) = records_fault(&segment.records, reference.newest) {
        return Err(Error::corrupt(key, fault));
    }
    Ok(segment.records)
}

/// When the first lifetime among these records is over.
pub(crate) fn first_expiry<'a>(records: impl IntoIterator<Item = &'a Record>) -> Option<u64> {
    records.into_iter().filter_map(Record::entry).filter_map(EntryRecord::expires_ms).min()
}

fn digest_of(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{GoneRecord, Reason};

    fn records(count: u64) -> Vec<Record> {
        let gone = |version| GoneRecord {
            name: "a".to_owned(),
            version,
            sequence: 7,
            written: 1,
            reason: Reason::Cap,
            since_ms: 0,
            rest: None,
        };
        (1..=count).map(|version| Record::Gone(gone(version))).collect()
    }

    #[test]
    fn a_segment_is_read_back_and_a_damaged_one_is_refused() {
        let (reference, bytes) = encode("p", "1", &records(3));
        assert_eq!(decode("k", "p", &reference, &bytes).unwrap(), records(3));
        assert!(decode("k", "q", &reference, &bytes).is_err());
        for position in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1;
            assert!(decode("k", "p", &reference, &damaged).is_err());
        }
    }

    #[test]
    fn a_decompression_bomb_is_refused_without_being_inflated() {
        let bomb = compress_to_vec(&vec![b' '; SEGMENT_INFLATED_BYTES_MAX + 1], 9);
        let (mut reference, _) = encode("p", "1", &records(1));
        reference.digest = digest_of(&bomb);
        let error = decode("k", "p", &reference, &bomb).unwrap_err();
        assert!(error.message.contains("cannot be decompressed"), "{error}");
    }
}
