//! Tools the checks need and a fresh machine lacks: compiled in the background into `target/tools`.

use std::path::PathBuf;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};

use crate::{process, workspace};

/// A cargo subcommand, present or on its way.
#[derive(Debug)]
pub(super) enum Tool {
    /// Ready to run.
    Present(PathBuf),
    /// Being compiled.
    Installing { name: &'static str, cargo: Child, log: PathBuf },
}

impl Tool {
    /// Finds the tool on the search path or in `target/tools`; begins to install it when it is in neither.
    pub(super) fn start(name: &'static str) -> Result<Self> {
        let own = workspace::target().join("tools/bin").join(name);
        let on_path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&on_path).map(|directory| directory.join(name)).find(|file| file.is_file());
        if let Some(program) = found.or_else(|| own.is_file().then(|| own.clone())) {
            return Ok(Self::Present(program));
        }
        let root = workspace::target().join("tools");
        std::fs::create_dir_all(&root)?;
        let log = root.join(format!("{name}.log"));
        println!("{name} is missing: compiling it into {} meanwhile ({})", root.display(), log.display());
        let output = std::fs::File::create(&log)?;
        // What is built beside it is waited for sooner. Not optimised: it is compiled in a third of the time, and runs for
        // seconds.
        let cargo = process::tool("nice")
            .args(["-n", "19"])
            .arg(process::cargo().get_program())
            .args(["install", "--locked", "--quiet", "--debug", name, "--root"])
            .arg(&root)
            .current_dir(workspace::root())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .context("cannot start cargo install")?;
        Ok(Self::Installing { name, cargo, log })
    }

    /// Waits until it is there and answers the program.
    pub(super) fn finish(self) -> Result<PathBuf> {
        match self {
            Self::Present(program) => Ok(program),
            Self::Installing { name, mut cargo, log } => {
                println!("waiting for {name} …");
                let status = cargo.wait()?;
                ensure!(status.success(), "cargo install {name} ended with {status}; see {}", log.display());
                Ok(workspace::target().join("tools/bin").join(name))
            }
        }
    }
}
