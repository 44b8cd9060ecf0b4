//! Building the binary.

use std::path::PathBuf;

use anyhow::Result;

use crate::{process, workspace};

/// For development, or as it is shipped.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Build {
    /// What tests and the demo run.
    Development,
    /// What is measured.
    Release,
}

impl Build {
    /// Where Cargo puts it, below the build directory.
    pub(crate) fn directory(self) -> &'static str {
        match self {
            Self::Development => "debug",
            Self::Release => "release",
        }
    }
}

/// Builds `peat` and answers where it lies. The features of its dependencies are those of the whole workspace, as they are
/// for tests and lints: for one package alone Cargo would compile Wasmtime once more.
pub(crate) fn build(build: Build) -> Result<PathBuf> {
    build_with(build, &[])
}

/// The same, and other binaries of the workspace, which lie beside it.
pub(crate) fn build_with(build: Build, others: &[&str]) -> Result<PathBuf> {
    let mut command = process::cargo();
    command.args(["build", "--locked", "--workspace", "--bin", "peat"]).current_dir(workspace::root());
    command.args(others.iter().flat_map(|name| ["--bin", name]));
    if let Build::Release = build {
        command.arg("--release");
    }
    process::run(&mut command)?;
    Ok(workspace::target().join(build.directory()).join("peat"))
}
