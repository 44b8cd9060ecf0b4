//! WASI 0.2 for guests that were built against a standard library: clocks, random, standard streams into the log, an
//! empty environment, and granted directories for reading. No sockets, no arguments, no terminal.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use peat_core::ports::Clock;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::{FsPerms, HostWallClock, WasiCtx};

use super::log::GuestLog;

/// Random bytes of one call: a standard library seeds its maps and no more.
const RANDOM_BYTES_MAX: u64 = 64 * 1024;

/// A context with nothing but what was granted: `directories` become preopened ones, by their names.
pub(crate) fn context<'a>(
    clock: Arc<dyn Clock>,
    directories: impl Iterator<Item = (&'a str, &'a Path)>,
    log: &Arc<GuestLog>,
) -> wasmtime::Result<WasiCtx> {
    let mut builder = WasiCtx::builder();
    builder
        .stdout(LineStream { log: Arc::clone(log), source: "stdout" })
        .stderr(LineStream { log: Arc::clone(log), source: "stderr" })
        .wall_clock(WallClock(clock))
        .max_random_size(RANDOM_BYTES_MAX)
        .allow_tcp(false)
        .allow_udp(false);
    for (name, path) in directories {
        builder.preopened_dir(path, format!("/{name}"), FsPerms::ReadOnly)?;
    }
    Ok(builder.build())
}

struct WallClock(Arc<dyn Clock>);

impl HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.now_ms())
    }
}

/// A standard stream whose lines go to the log.
struct LineStream {
    log: Arc<GuestLog>,
    source: &'static str,
}

impl IsTerminal for LineStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LineStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(LineWriter { log: Arc::clone(&self.log), source: self.source, line: Vec::new() })
    }
}

/// Collects bytes up to a line end, or up to the longest line that is kept.
struct LineWriter {
    log: Arc<GuestLog>,
    source: &'static str,
    line: Vec<u8>,
}

impl LineWriter {
    fn end_line(&mut self) {
        if !self.line.is_empty() {
            self.log.add(self.source, &String::from_utf8_lossy(&self.line));
            self.line.clear();
        }
    }
}

impl AsyncWrite for LineWriter {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.line.len() > self.log.line_bytes_max() {
                self.end_line();
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end_line();
        Poll::Ready(Ok(()))
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        self.end_line();
    }
}
