//! Content that lies in an open file. The file may lose its name meanwhile; the bytes stay readable.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use peat_core::content::Content;

/// A part of an open file.
#[derive(Debug)]
pub(crate) struct FileContent {
    file: File,
    offset: u64,
    size: u64,
}

impl FileContent {
    /// `size` bytes of `file` from `offset` on.
    pub(crate) fn new(file: File, offset: u64, size: u64) -> Self {
        Self { file, offset, size }
    }
}

impl Content for FileContent {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        read_part(&self.file, self.offset, self.size, offset, buffer)
    }
}

/// Reads at `offset` of the part of `file` that begins at `start` and is `size` long.
pub(crate) fn read_part(file: &File, start: u64, size: u64, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let rest = size.saturating_sub(offset);
    let wanted = buffer.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
    if wanted == 0 {
        return Ok(0);
    }
    let position = start.checked_add(offset).ok_or(io::ErrorKind::InvalidInput)?;
    file.read_at(&mut buffer[..wanted], position)
}
