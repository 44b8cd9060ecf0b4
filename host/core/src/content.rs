//! Content as something that can be read in parts, wherever it lies.

use std::any::Any;
use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use crate::digest::{Digest, Hasher};
use crate::ports::Movement;

/// Immutable bytes: in memory, in a file, or a part of either.
pub trait Content: Debug + Send + Sync {
    /// Length in bytes.
    fn size(&self) -> u64;

    /// Reads bytes at `offset` into `buffer`; fewer than asked for only at the end. Blocks on a disk at most.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// SHA-256 of all of it, where whoever made it computed that of the very bytes while they passed. None unless it says
    /// otherwise.
    fn known_digest(&self) -> Option<Digest> {
        None
    }

    /// The concrete content, for the store that made it and can keep it without copying. None unless it says otherwise.
    fn as_any(&self) -> Option<&dyn Any> {
        None
    }
}

/// Shared content.
pub type SharedContent = Arc<dyn Content>;

/// Bytes read at once when content is walked.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// Content in memory.
pub fn in_memory(bytes: impl Into<Vec<u8>>) -> SharedContent {
    Arc::new(InMemory(bytes.into()))
}

/// A view of a part of `content`; none when the part is not wholly inside.
pub fn slice(content: &SharedContent, offset: u64, length: u64) -> Option<SharedContent> {
    let end = offset.checked_add(length)?;
    (end <= content.size()).then(|| Arc::new(Slice { whole: Arc::clone(content), offset, length }) as SharedContent)
}

/// One content after the other, as one.
pub fn concatenate(parts: Vec<SharedContent>) -> SharedContent {
    Arc::new(Concatenated { size: parts.iter().map(|part| part.size()).sum(), parts })
}

/// The same content; `movement` counts that it is being read.
pub fn watched(content: SharedContent, movement: Movement) -> SharedContent {
    Arc::new(Watched { content, movement })
}

/// All bytes. `InvalidData` when there are more than `limit`, `UnexpectedEof` when there are fewer than promised.
pub fn read_all(content: &dyn Content, limit: u64) -> io::Result<Vec<u8>> {
    let size = content.size();
    if size > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{size} bytes, more than the limit of {limit}"),
        ));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).map_err(io::Error::other)?);
    walk(content, |chunk| {
        bytes.extend_from_slice(chunk);
        Ok(())
    })?;
    Ok(bytes)
}

/// SHA-256 of the content. Reads it unless that is known.
pub fn digest(content: &dyn Content) -> io::Result<Digest> {
    if let Some(digest) = content.known_digest() {
        return Ok(digest);
    }
    let mut hasher = Hasher::default();
    walk(content, |chunk| {
        hasher.update(chunk);
        Ok(())
    })?;
    Ok(hasher.finish())
}

/// Hands out the content piece by piece, in order.
pub fn walk(content: &dyn Content, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let size = content.size();
    let mut buffer = vec![0; CHUNK_BYTES.min(usize::try_from(size).unwrap_or(CHUNK_BYTES))];
    let mut offset = 0;
    while offset < size {
        let read = content.read_at(offset, &mut buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        each(&buffer[..read])?;
        offset += read as u64;
    }
    Ok(())
}

struct InMemory(Vec<u8>);

impl Debug for InMemory {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "InMemory({} bytes)", self.0.len())
    }
}

impl Content for InMemory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

#[derive(Debug)]
struct Slice {
    whole: SharedContent,
    offset: u64,
    length: u64,
}

impl Content for Slice {
    fn size(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.length.saturating_sub(offset);
        let length = buffer.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
        self.whole.read_at(self.offset + offset.min(self.length), &mut buffer[..length])
    }
}

#[derive(Debug)]
struct Concatenated {
    parts: Vec<SharedContent>,
    size: u64,
}

impl Content for Concatenated {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, mut offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        for part in &self.parts {
            if offset < part.size() {
                return part.read_at(offset, buffer);
            }
            offset -= part.size();
        }
        Ok(0)
    }
}

#[derive(Debug)]
struct Watched {
    content: SharedContent,
    movement: Movement,
}

impl Content for Watched {
    fn size(&self) -> u64 {
        self.content.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.movement.moved();
        self.content.read_at(offset, buffer)
    }

    fn known_digest(&self) -> Option<Digest> {
        self.content.known_digest()
    }

    fn as_any(&self) -> Option<&dyn Any> {
        self.content.as_any()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_stays_inside_its_part() {
        let whole = in_memory(*b"0123456789");
        let part = slice(&whole, 2, 5).unwrap();
        assert_eq!(read_all(&*part, 100).unwrap(), b"23456");
        assert!(slice(&whole, 6, 5).is_none());
        assert!(slice(&whole, u64::MAX, 2).is_none());
    }

    #[test]
    fn concatenated_content_reads_as_one() {
        let joined = concatenate(vec![in_memory(*b"ab"), in_memory(*b""), in_memory(*b"cde")]);
        assert_eq!(read_all(&*joined, 100).unwrap(), b"abcde");
        assert_eq!(digest(&*joined).unwrap(), Digest::of(b"abcde"));
        assert!(read_all(&*joined, 4).is_err());
    }
}
