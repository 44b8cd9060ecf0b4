//! Content as handles, and the few ways to bring its bytes into the guest.

pub use crate::bindings::host::peat::host::blobs::{Blob, Writer};

use crate::Error;

/// Most bytes of one call across the boundary, as `peat:host/blobs` sets it: 1 MiB.
pub const CHUNK_BYTES_MAX: usize = 1024 * 1024;

/// A blob of `bytes`, of any length.
pub async fn of(bytes: &[u8]) -> Result<Blob, Error> {
    if bytes.len() <= CHUNK_BYTES_MAX {
        return Blob::of_bytes(bytes);
    }
    let writer = Writer::new();
    for chunk in bytes.chunks(CHUNK_BYTES_MAX) {
        writer.write(chunk.to_vec()).await?;
    }
    writer.finish().await
}

/// All bytes of `blob`; `exhausted` when there are more than `bytes_max`.
pub async fn read(blob: &Blob, bytes_max: u64) -> Result<Vec<u8>, Error> {
    let size = blob.size();
    if size > bytes_max {
        let message = format!("it has {size} bytes, more than the {bytes_max} that this extension reads");
        return Err(Error::exhausted("content", message));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    while (bytes.len() as u64) < size {
        let chunk = blob.read(bytes.len() as u64, CHUNK_BYTES_MAX as u32).await?;
        if chunk.is_empty() {
            return Err(Error::corrupt("content", format!("it ended after {} of {size} bytes", bytes.len())));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
