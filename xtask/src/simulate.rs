//! `cargo xtask simulate`: builds the simulation of `tests/faults` and runs as many schedules as asked for.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::workspace;

/// Passes `arguments` on to the simulation, which explains them.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["run", "--quiet", "--locked", "--package", "peat-fault-tests", "--bin", "simulate", "--"]);
    let status =
        command.args(arguments).current_dir(workspace::root()).status().context("cargo could not be started")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
