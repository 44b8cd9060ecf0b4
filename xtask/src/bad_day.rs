//! `cargo xtask bad-day`: builds everything that a bad day needs and lives through one (`tests/bad_day`).

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::peat::{self, Build};
use crate::{guests, workspace};

/// Passes `arguments` on to the day, which explains them.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let binary = peat::build_with(Build::Development, &["bad-day"])?;
    guests::build(&guests::Options::default())?;
    let mut command = Command::new(binary.with_file_name("bad-day"));
    let status =
        command.args(arguments).current_dir(workspace::root()).status().context("the bad day could not be started")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
