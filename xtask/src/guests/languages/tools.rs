//! Tools from the Python package index and from crates.io, each in a directory of its own under `target/tools`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::{process, workspace};

/// The generator of bindings for C. A program, not a library: what its crates want of their dependencies would change what
/// the whole workspace is built of.
const WIT_BINDGEN: &str = "wit-bindgen-cli@0.63.0";

/// Where the Python package (`name==version`) is.
pub(super) fn package_directory(package: &str) -> PathBuf {
    workspace::target().join("tools").join(package.replace("==", "-"))
}

/// The directory of the Python package (`name==version`), installed where it is not there yet.
pub(super) fn install_package(package: &str) -> Result<PathBuf> {
    let directory = package_directory(package);
    if directory.is_dir() {
        return Ok(directory);
    }
    let has_pip = python().args(["-m", "pip", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ensure!(
        has_pip.is_ok_and(|status| status.success()),
        "{package} is installed by Python's pip, which is not there; run: sudo apt-get install python3-pip"
    );
    eprintln!("installing {package} into {}", directory.display());
    // Under its name it is whole or not there.
    let unfinished = directory.with_extension("unfinished");
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished)?;
    }
    let mut pip = python();
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--only-binary",
        ":all:",
    ]);
    // It goes to a directory of its own, whoever we are.
    pip.arg("--root-user-action=ignore").arg("--target").arg(&unfinished).arg(package).stdin(Stdio::null());
    process::run(&mut pip).with_context(|| format!("cannot install {package}"))?;
    std::fs::rename(&unfinished, &directory)?;
    Ok(directory)
}

/// Compiles `wit-bindgen` where it is not there yet.
pub(super) fn install_wit_bindgen() -> Result<()> {
    if wit_bindgen().is_file() {
        return Ok(());
    }
    eprintln!("compiling {WIT_BINDGEN} into {}", wit_bindgen_directory().display());
    let mut cargo = process::cargo();
    // Not optimised: it is compiled in a third of the time, and runs for a moment.
    cargo.args(["install", "--locked", "--quiet", "--debug", WIT_BINDGEN, "--no-default-features", "--features", "c"]);
    cargo.arg("--root");
    cargo.arg(wit_bindgen_directory()).current_dir(workspace::root()).stdin(Stdio::null());
    process::run(&mut cargo).with_context(|| format!("cannot install {WIT_BINDGEN}"))
}

/// Where `wit-bindgen` is.
pub(super) fn wit_bindgen() -> PathBuf {
    wit_bindgen_directory().join("bin/wit-bindgen")
}

fn wit_bindgen_directory() -> PathBuf {
    workspace::target().join("tools").join(WIT_BINDGEN.replace('@', "-"))
}

/// The Python interpreter.
pub(super) fn python() -> Command {
    Command::new("python3")
}
