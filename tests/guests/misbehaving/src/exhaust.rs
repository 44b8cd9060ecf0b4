//! Methods that take without end: memory, blobs.

use peat_sdk::content::{Blob, CHUNK_BYTES_MAX, Writer};
use peat_sdk::prelude::*;
use serde_json::Value;

/// One step of allocation: small enough that the limit is met while running, not by one absurd request.
const STEP_BYTES: usize = 1024 * 1024;

pub(crate) async fn allocate(_: Run, _: Value) -> Result<String, Error> {
    let mut taken = Vec::new();
    loop {
        taken.push(std::hint::black_box(vec![1_u8; STEP_BYTES]));
    }
}

/// Chunks of content that are too many for the limit its test sets, and few enough for any disk when none is set.
const FLOOD_CHUNKS: usize = 256;

/// Keeps every blob it makes, until the host ends it.
pub(crate) async fn hoard_blobs(_: Run, _: Value) -> Result<String, Error> {
    let mut hoard = Vec::new();
    loop {
        hoard.push(Blob::of_bytes(b"x")?);
    }
}

/// Writes more content than its test allows.
pub(crate) async fn flood_data(_: Run, _: Value) -> Result<String, Error> {
    let writer = Writer::new();
    for _ in 0..FLOOD_CHUNKS {
        writer.write(vec![b'x'; CHUNK_BYTES_MAX]).await?;
    }
    Ok(format!("wrote {FLOOD_CHUNKS} MiB"))
}
