//! The binary `peat`: from the command line to an exit code.
//!
//! Arguments become an answer in `commands`, put together by `composition`, printed by `rendering`; `failure` maps every
//! error to its exit code. Deliberately absent: anything that could be of use without a terminal (`peat-core`).

mod arguments;
mod child_process;
mod commands;
mod composition;
mod environment;
mod exit_code;
mod failure;
mod input;
mod isolation;
mod panic;
mod rendering;
mod shell;
mod tracing_output;

use std::ffi::OsString;
use std::process::ExitCode as ProcessExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use arguments::Cli;
use composition::{Context, Recorder};
use environment::Environment;
use exit_code::ExitCode;
use failure::Failure;
use rendering::{Answer, Screen};

fn main() -> ProcessExitCode {
    panic::install();
    let words: Vec<OsString> = std::env::args_os().collect();
    let code = match Cli::try_parse_from(&words) {
        Ok(cli) => run(cli, &words),
        Err(error) => usage(&error, words.iter().any(|word| word == "--json")),
    };
    ProcessExitCode::from(code.number())
}

fn run(cli: Cli, words: &[OsString]) -> ExitCode {
    if cli.global.json {
        panic::tell_as_json();
    }
    let screen = Screen::new(&cli.global, environment::no_colour());
    let recorder = Recorder::begin();
    let code = match answer(cli, screen, words, &recorder) {
        Ok(answer) => screen.answer(&answer),
        Err(failure) => screen.failure(&failure),
    };
    recorder.finish(code);
    code
}

fn answer(cli: Cli, screen: Screen, words: &[OsString], recorder: &Recorder) -> Result<Answer, Failure> {
    tracing_output::start(cli.global.verbose, environment::log_filter())?;
    let chosen = cli.global.repo;
    commands::dispatch(cli.command, || {
        let environment = Environment::read()?;
        let (command, recorder) = (composition::command_line(words), recorder.clone());
        Ok(Context { screen, environment, chosen, command, recorder })
    })
}

/// Help goes to stdout, mistakes of usage to stderr, or as JSON to stdout.
fn usage(error: &clap::Error, json: bool) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that goes away is no error.
            let _ = error.print();
            ExitCode::Ok
        }
        _ if json => {
            let text = error.render().to_string();
            let message = text.trim().trim_start_matches("error: ");
            Screen::bare(true).error(ExitCode::InvalidInput, message)
        }
        _ => {
            let _ = error.print();
            ExitCode::InvalidInput
        }
    }
}
