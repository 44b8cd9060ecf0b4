//! `peat:host/log` and the standard streams: lines for the log of a run or command, bounded.
//!
//! What exceeds the bounds is counted and said once, when the call ends. Control characters never reach a terminal.

use std::sync::{Arc, Mutex, PoisonError};

use crate::bindings::imports::interfaces::log::{Host, Level};
use crate::convert::text::printable;
use crate::limits::Limits;
use crate::state::GuestState;

/// Takes the lines that are kept. Never blocks.
pub(crate) type LogSink = Box<dyn Fn(&str, &str) + Send + Sync>;

/// The log of one call.
pub(crate) struct GuestLog {
    sink: LogSink,
    lines_max: u64,
    bytes_max: u64,
    line_bytes_max: usize,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    lines: u64,
    bytes: u64,
    dropped_lines: u64,
    dropped_bytes: u64,
}

impl GuestLog {
    pub(crate) fn new(limits: &Limits, sink: LogSink) -> Arc<Self> {
        Arc::new(Self {
            sink,
            lines_max: limits.log_lines,
            bytes_max: limits.log_bytes,
            line_bytes_max: usize::try_from(limits.log_line_bytes).unwrap_or(usize::MAX),
            used: Mutex::default(),
        })
    }

    /// Longest line that is kept whole, in bytes.
    pub(crate) fn line_bytes_max(&self) -> usize {
        self.line_bytes_max
    }

    /// Adds the lines of `text`.
    pub(crate) fn add(&self, source: &str, text: &str) {
        for line in text.trim_end_matches('\n').split('\n') {
            self.add_line(source, line);
        }
    }

    fn add_line(&self, source: &str, line: &str) {
        let cut = cut_at(line, self.line_bytes_max);
        {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            if used.lines >= self.lines_max || used.bytes.saturating_add(cut.len() as u64) > self.bytes_max {
                used.dropped_lines += 1;
                used.dropped_bytes += line.len() as u64;
                return;
            }
            used.lines += 1;
            used.bytes += cut.len() as u64;
            used.dropped_bytes += (line.len() - cut.len()) as u64;
        }
        (self.sink)(source, &printable(cut));
    }

    /// What was not kept: lines and bytes.
    pub(crate) fn dropped(&self) -> (u64, u64) {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        (used.dropped_lines, used.dropped_bytes)
    }

    /// Something was not kept before it came here.
    pub(crate) fn add_dropped(&self, lines: u64, bytes: u64) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.dropped_lines = used.dropped_lines.saturating_add(lines);
        used.dropped_bytes = used.dropped_bytes.saturating_add(bytes);
    }

    /// Says what was not kept, if anything. Called once, when the call has ended.
    pub(crate) fn close(&self) {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.dropped_bytes > 0 || used.dropped_lines > 0 {
            let notice = format!(
                "the log is cut: {} lines and {} bytes more were written than the {} lines and {} bytes allowed",
                used.dropped_lines, used.dropped_bytes, self.lines_max, self.bytes_max
            );
            (self.sink)("warn", &notice);
        }
    }
}

fn cut_at(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

impl Host for GuestState {
    fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.log.add(level_word(level), &message);
        Ok(())
    }
}

/// How each level is written.
const LEVELS: [(Level, &str); 5] = [
    (Level::Trace, "trace"),
    (Level::Debug, "debug"),
    (Level::Info, "info"),
    (Level::Warn, "warn"),
    (Level::Error, "error"),
];

/// A level as it is written.
pub(crate) fn level_word(level: Level) -> &'static str {
    LEVELS.into_iter().find_map(|(known, word)| (known == level).then_some(word)).expect("every level has a word")
}

/// The level that a word is; none for a standard stream.
pub(crate) fn level_of(word: &str) -> Option<Level> {
    LEVELS.into_iter().find_map(|(level, known)| (known == word).then_some(level))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(limits: &Limits, writes: &[&str]) -> Vec<String> {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&kept);
        let log =
            GuestLog::new(limits, Box::new(move |source, line| sink.lock().unwrap().push(format!("{source}: {line}"))));
        for text in writes {
            log.add("info", text);
        }
        log.close();
        let kept = kept.lock().unwrap();
        kept.clone()
    }

    #[test]
    fn a_log_within_its_bounds_is_kept_whole_without_control_characters() {
        let lines = lines_of(&Limits::default(), &["one\ntwo\n", "a\u{1b}[31mb\tc"]);
        assert_eq!(lines, ["info: one", "info: two", "info: a\u{fffd}[31mb\tc"]);
    }

    #[test]
    fn what_exceeds_the_bounds_is_counted_and_said_once() {
        let limits = Limits { log_lines: 2, log_line_bytes: 4, ..Limits::default() };
        let lines = lines_of(&limits, &["ab", "äöü", "x", "yz"]);
        assert_eq!(lines[..2], ["info: ab", "info: äö"]);
        assert!(lines[2].contains("2 lines and 5 bytes more"), "{}", lines[2]);
        assert_eq!(lines.len(), 3);
    }
}
