//! A machine of the demo: a home and a checkout of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process;

/// Where `peat` runs as on a machine of its own.
#[derive(Debug)]
pub(super) struct Machine {
    name: &'static str,
    peat: PathBuf,
    home: PathBuf,
    checkout: PathBuf,
}

impl Machine {
    /// Makes its directories below `directory`.
    pub(super) fn new(name: &'static str, peat: &Path, directory: &Path) -> Result<Self> {
        let (home, checkout) = (directory.join("home"), directory.join("checkout"));
        for directory in [&home, &checkout] {
            std::fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
        }
        Ok(Self { name, peat: peat.to_owned(), home, checkout })
    }

    /// First word of its name.
    pub(super) fn word(&self) -> &str {
        self.name.split(' ').next().unwrap_or_default()
    }

    /// Its checkout of the repository.
    pub(super) fn checkout(&self) -> &Path {
        &self.checkout
    }

    /// Prints the command, then runs it with this terminal.
    pub(super) fn peat<S: AsRef<str>>(&self, arguments: &[S]) -> Result<()> {
        let mut command = self.command(arguments);
        println!("\n{} $ {}", self.name, process::shown(&command).replacen(&*self.peat.to_string_lossy(), "peat", 1));
        process::run(&mut command)
    }

    /// Runs a command without showing it, unless it fails.
    pub(super) fn quietly(&self, arguments: &[&str]) -> Result<()> {
        let mut command = self.command(arguments);
        let output = command.stdin(Stdio::null()).output().context("cannot start peat")?;
        if !output.status.success() {
            bail!("`{}`: {}", process::shown(&command), String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    fn command<S: AsRef<str>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(&self.peat);
        command.args(arguments.iter().map(AsRef::as_ref)).current_dir(&self.checkout);
        // What the operator of this machine has set for other repositories is none of the demo's business.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PEAT_") {
                command.env_remove(name);
            }
        }
        command.env("PEAT_HOME", &self.home).env("PEAT_CACHE_DIR", self.home.join("cache"));
        command
    }
}
