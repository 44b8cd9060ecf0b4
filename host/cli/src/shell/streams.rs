//! What a command prints, read on threads of its own: a busy run cannot stall the pipe, and a full pipe not the run.
//!
//! A stream ends with the last process that holds it. A process that fled the group (with `setsid`) may hold it for ever,
//! so that a reader which is told to stop reads what is there and goes.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use peat_core::content::SharedContent;
use peat_core::ports::{Spool, StoreError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::mpsc::Sender;

/// Largest output that is kept, in bytes: beyond it the run fails rather than fill the disk.
pub(super) const STDOUT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Longest line of the log, in bytes: a longer one is cut into several.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// Bytes read at once: the size of a pipe.
const CHUNK_BYTES: usize = 64 * 1024;

/// Most that is read after the stop, in bytes: what the largest pipe of an ordinary user can hold. Who fled the group may go
/// on writing for ever.
const REST_BYTES_MAX: usize = 1024 * 1024;

/// How often a reader looks whether it shall stop.
const STOP_LOOK: Duration = Duration::from_millis(50);

/// What the readers report.
#[derive(Debug)]
pub(super) enum Event {
    /// A line of stderr.
    Line(String),
    /// Stderr has ended.
    LogEnded,
    /// Stdout has ended.
    Output(Result<SharedContent, OutputError>),
}

/// Why the output could not be kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutputError {
    /// Too much.
    #[error("the command printed more than the {STDOUT_BYTES_MAX} bytes allowed; write large output to a file instead")]
    TooLarge,
    /// No room.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The pipe.
    #[error("the output could not be read: {0}")]
    Read(#[from] io::Error),
}

/// Tells readers that nobody writes any more.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Readers take what is there and end.
    pub(super) fn now(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Reads stdout into content.
pub(super) fn read_output(mut pipe: File, spool: Arc<dyn Spool>, stop: Stop, events: Sender<Event>) -> io::Result<()> {
    thread::Builder::new().name("shell-stdout".to_owned()).spawn(move || {
        let output = spool_all(&mut pipe, &*spool, &stop);
        // The pipe closes here: who goes on printing is told so.
        drop(pipe);
        let _ = events.blocking_send(Event::Output(output));
    })?;
    Ok(())
}

/// Reads stderr as lines.
pub(super) fn read_log(mut pipe: File, stop: Stop, events: Sender<Event>) -> io::Result<()> {
    thread::Builder::new().name("shell-stderr".to_owned()).spawn(move || {
        let mut lines = Lines::default();
        let gone = each_chunk(&mut pipe, &stop, |bytes| {
            lines.add(bytes, |line| events.blocking_send(Event::Line(line)).map_err(io::Error::other))
        });
        if gone.is_ok() {
            let _ = lines.finish(|line| events.blocking_send(Event::Line(line)).map_err(io::Error::other));
        }
        let _ = events.blocking_send(Event::LogEnded);
    })?;
    Ok(())
}

fn spool_all(pipe: &mut File, spool: &dyn Spool, stop: &Stop) -> Result<SharedContent, OutputError> {
    let mut writer = spool.begin()?;
    let mut size = 0_u64;
    let mut refused = None;
    let read = each_chunk(pipe, stop, |bytes| {
        size += bytes.len() as u64;
        let written = if size > STDOUT_BYTES_MAX {
            Err(OutputError::TooLarge)
        } else {
            writer.write(bytes).map_err(OutputError::from)
        };
        written.map_err(|error| {
            refused = Some(error);
            io::Error::other("refused")
        })
    });
    match (refused, read) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(error.into()),
        (None, Ok(())) => Ok(writer.finish()?),
    }
}

fn each_chunk(pipe: &mut File, stop: &Stop, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let look = Timespec::try_from(STOP_LOOK).map_err(io::Error::other)?;
    let mut rest = REST_BYTES_MAX;
    loop {
        // Asked before the pipe is looked at: what was written before the stop is read.
        let stopped = stop.0.load(Ordering::Acquire);
        if stopped && rest == 0 {
            return Ok(());
        }
        let ready = match poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&look)) {
            Ok(ready) => ready > 0,
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        if !ready {
            if stopped {
                return Ok(());
            }
            continue;
        }
        match pipe.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                if stopped {
                    rest = rest.saturating_sub(length);
                }
                each(&buffer[..length])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Cuts bytes into lines of bounded length.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    fn add(&mut self, mut bytes: &[u8], mut each: impl FnMut(String) -> io::Result<()>) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = LINE_BYTES_MAX - self.rest.len();
            let taken = &bytes[..bytes.len().min(room)];
            match taken.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    self.rest.extend_from_slice(&taken[..end]);
                    bytes = &bytes[end + 1..];
                    each(self.take())?;
                }
                None => {
                    self.rest.extend_from_slice(taken);
                    bytes = &bytes[taken.len()..];
                    if self.rest.len() == LINE_BYTES_MAX {
                        each(self.take())?;
                    }
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, mut each: impl FnMut(String) -> io::Result<()>) -> io::Result<()> {
        if self.rest.is_empty() { Ok(()) } else { each(self.take()) }
    }

    fn take(&mut self) -> String {
        let line = String::from_utf8_lossy(&self.rest).trim_end_matches('\r').to_owned();
        self.rest.clear();
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut found = Vec::new();
        let mut lines = Lines::default();
        let mut each = |line| {
            found.push(line);
            Ok(())
        };
        for chunk in chunks {
            lines.add(chunk, &mut each).unwrap();
        }
        lines.finish(&mut each).unwrap();
        found
    }

    #[test]
    fn lines_are_found_across_chunks() {
        assert_eq!(lines(&[b"one\r\ntw", b"o\n\nlast"]), ["one", "two", "", "last"]);
        assert!(lines(&[b""]).is_empty());
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let long = vec![b'x'; LINE_BYTES_MAX * 2 + 1];
        let found = lines(&[&long]);
        assert_eq!(found.iter().map(String::len).collect::<Vec<_>>(), [LINE_BYTES_MAX, LINE_BYTES_MAX, 1]);
    }
}
