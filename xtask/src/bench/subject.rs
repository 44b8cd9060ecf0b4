//! A repository and a home to measure in.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::section;
use crate::process;

/// Components given to one `peat extension add`: a command line has its limits.
const ADDED_AT_ONCE: usize = 26;

/// What is measured, on a machine of its own.
#[derive(Debug)]
pub(super) struct Subject {
    peat: PathBuf,
    home: PathBuf,
    cache: PathBuf,
    checkout: PathBuf,
}

impl Subject {
    /// A new repository below `directory`, worked on with the binary `peat`.
    pub(super) fn new(peat: &Path, directory: &Path) -> Result<Self> {
        let subject = Self {
            peat: peat.to_owned(),
            home: directory.join("home"),
            cache: directory.join("cache"),
            checkout: directory.join("checkout"),
        };
        std::fs::create_dir_all(&subject.checkout)?;
        subject.peat(&["repo", "init"])?;
        Ok(subject)
    }

    /// Installs a component with what it may want.
    pub(super) fn install(&self, component: &Path) -> Result<()> {
        self.peat(&["extension", "add", &component.to_string_lossy()])
    }

    /// Installs so many copies of a component, each under a name of its own.
    pub(super) fn install_copies(&self, component: &Path, count: usize) -> Result<()> {
        let bytes = std::fs::read(component)?;
        let directory = self.checkout.join("extensions");
        std::fs::create_dir_all(&directory)?;
        let mut files = Vec::with_capacity(count);
        for number in 1..=count {
            let file = directory.join(format!("copy-{number}.wasm"));
            std::fs::write(&file, section::renamed(&bytes, &format!("@bench/copy-{number}"))?)?;
            files.push(file.to_string_lossy().into_owned());
        }
        for some in files.chunks(ADDED_AT_ONCE) {
            let mut arguments = vec!["extension", "add"];
            arguments.extend(some.iter().map(String::as_str));
            arguments.extend(["--grant", "files:source=."]);
            self.peat(&arguments)?;
        }
        Ok(())
    }

    /// Forgets what was compiled.
    pub(super) fn forget_compiled(&self) -> Result<()> {
        match std::fs::remove_dir_all(&self.cache) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context("cannot empty the cache"),
            _ => Ok(()),
        }
    }

    /// Runs a command to its end.
    pub(super) fn peat(&self, arguments: &[&str]) -> Result<()> {
        self.time(arguments).map(drop)
    }

    /// Runs a command to its end and answers how long the whole process took.
    pub(super) fn time(&self, arguments: &[&str]) -> Result<Duration> {
        let mut command = Command::new(&self.peat);
        command.args(arguments).current_dir(&self.checkout).stdin(Stdio::null());
        command.env("PEAT_HOME", &self.home).env("PEAT_CACHE_DIR", &self.cache);
        let started = Instant::now();
        let output = command.output().context("cannot start peat")?;
        let took = started.elapsed();
        ensure!(
            output.status.success(),
            "`{}` ended with {}: {}",
            process::shown(&command),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(took)
    }
}
