//! `peat:host/blobs`: content as handles.
//!
//! A blob is a part of a root content. Slicing a slice refers to the root again, so that no chain of calls makes a chain
//! of views. Small contents of the guest's own bytes count as resident while anything refers to them.

use std::io;
use std::sync::{Arc, OnceLock};

use peat_core::content::{self, Content, SharedContent};
use peat_core::digest::{Digest, Hasher};
use peat_core::ports::SpoolWriter;
use tokio::sync::Semaphore;
use wasmtime::component::{Accessor, Resource};

use super::{Answer, error, guest_try};
use crate::bindings::imports::interfaces::blobs::{Host, HostBlob, HostBlobWithStore, HostWriter, HostWriterWithStore};
use crate::bindings::imports::interfaces::errors::{Error, ErrorKind};
use crate::convert::errors::{of_io, of_store};
use crate::limits::CALL_BYTES_MAX;
use crate::state::{Capabilities, GuestState, LimitReached, Resident};

/// Content up to this many bytes is hashed where it is asked for; more goes to a thread for blocking work.
const HASHED_INLINE_BYTES_MAX: u64 = 256 * 1024;

/// Bytes hashed between two looks whether anybody still waits for the digest.
const HASHED_PIECE_BYTES: u64 = 8 * 1024 * 1024;

/// Large contents that are hashed at once in this process, whatever its guests ask for: more would only take turns on the
/// processors, and take the threads that commits need.
static HASHING: Semaphore = Semaphore::const_new(8);

/// What the spool may keep in memory of a content in the making, in bytes. It counts as resident meanwhile.
const WRITER_BYTES: u64 = 256 * 1024;

/// A part of a content.
#[derive(Debug, Clone)]
#[expect(unreachable_pub, reason = "generated bindings re-export it")]
pub struct Blob {
    root: SharedContent,
    offset: u64,
    length: u64,
    digest: Arc<OnceLock<Digest>>,
}

/// A content in the making; nothing once it is finished.
#[expect(unreachable_pub, reason = "generated bindings re-export it")]
pub struct Writer {
    spooled: Option<Box<dyn SpoolWriter>>,
    bytes: u64,
    failed: Option<Error>,
    resident: Option<Resident>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Writer({} bytes)", self.bytes)
    }
}

impl Blob {
    pub(crate) fn new(root: SharedContent) -> Self {
        Self { offset: 0, length: root.size(), root, digest: Arc::default() }
    }

    pub(crate) fn size(&self) -> u64 {
        self.length
    }

    /// The content this blob stands for.
    pub(crate) fn content(&self) -> SharedContent {
        if self.offset == 0 && self.length == self.root.size() {
            return Arc::clone(&self.root);
        }
        content::slice(&self.root, self.offset, self.length).expect("a blob lies inside its root")
    }

    fn slice(&self, offset: u64, length: u64) -> Option<Self> {
        let end = offset.checked_add(length)?;
        (end <= self.length).then(|| Self {
            root: Arc::clone(&self.root),
            offset: self.offset + offset,
            length,
            digest: Arc::default(),
        })
    }

    fn read(&self, offset: u64, length: u32) -> io::Result<Vec<u8>> {
        let rest = self.length.saturating_sub(offset).min(u64::from(length)).min(CALL_BYTES_MAX);
        let mut bytes = vec![0; usize::try_from(rest).map_err(io::Error::other)?];
        let mut filled = 0;
        while filled < bytes.len() {
            let read = self.root.read_at(self.offset + offset + filled as u64, &mut bytes[filled..])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += read;
        }
        Ok(bytes)
    }

    /// SHA-256, computed once for all that share this blob.
    pub(crate) async fn digest(&self) -> io::Result<Digest> {
        if let Some(digest) = self.digest.get() {
            return Ok(*digest);
        }
        let digest = digest_of(self.content()).await?;
        Ok(*self.digest.get_or_init(|| digest))
    }
}

