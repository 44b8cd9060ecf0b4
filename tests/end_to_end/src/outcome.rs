//! What became of one run of the binary: exit code, stdout and stderr together.

use std::fmt;
use std::process::Output;

use serde_json::Value;

/// A finished command.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was run, for messages.
    pub command: String,
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output, with what is not UTF-8 replaced.
    pub stdout: String,
    /// Standard output as it came.
    pub bytes: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Of a process that a test started itself.
    pub fn of(command: String, output: Output) -> Self {
        Self::new(format!("peat {command}"), output)
    }

    pub(crate) fn new(command: String, output: Output) -> Self {
        Self {
            command,
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            bytes: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails the test unless it ended with 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.ended_with(0)
    }

    /// Fails the test unless it ended with this exit code.
    #[track_caller]
    pub fn ended_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Fails the test unless the message on stderr has every one of these words. Panics of the binary never pass.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        assert!(!self.stderr.contains("panicked"), "{self}");
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is missing in:\n{self}");
        }
        self
    }

    /// Fails the test unless the words are on stdout or stderr: for commands whose result is a finding.
    #[track_caller]
    pub fn shows(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stdout.contains(word) || self.stderr.contains(word), "{word:?} is missing in:\n{self}");
        }
        self
    }

    /// Standard output as the one JSON document that `--json` promises.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not one JSON document ({error}):\n{self}"))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "$ {}", self.command)?;
        match self.code {
            Some(code) => writeln!(formatter, "exit code {code}")?,
            None => writeln!(formatter, "ended by a signal")?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                write!(formatter, "── {name}\n{text}")?;
                if !text.ends_with('\n') {
                    writeln!(formatter, "⏎ (no line end)")?;
                }
            }
        }
        Ok(())
    }
}
