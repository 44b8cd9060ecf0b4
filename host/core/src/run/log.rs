//! The log of a run: bounded, in a spool, one line a call.

use std::sync::Mutex;

use crate::content::{self, SharedContent};
use crate::ports::{RunLog, Spool, SpoolWriter, StoreError};

/// Most bytes of log that are kept of one run. What comes after is counted, not kept.
pub const LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Longest line, in bytes; the rest of a longer one is dropped and counted.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Collects lines until the run ends.
pub(super) struct BoundedLog(Mutex<State>);

struct State {
    writer: Option<Box<dyn SpoolWriter>>,
    kept: u64,
    dropped: u64,
    failure: Option<StoreError>,
}

/// A finished log.
#[derive(Debug)]
pub(super) struct FinishedLog {
    pub(super) content: SharedContent,
    pub(super) dropped: u64,
}

impl BoundedLog {
    pub(super) fn begin(spool: &(impl Spool + ?Sized)) -> Result<Self, StoreError> {
        Ok(Self(Mutex::new(State { writer: Some(spool.begin()?), kept: 0, dropped: 0, failure: None })))
    }

    /// Ends the log. An error is one of the disk, kept from the line at which it happened.
    pub(super) fn finish(&self) -> Result<FinishedLog, StoreError> {
        let mut guard = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let state = &mut *guard;
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        if state.dropped > 0
            && let Some(writer) = &mut state.writer
        {
            let note = format!("peat: {} bytes of log were dropped, the limit is {LOG_BYTES_MAX}\n", state.dropped);
            writer.write(note.as_bytes())?;
        }
        let content = match state.writer.take() {
            Some(writer) => writer.finish()?,
            None => content::in_memory(Vec::new()),
        };
        Ok(FinishedLog { content, dropped: state.dropped })
    }
}

impl RunLog for BoundedLog {
    fn line(&self, level: &str, text: &str) {
        let mut guard = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let state = &mut *guard;
        let shown = &text[..text.floor_char_boundary(LINE_BYTES_MAX)];
        let line = format!("{level:<6} {shown}\n");
        let size = line.len() as u64;
        match &mut state.writer {
            Some(writer) if state.failure.is_none() && state.kept + size <= LOG_BYTES_MAX => {
                match writer.write(line.as_bytes()) {
                    Ok(()) => state.kept += size,
                    Err(error) => state.failure = Some(error),
                }
                state.dropped += (text.len() - shown.len()) as u64;
            }
            _ => state.dropped += text.len() as u64 + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Memory(Vec<u8>);
    impl SpoolWriter for Memory {
        fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
        fn finish(self: Box<Self>) -> Result<SharedContent, StoreError> {
            Ok(content::in_memory(self.0))
        }
    }
    struct MemorySpool;
    impl Spool for MemorySpool {
        fn begin(&self) -> Result<Box<dyn SpoolWriter>, StoreError> {
            Ok(Box::new(Memory(Vec::new())))
        }
    }

    #[test]
    fn a_flood_is_cut_at_the_limit_and_counted() {
        let log = BoundedLog::begin(&MemorySpool).unwrap();
        let long = "x".repeat(40_000);
        for _ in 0..1000 {
            log.line("info", &long);
        }
        let finished = log.finish().unwrap();
        assert!(finished.content.size() <= LOG_BYTES_MAX + 200);
        assert!(finished.content.size() > LOG_BYTES_MAX - 2 * LINE_BYTES_MAX as u64);
        assert!(finished.dropped > 30_000_000, "{}", finished.dropped);
    }

    #[test]
    fn a_line_is_cut_between_characters() {
        let log = BoundedLog::begin(&MemorySpool).unwrap();
        log.line("info", &"é".repeat(LINE_BYTES_MAX));
        assert!(log.finish().unwrap().dropped > 0);
    }
}
