//! `peat:host/blobs`: content as handles.
//!
//! A blob is a part of a root content. Slicing a slice refers to the root again, so that no chain of calls makes a chain
//! of views. Small contents of the guest's own bytes count as resident while anything refers to them.

use std::io;
use std::sync::{Arc, OnceLock};

use peat_core::content::{self, Content, SharedContent};
use peat_core::digest::Digest;
use peat_core::ports::SpoolWriter;
use wasmtime::component::{Accessor, Resource};

use super::{Answer, error, guest_try};
use crate::bindings::imports::interfaces::blobs::{Host, HostBlob, HostBlobWithStore, HostWriter, HostWriterWithStore};
use crate::bindings::imports::interfaces::errors::{Error, ErrorKind};
use crate::convert::errors::{of_io, of_store};
use crate::limits::CALL_BYTES_MAX;
use crate::state::{Capabilities, GuestState, Resident};

/// Content up to this many bytes is hashed where it is asked for; more goes to a thread for blocking work.
const HASHED_INLINE_BYTES_MAX: u64 = 256 * 1024;

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

/// SHA-256 of a content, without holding up the thread for long.
pub(crate) async fn digest_of(content: SharedContent) -> io::Result<Digest> {
    if content.size() <= HASHED_INLINE_BYTES_MAX {
        return content::digest(&*content);
    }
    tokio::task::spawn_blocking(move || content::digest(&*content)).await.map_err(io::Error::other)?
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
}

impl GuestState {
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
        let resident = self.take_resident_bytes(length)?;
        let content = Arc::new(Counted { content: content::in_memory(bytes), _resident: resident });
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
        let (spooled, failed) = match self.services.spool.begin() {
            Ok(writer) => (Some(writer), None),
            Err(error) => (None, Some(of_store(&error))),
        };
        self.push_handle(Writer { spooled, bytes: 0, failed })
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
            let content = guest_try!(spooled.finish().map_err(|error| of_store(&error)));
            let content = if bytes <= CALL_BYTES_MAX {
                let resident = state.take_resident_bytes(bytes)?;
                Arc::new(Counted { content, _resident: resident })
            } else {
                content
            };
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
