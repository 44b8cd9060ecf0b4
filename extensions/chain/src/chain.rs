//! The protocol over a world, and the small steps everything else is made of: identities, pauses, reading a root, and the
//! one way a root is ever written.

use futures::stream::{self, StreamExt as _};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{HEAD_BYTES_MAX, META_BYTES_MAX, RETRY_MS_FIRST, RETRY_MS_MAX, UNKNOWN_ATTEMPTS_MAX};
use crate::ports::{Blob, Condition, Lookup, World};
use crate::root::{Address, Age, Root, Snapshot};
use crate::segment::hexadecimal;

/// The shared-store protocol over one world. Keeps nothing between calls.
#[derive(Debug, Clone)]
pub struct Chain<W> {
    pub(crate) world: W,
}

/// What is at the address of a root.
#[derive(Debug)]
pub(crate) enum Reading {
    Found(Box<Snapshot>),
    NotModified,
    Absent,
}

/// How a compare-and-swap ended.
#[derive(Debug)]
pub(crate) enum Swap {
    /// It was applied; this is the root now.
    Done(Box<Snapshot>),
    /// It was not, as far as can be seen; this is there instead. With an unchanged ETag the write was lost or is late:
    /// trying again is safe, because only one of the two can be applied.
    Changed(Option<Box<Snapshot>>),
}

/// Largest piece of a blob that one call may read, in bytes (the contract of `peat:host/blobs`).
const READ_BYTES_MAX: u64 = 1024 * 1024;

impl<W: World> Chain<W> {
    /// The protocol in this world.
    pub fn new(world: W) -> Self {
        Self { world }
    }

    /// The world.
    pub fn world(&self) -> &W {
        &self.world
    }

    /// 128 random bits, hexadecimal.
    pub(crate) fn new_id(&self) -> String {
        hexadecimal(&self.world.bytes(16))
    }

