//! `peat completions`.

use clap::CommandFactory as _;
use clap_complete::Shell;
use peat_core::content::in_memory;
use serde_json::json;

use crate::arguments::Cli;
use crate::rendering::{Answer, Page};

/// Prints the completions of a shell.
pub(super) fn print(shell: Shell) -> Answer {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "peat", &mut script);
    let text = String::from_utf8_lossy(&script).into_owned();
    let json = json!({ "shell": shell.to_string(), "script": text });
    Answer::new(json, Page::default()).with_content(in_memory(script), true)
}
