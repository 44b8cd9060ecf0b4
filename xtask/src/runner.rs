//! `cargo xtask runner`: builds the executable that runs guests outside of `peat`, and puts it beside `peat`.
//!
//! It is statically linked, because an image with nothing else in it has no library, and has no compiler in it. Both need a
//! Cargo call of their own, for a named target: the flags and features of the workspace's own build stay as they are, and
//! nothing of that is compiled again.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::peat::Build;
use crate::{process, workspace};

/// What it is called beside `peat`. (The package's own binary has another name: a build of the whole workspace makes one that
/// is neither static nor small.)
const NAME: &str = "peat-runner";

/// Reads the arguments of the command.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let build = match arguments {
        [] => Build::Development,
        [option] if option == "--release" => Build::Release,
        _ => bail!("write `cargo xtask runner` or `cargo xtask runner --release`"),
    };
    println!("{}", self::build(build)?.display());
    Ok(())
}

/// Builds it and answers where it lies.
pub(crate) fn build(build: Build) -> Result<PathBuf> {
    let target = host_target()?;
    let mut command = process::cargo();
    command.args(["build", "--locked", "--package", NAME, "--target", &target]).current_dir(workspace::root());
    command.env("RUSTFLAGS", "-C target-feature=+crt-static").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let profile = match build {
        Build::Development => "runner",
        Build::Release => "release",
    };
    process::run(command.args(["--profile", profile]))?;
    let built = workspace::target().join(&target).join(profile).join("runner");
    let directory = workspace::target().join(build.directory());
    let runner = directory.join(NAME);
    std::fs::create_dir_all(directory)?;
    put_in_place(&built, &runner)?;
    Ok(runner)
}

/// The runner of the tests: the static one where containers can be run, which need it. Otherwise the one of the workspace's
/// own build, which costs nothing: it runs as a process, though not in a container.
pub(crate) fn for_tests() -> Result<PathBuf> {
    if answers("podman", "--version") || answers("docker", "info") {
        return build(Build::Development);
    }
    let mut command = process::cargo();
    process::run(command.args(["build", "--locked", "--workspace", "--bin", "runner"]).current_dir(workspace::root()))?;
    let directory = workspace::target().join(Build::Development.directory());
    put_in_place(&directory.join("runner"), &directory.join(NAME))?;
    Ok(directory.join(NAME))
}

fn answers(program: &str, question: &str) -> bool {
    Command::new(program).arg(question).output().is_ok_and(|output| output.status.success())
}

/// Who runs it goes on with the one it has; nobody finds half of one.
fn put_in_place(built: &Path, runner: &Path) -> Result<()> {
    let unfinished = runner.with_extension("unfinished");
    std::fs::copy(built, &unfinished).with_context(|| format!("cannot copy {}", built.display()))?;
    std::fs::rename(&unfinished, runner).with_context(|| format!("cannot write {}", runner.display()))
}

/// What this machine is called by the compiler.
fn host_target() -> Result<String> {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let said = process::output(rustc.arg("-vV").current_dir(workspace::root()))?;
    let said = String::from_utf8_lossy(&said).into_owned();
    let host = said.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc -vV names no host")?;
    Ok(host.to_owned())
}