    /// A number below `bound`, evenly enough for jitter.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        let bytes = self.world.bytes(8);
        bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)) % bound.max(1)
    }

    /// Pauses before attempt `attempt` (from 1): doubling, half of it by chance, or as the store asked.
    pub(crate) async fn pause(&self, attempt: u32, error: Option<&Error>) {
        let doubled = RETRY_MS_FIRST.saturating_mul(1 << attempt.min(16)).min(RETRY_MS_MAX);
        let asked = match error.map(|error| error.kind) {
            Some(ErrorKind::Unavailable(Some(asked_ms))) => asked_ms.min(RETRY_MS_MAX),
            _ => 0,
        };
        self.world.sleep(asked.max(doubled / 2 + self.below(doubled / 2))).await;
    }

    /// All bytes of a blob of at most `longest` bytes.
    pub(crate) async fn read_all(&self, key: &str, blob: &W::Blob, longest: usize) -> Result<Vec<u8>> {
        let size = blob.size();
        if size > longest as u64 {
            return Err(Error::corrupt(key, format!("it has {size} bytes, more than the {longest} allowed")));
        }
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < size {
            let wanted = (size - bytes.len() as u64).min(READ_BYTES_MAX);
            let piece = blob.read(bytes.len() as u64, u32::try_from(wanted).unwrap_or(u32::MAX)).await?;
            if piece.is_empty() {
                return Err(Error::corrupt(key, format!("it ends after {} of {size} bytes", bytes.len())));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// Reads a root, trying again while the store cannot be reached. One request when it can.
    pub(crate) async fn read_root(&self, address: Address<'_>, unless_etag: Option<&str>) -> Result<Reading> {
        let key = address.key();
        let longest = if address.is_structural() { META_BYTES_MAX } else { HEAD_BYTES_MAX };
        let mut attempt = 0;
        loop {
            match self.world.get(&key, unless_etag).await {
                Ok(Lookup::NotModified) => return Ok(Reading::NotModified),
                Ok(Lookup::Found { object, content, store_time_ms }) => {
                    let bytes = self.read_all(&key, &content, longest).await?;
                    let root = address.decode(&bytes)?;
                    self.keep_root(address, &object.etag, &bytes).await;
                    let store_ms = store_time_ms.saturating_sub(object.modified_ms);
                    let seen_elapsed_ms = self.world.elapsed_ms();
                    let age = Some(Age { store_ms, store_now_ms: store_time_ms, seen_elapsed_ms });
                    return Ok(Reading::Found(Box::new(Snapshot { root, sealed: bytes, etag: object.etag, age })));
                }
                Err(error) if error.is_not_found() => return Ok(Reading::Absent),
                Err(error) if error.is_unavailable() && attempt + 1 < UNKNOWN_ATTEMPTS_MAX => {
                    attempt += 1;
                    self.pause(attempt, Some(&error)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The root as this machine last saw it. No request; may be outdated or missing.
    pub(crate) async fn cached_root(&self, address: Address<'_>) -> Option<Snapshot> {
        let bytes = self.world.cached(&address.cache_key()).await.ok().flatten()?;
        let (etag, root) = split_state(&bytes)?;
        Some(Snapshot { root: address.decode(root).ok()?, sealed: root.to_vec(), etag, age: None })
    }

    /// Keeps a root for [`Self::cached_root`]. A cache that refuses costs a request later, nothing else.
    pub(crate) async fn keep_root(&self, address: Address<'_>, etag: &str, bytes: &[u8]) {
        let _ = self.world.cache(&address.cache_key(), &join_state(etag, bytes)).await;
    }

    /// Writes `root` where `etag` is (or where nothing is), under a fresh nonce, and finds out whether that happened.
    ///
    /// One request unless the reply is ambiguous; then the root is read back. Not cancel safe: dropped, it may have been
    /// applied.
    pub(crate) async fn swap(&self, address: Address<'_>, mut root: Root, etag: Option<&str>) -> Result<Swap> {
        let key = address.key();
        let nonce = self.new_id();
        root.set_nonce(nonce.clone());
        let bytes = root.encode();
        if bytes.len() > HEAD_BYTES_MAX {
            let message =
                format!("the head {key} would have {} bytes, more than {HEAD_BYTES_MAX} allowed", bytes.len());
            return Err(Error::new(ErrorKind::Exhausted, key, message));
        }
        let condition = etag.map_or(Condition::Absent, |etag| Condition::Matches(etag.to_owned()));
        let blob = self.world.blob(&bytes).await?;
        match self.world.put(&key, &blob, condition).await {
            Ok(etag) => {
                self.keep_root(address, &etag, &bytes).await;
                Ok(Swap::Done(Box::new(Snapshot { root, sealed: bytes, etag, age: None })))
            }
            Err(error) if error.is_ambiguous() => match self.read_root(address, None).await? {
                Reading::Found(found) if found.root.nonce() == nonce => Ok(Swap::Done(found)),
                Reading::Found(found) => {
                    if etag == Some(&found.etag) {
                        self.pause(1, Some(&error)).await;
                    }
                    Ok(Swap::Changed(Some(found)))
                }
                Reading::Absent | Reading::NotModified => Ok(Swap::Changed(None)),
            },
            Err(error) => Err(error),
        }
    }

    /// Runs `requests` at most [`crate::limits::CONCURRENCY`] at a time; answers in order, or the first error.
    pub(crate) async fn all<T>(&self, requests: Vec<impl Future<Output = Result<T>>>) -> Result<Vec<T>> {
        let mut answers = stream::iter(requests).buffered(crate::limits::CONCURRENCY);
        let mut collected = Vec::new();
        while let Some(answer) = answers.next().await {
            collected.push(answer?);
        }
        Ok(collected)
    }
}

/// ETag and bytes in one, as caches and lease states keep them.
pub(crate) fn join_state(etag: &str, bytes: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(etag.len() + 1 + bytes.len());
    joined.extend_from_slice(etag.as_bytes());
    joined.push(b'\n');
    joined.extend_from_slice(bytes);
    joined
}

/// Takes [`join_state`] apart.
pub(crate) fn split_state(joined: &[u8]) -> Option<(String, &[u8])> {
    let end = joined.iter().take(crate::limits::ETAG_BYTES_MAX + 1).position(|byte| *byte == b'\n')?;
    let etag = std::str::from_utf8(&joined[..end]).ok()?;
    Some((etag.to_owned(), &joined[end + 1..]))
}