/// SHA-256 of a content, without holding up the thread for long. Cancel safe: dropped, it ends with the piece under way.
pub(crate) async fn digest_of(content: SharedContent) -> io::Result<Digest> {
    let size = content.size();
    if size <= HASHED_INLINE_BYTES_MAX || content.known_digest().is_some() {
        return content::digest(&*content);
    }
    let _turn = HASHING.acquire().await.map_err(io::Error::other)?;
    let mut hasher = Hasher::default();
    let mut offset = 0;
    while offset < size {
        let length = HASHED_PIECE_BYTES.min(size - offset);
        let piece = content::slice(&content, offset, length).expect("the rest of a content lies inside it");
        let hashing = tokio::task::spawn_blocking(move || {
            content::walk(&*piece, |bytes| {
                hasher.update(bytes);
                Ok(())
            })?;
            io::Result::Ok(hasher)
        });
        hasher = hashing.await.map_err(io::Error::other)??;
        offset += length;
    }
    Ok(hasher.finish())
}

/// Content that counts as resident while it lives.
#[derive(Debug)]
struct Counted {
    content: SharedContent,
    _resident: Resident,
}

impl Content for Counted {
    fn size(&self) -> u64 {
        self.content.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.content.read_at(offset, buffer)
    }

    fn known_digest(&self) -> Option<Digest> {
        self.content.known_digest()
    }
}

impl GuestState {
    /// A small content that counts as resident while anything refers to it.
    pub(crate) fn counted(&mut self, content: SharedContent) -> Result<SharedContent, LimitReached> {
        let resident = self.take_resident_bytes(content.size())?;
        Ok(Arc::new(Counted { content, _resident: resident }))
    }

    /// Hands a content to the guest.
    pub(crate) fn push_blob(&mut self, content: SharedContent) -> wasmtime::Result<Resource<Blob>> {
        self.push_handle(Blob::new(content))
    }

    /// Hands anything to the guest as a handle.
    pub(crate) fn push_handle<T: Send + 'static>(&mut self, value: T) -> wasmtime::Result<Resource<T>> {
        match self.table.push(value) {
            Ok(handle) => Ok(handle),
            Err(_) => Err(self.limit("handles", u64::from(self.limits.handles)).into()),
        }
    }

    /// The blob behind a handle of the guest.
    pub(crate) fn blob(&self, handle: &Resource<Blob>) -> wasmtime::Result<Blob> {
        Ok(self.table.get(handle)?.clone())
    }

    fn too_many_bytes(length: usize) -> Error {
        let message = format!("{length} bytes in one call, at most {CALL_BYTES_MAX} are allowed; use a writer");
        error(ErrorKind::InvalidInput, "bytes", message)
    }
}

impl Host for GuestState {}

impl HostBlob for GuestState {
    fn of_bytes(&mut self, bytes: Vec<u8>) -> Answer<Resource<Blob>> {
        let length = bytes.len() as u64;
        if length > CALL_BYTES_MAX {
            return Ok(Err(Self::too_many_bytes(bytes.len())));
        }
        self.take_content_bytes(length)?;
        let content = self.counted(content::in_memory(bytes))?;
        Ok(Ok(self.push_blob(content)?))
    }

    fn size(&mut self, blob: Resource<Blob>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&blob)?.size())
    }

    fn slice(&mut self, blob: Resource<Blob>, offset: u64, length: u64) -> Answer<Resource<Blob>> {
        let blob = self.table.get(&blob)?;
        match blob.slice(offset, length) {
            Some(part) => Ok(Ok(self.push_handle(part)?)),
            None => {
                let message = format!("{length} bytes at {offset} are not inside a blob of {} bytes", blob.size());
                Ok(Err(error(ErrorKind::InvalidInput, "slice", message)))
            }
        }
    }

    fn drop(&mut self, blob: Resource<Blob>) -> wasmtime::Result<()> {
        self.table.delete(blob)?;
        Ok(())
    }
}

impl<T: 'static> HostBlobWithStore<T> for Capabilities {
    async fn read(accessor: &Accessor<T, Self>, blob: Resource<Blob>, offset: u64, length: u32) -> Answer<Vec<u8>> {
        let blob = accessor.with(|mut access| access.get().blob(&blob))?;
        if u64::from(length) > CALL_BYTES_MAX {
            let message = format!("{length} bytes in one call, at most {CALL_BYTES_MAX} are allowed");
            return Ok(Err(error(ErrorKind::InvalidInput, "length", message)));
        }
        Ok(blob.read(offset, length).map_err(|error| of_io(&error, "blob")))
    }

    async fn digest(accessor: &Accessor<T, Self>, blob: Resource<Blob>) -> Answer<String> {
        let blob = accessor.with(|mut access| access.get().blob(&blob))?;
        Ok(blob.digest().await.map(|digest| digest.to_string()).map_err(|error| of_io(&error, "blob")))
    }
}

