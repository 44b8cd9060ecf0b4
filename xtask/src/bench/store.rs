//! `cargo xtask bench store`: builds the release binary and the components, and has the program of `tests/benchmark` measure
//! them.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::{guests, peat, workspace};

/// The program that measures.
const PROGRAM: &str = "store-benchmark";

/// Tells it which `peat` to run.
const BINARY_VARIABLE: &str = "PEAT_TEST_BINARY";

/// Passes `arguments` on to the program, which explains them. Its exit code is that of the command.
pub(super) fn run(arguments: &[String]) -> Result<ExitCode> {
    guests::build(&guests::Options::default())?;
    println!("Building peat and {PROGRAM} (release)");
    let peat = peat::build_with(peat::Build::Release, &[PROGRAM])?;
    let directory = workspace::target().join("bench");
    // Its files lie on the disk that is measured, not in a file system that is in memory.
    let scratch = directory.join("scratch");
    std::fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    let mut command = Command::new(peat.with_file_name(PROGRAM));
    command.args(arguments).arg("--json").arg(directory.join("store.json"));
    command.env(BINARY_VARIABLE, &peat).env("TMPDIR", &scratch).current_dir(workspace::root());
    let status = command.status().with_context(|| format!("cannot start {PROGRAM}"))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
