//! Bytes on their way to becoming content: in memory while few, in a temporary file when many.

use std::any::Any;
use std::io::{self, Write as _};
use std::sync::Arc;

use peat_core::content::{self, Content, SharedContent};
use peat_core::digest::{Digest, Hasher};
use peat_core::ports::{SpoolWriter, StoreError};

use super::Inner;
use super::failure::Failure;
use crate::file_content::read_part;
use crate::temporary_file::TemporaryFile;

/// So many bytes stay in memory.
const MEMORY_BYTES_MAX: usize = 256 * 1024;

/// A content that is being written.
pub(super) struct Spooling {
    store: Arc<Inner>,
    memory: Vec<u8>,
    file: Option<TemporaryFile>,
    hasher: Hasher,
    size: u64,
}

impl Spooling {
    pub(super) fn new(store: Arc<Inner>) -> Self {
        Self { store, memory: Vec::new(), file: None, hasher: Hasher::default(), size: 0 }
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.file.is_none() && self.memory.len() + bytes.len() <= MEMORY_BYTES_MAX {
            self.memory.extend_from_slice(bytes);
            return Ok(());
        }
        let of_spool = |error: io::Error| Failure::File("spool".into(), error);
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let file = self.store.files.temporary()?;
                file.file().write_all(&self.memory).map_err(of_spool)?;
                self.memory = Vec::new();
                file
            }
        };
        file.file().write_all(bytes).map_err(of_spool)?;
        self.file = Some(file);
        Ok(())
    }
}

impl SpoolWriter for Spooling {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.add(bytes).map_err(|failure| self.store.place.explain(failure))
    }

    fn finish(self: Box<Self>) -> Result<SharedContent, StoreError> {
        Ok(match self.file {
            None => content::in_memory(self.memory),
            Some(temporary) => Arc::new(SpooledFile { temporary, digest: self.hasher.finish(), size: self.size }),
        })
    }
}

/// Finished content in a temporary file, which goes with it. A store that keeps it gives the file a second name.
#[derive(Debug)]
pub(super) struct SpooledFile {
    pub(super) temporary: TemporaryFile,
    /// Of the bytes as they were written.
    pub(super) digest: Digest,
    size: u64,
}

impl Content for SpooledFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        read_part(self.temporary.file(), 0, self.size, offset, buffer)
    }

    fn known_digest(&self) -> Option<Digest> {
        Some(self.digest)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}