impl HostWriter for GuestState {
    fn new(&mut self) -> wasmtime::Result<Resource<Writer>> {
        let resident = Some(self.take_resident_bytes(WRITER_BYTES)?);
        let (spooled, failed) = match self.services.spool.begin() {
            Ok(writer) => (Some(writer), None),
            Err(error) => (None, Some(of_store(&error))),
        };
        self.push_handle(Writer { spooled, bytes: 0, failed, resident })
    }

    fn drop(&mut self, writer: Resource<Writer>) -> wasmtime::Result<()> {
        self.table.delete(writer)?;
        Ok(())
    }
}

impl<T: 'static> HostWriterWithStore<T> for Capabilities {
    async fn write(accessor: &Accessor<T, Self>, writer: Resource<Writer>, bytes: Vec<u8>) -> Answer<()> {
        accessor.with(|mut access| {
            let state = access.get();
            if bytes.len() as u64 > CALL_BYTES_MAX {
                return Ok(Err(GuestState::too_many_bytes(bytes.len())));
            }
            state.take_content_bytes(bytes.len() as u64)?;
            let writer = state.table.get_mut(&writer)?;
            let spooled = guest_try!(writer.spooled());
            match spooled.write(&bytes) {
                Ok(()) => writer.bytes += bytes.len() as u64,
                Err(error) => {
                    writer.spooled = None;
                    writer.failed = Some(of_store(&error));
                    return Ok(Err(of_store(&error)));
                }
            }
            Ok(Ok(()))
        })
    }

    async fn finish(accessor: &Accessor<T, Self>, writer: Resource<Writer>) -> Answer<Resource<Blob>> {
        accessor.with(|mut access| {
            let state = access.get();
            let writer = state.table.get_mut(&writer)?;
            guest_try!(writer.spooled().map(drop));
            let bytes = writer.bytes;
            let spooled = writer.spooled.take().expect("looked at a moment ago");
            writer.resident = None;
            let content = guest_try!(spooled.finish().map_err(|error| of_store(&error)));
            let content = if bytes <= CALL_BYTES_MAX { state.counted(content)? } else { content };
            Ok(Ok(state.push_blob(content)?))
        })
    }
}

impl Writer {
    fn spooled(&mut self) -> Result<&mut Box<dyn SpoolWriter>, Error> {
        match (&mut self.spooled, &self.failed) {
            (Some(spooled), _) => Ok(spooled),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Err(error(ErrorKind::InvalidInput, "writer", "it is finished already")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_content_hashed_in_pieces_has_the_digest_of_the_whole() {
        let bytes: Vec<u8> = (0..HASHED_PIECE_BYTES + 1000).map(|number| (number % 251) as u8).collect();
        let expected = Digest::of(&bytes);
        assert_eq!(digest_of(content::in_memory(bytes)).await.unwrap(), expected);
    }

    /// A tebibyte, read by nobody to its end.
    #[derive(Debug, Default)]
    struct Vast(AtomicU64);

    impl Content for Vast {
        fn size(&self) -> u64 {
            1 << 40
        }

        fn read_at(&self, _: u64, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.fetch_add(buffer.len() as u64, Ordering::Relaxed);
            Ok(buffer.len())
        }
    }

    #[tokio::test]
    async fn a_digest_that_nobody_waits_for_any_more_ends() {
        let vast = Arc::new(Vast::default());
        let hashing = digest_of(Arc::clone(&vast) as SharedContent);
        assert!(tokio::time::timeout(Duration::from_millis(20), hashing).await.is_err());
        let at_the_end = vast.0.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let more = vast.0.load(Ordering::Relaxed) - at_the_end;
        assert!(more <= HASHED_PIECE_BYTES, "{more} bytes were hashed for nobody");
    }
}
