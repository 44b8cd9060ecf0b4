//! Stdout and stderr: where answers and failures are printed.
//!
//! A reader that goes away (`peat … | head`) is no error: what is left is not printed, and the exit code stays.

use std::io::{self, IsTerminal as _, Write};

use peat_core::content::{self, SharedContent};

use super::Answer;
use super::page::Tone;
use super::plain_text::{one_line, without_controls};
use crate::arguments::{ColorChoice, GlobalArguments};
use crate::exit_code::ExitCode;
use crate::failure::{Failure, error_json};

/// Largest content printed on a terminal: nobody reads more there.
const TERMINAL_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Moves the cursor of a terminal to its beginning and clears it.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    json: bool,
    quiet: bool,
    out_colour: bool,
    error_colour: bool,
}

impl Screen {
    /// As the command line and the terminal want it; `no_colour`: NO_COLOR is set.
    pub(crate) fn new(global: &GlobalArguments, no_colour: bool) -> Self {
        let colour = |terminal: bool| match global.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => terminal && !no_colour,
        };
        Self {
            json: global.json,
            quiet: global.quiet,
            out_colour: colour(io::stdout().is_terminal()),
            error_colour: colour(io::stderr().is_terminal()),
        }
    }

    /// For a command line that could not be read.
    pub(crate) fn bare(json: bool) -> Self {
        Self { json, quiet: false, out_colour: false, error_colour: false }
    }

    /// Whether answers are JSON documents.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Whether progress may be shown.
    pub(crate) fn shows_progress(self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// The same without progress and hints.
    pub(crate) fn quiet(self) -> Self {
        Self { quiet: true, ..self }
    }

    /// Prints what something that is watched looks like now: a line of JSON, or a page that takes the place of the one before
    /// on a terminal. Answers whether anybody is there to read it.
    pub(crate) fn frame(self, answer: &Answer) -> Result<bool, Failure> {
        let mut out = io::stdout().lock();
        let text = match (self.json, io::stdout().is_terminal()) {
            (true, _) => format!("{}\n", answer.json),
            (false, true) => format!("{CLEAR}{}", answer.page.text(self.out_colour)),
            (false, false) => format!("{}\n", answer.page.text(self.out_colour)),
        };
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(Failure::Internal(format!("cannot write to stdout: {error}"))),
        }
    }

    /// Prints an answer; answers how the process ends.
    pub(crate) fn answer(self, answer: &Answer) -> ExitCode {
        if answer.is_printed {
            return answer.exit_code;
        }
        match self.print(answer) {
            Ok(()) => answer.exit_code,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => answer.exit_code,
            Err(error) => self.failure(&Failure::Internal(format!("cannot write to stdout: {error}"))),
        }
    }

    /// Prints a failure; answers how the process ends.
    pub(crate) fn failure(self, failure: &Failure) -> ExitCode {
        self.error(failure.exit_code(), &failure.to_string())
    }

    /// Prints an error; answers how the process ends.
    pub(crate) fn error(self, code: ExitCode, message: &str) -> ExitCode {
        // Nobody is left to be told that telling failed.
        let _ = if self.json {
            print_json(&error_json(code, message))
        } else {
            let label = Tone::Bad.paint("error:", self.error_colour);
            writeln!(io::stderr().lock(), "{label} {}", without_controls(message))
        };
        code
    }

    /// Prints a warning to stderr.
    pub(crate) fn warn(self, message: &str) {
        let label = Tone::Attention.paint("warning:", self.error_colour);
        let _ = writeln!(io::stderr().lock(), "{label} {}", one_line(message));
    }

    fn print(self, answer: &Answer) -> io::Result<()> {
        if self.json {
            return print_json(&answer.json);
        }
        let mut out = io::stdout().lock();
        out.write_all(answer.page.text(self.out_colour).as_bytes())?;
        if let Some(content) = &answer.content {
            print_content(&mut out, content, answer.verbatim)?;
        }
        out.flush()?;
        drop(out);
        if let Some(complaint) = &answer.complaint {
            self.error(answer.exit_code, complaint);
        }
        if !self.quiet {
            let mut error = io::stderr().lock();
            for hint in answer.page.hints() {
                let _ = writeln!(error, "{}", Tone::Quiet.paint(hint, self.error_colour));
            }
        }
        Ok(())
    }
}

fn print_json(document: &serde_json::Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, document).map_err(io::Error::from)?;
    out.write_all(b"\n")?;
    out.flush()
}

fn print_content(out: &mut impl Write, content: &SharedContent, verbatim: bool) -> io::Result<()> {
    if verbatim || !io::stdout().is_terminal() {
        return content::walk(&**content, |bytes| out.write_all(bytes));
    }
    let shown = content::slice(content, 0, content.size().min(TERMINAL_BYTES_MAX)).unwrap_or_else(|| content.clone());
    let bytes = content::read_all(&*shown, TERMINAL_BYTES_MAX)?;
    let text = String::from_utf8_lossy(&bytes);
    out.write_all(without_controls(&text).as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    if content.size() > TERMINAL_BYTES_MAX {
        writeln!(out, "… {} bytes in all; use --output FILE", content.size())?;
    }
    Ok(())
}
