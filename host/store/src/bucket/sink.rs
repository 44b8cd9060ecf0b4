//! Where the bytes of an answer go: into memory while they are few, into the spool when they are many.

use peat_core::content::{self, SharedContent};
use peat_core::ports::{ObjectError, Spool, SpoolWriter, StoreError};
use std::sync::Arc;

/// Content up to this many bytes stays in memory and needs no file.
const MEMORY_BYTES_MAX: usize = 256 * 1024;

/// Bytes handed to the spool at once: one visit of a blocking thread for each.
const BATCH_BYTES: usize = 1024 * 1024;

/// Content on its way in.
pub(super) struct Sink {
    spool: Arc<dyn Spool>,
    key: String,
    buffer: Vec<u8>,
    writer: Option<Box<dyn SpoolWriter>>,
    size: u64,
}

impl Sink {
    pub(super) fn new(spool: &Arc<dyn Spool>, key: &str) -> Self {
        Self { spool: Arc::clone(spool), key: key.to_owned(), buffer: Vec::new(), writer: None, size: 0 }
    }

    /// Bytes taken so far.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), ObjectError> {
        self.buffer.extend_from_slice(bytes);
        self.size += bytes.len() as u64;
        let keep = if self.writer.is_some() { BATCH_BYTES } else { MEMORY_BYTES_MAX };
        if self.buffer.len() > keep { self.flush().await } else { Ok(()) }
    }

    pub(super) async fn finish(mut self) -> Result<SharedContent, ObjectError> {
        if self.writer.is_none() {
            return Ok(content::in_memory(self.buffer));
        }
        self.flush().await?;
        let writer = self.writer.take().expect("it was there a line ago");
        let finished = tokio::task::spawn_blocking(move || writer.finish()).await;
        finished.map_err(|error| thread_ended(&self.key, &error))?.map_err(|error| not_kept(&self.key, &error))
    }

    async fn flush(&mut self) -> Result<(), ObjectError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let (writer, spool) = (self.writer.take(), Arc::clone(&self.spool));
        let written = tokio::task::spawn_blocking(move || {
            let mut writer = match writer {
                Some(writer) => writer,
                None => spool.begin()?,
            };
            writer.write(&buffer)?;
            buffer.clear();
            Ok((writer, buffer))
        });
        let written = written.await.map_err(|error| thread_ended(&self.key, &error))?;
        let (writer, buffer) = written.map_err(|error| not_kept(&self.key, &error))?;
        (self.writer, self.buffer) = (Some(writer), buffer);
        Ok(())
    }
}

fn not_kept(key: &str, error: &StoreError) -> ObjectError {
    let (key, reason) = (key.to_owned(), format!("what was read cannot be kept here: {error}"));
    match error {
        StoreError::Full { .. } => ObjectError::Exhausted { key, reason },
        _ => ObjectError::Unavailable { key, reason, retry_after_ms: None },
    }
}

pub(super) fn thread_ended(key: &str, error: &tokio::task::JoinError) -> ObjectError {
    let reason = format!("the thread that used the disk ended: {error}");
    ObjectError::Unavailable { key: key.to_owned(), reason, retry_after_ms: None }
}
