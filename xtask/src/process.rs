//! Running other programs, loudly when they fail.

use std::ffi::OsStr;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a process with a deadline is looked after.
const POLL: Duration = Duration::from_millis(100);

/// A command as a person would type it, for messages.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

/// The cargo that runs this command, or the one on the search path. Asked for when it is needed: the toolchain that
/// compiled this program may be gone.
pub(crate) fn cargo() -> Command {
    tool(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A program that may run cargo. It does not see what cargo told *this* program about its package: build scripts that look
/// at such variables (the one of `ring` does) would run again, and all that depends on them be compiled again, after every
/// change between `cargo build` and `cargo xtask`.
pub(crate) fn tool(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let of_this_package = |name: &str| {
            ["CARGO_PKG_", "CARGO_BIN_", "CARGO_MANIFEST_"].iter().any(|prefix| name.starts_with(prefix))
                || ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"].contains(&name)
        };
        if name.to_str().is_some_and(of_this_package) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs to the end with this terminal. An exit code other than 0 is an error that names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs to the end with this terminal. An error when that does not come before `deadline`: then the command is ended.
pub(crate) fn status_before(command: &mut Command, deadline: Option<Instant>) -> Result<ExitStatus> {
    let mut child = command.spawn().with_context(|| format!("cannot start `{}`", shown(command)))?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            child.kill()?;
            child.wait()?;
            bail!("`{}` took too long and was ended", shown(command));
        }
        std::thread::sleep(POLL);
    }
}

/// Runs to the end and answers what it wrote to standard output; standard error goes to this terminal.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !output.status.success() {
        bail!("`{}` ended with {}:\n{}", shown(command), output.status, String::from_utf8_lossy(&output.stdout));
    }
    Ok(output.stdout)
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |character: char| character.is_alphanumeric() || "-_./=:@,+%".contains(character);
    if !word.is_empty() && word.chars().all(plain) { word.into_owned() } else { format!("'{word}'") }
}
