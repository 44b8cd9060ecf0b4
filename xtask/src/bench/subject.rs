//! A repository and a home to measure in.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::section;
use crate::process;

/// Components given to one `peat extension add`: a command line has its limits.
const ADDED_AT_ONCE: usize = 26;

/// How often a process whose memory is measured is looked at.
const LOOK: Duration = Duration::from_millis(1);

/// The exit code of a method that failed.
const METHOD_FAILED: i32 = 1;

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

    /// Installs a component with these grants.
    pub(super) fn install(&self, component: &Path, grants: &[&str]) -> Result<()> {
        let file = component.to_string_lossy();
        self.peat(&[&["extension", "add", &*file], grants].concat())
    }

    /// Installs so many copies of a component that wants nothing, each under a name of its own and of at least so many bytes.
    pub(super) fn install_copies(&self, component: &Path, count: usize, bytes_each: usize) -> Result<()> {
        let bytes = std::fs::read(component)?;
        let directory = self.checkout.join("extensions");
        std::fs::create_dir_all(&directory)?;
        let mut files = Vec::with_capacity(count);
        for number in 1..=count {
            let file = directory.join(format!("copy-{number}.wasm"));
            let copy = section::renamed(&bytes, &format!("@bench/copy-{number}"))?;
            std::fs::write(&file, section::padded(copy, bytes_each))?;
            files.push(file.to_string_lossy().into_owned());
        }
        for some in files.chunks(ADDED_AT_ONCE) {
            self.peat(&[&["extension", "add"], &*some.iter().map(String::as_str).collect::<Vec<_>>()].concat())?;
        }
        Ok(())
    }

    /// Grants something to each of so many copies.
    pub(super) fn grant_to_copies(&self, count: usize) -> Result<()> {
        let file = self.checkout.join("peat.yaml");
        let mut text = std::fs::read_to_string(&file)?;
        text.push_str("grants:\n");
        for number in 1..=count {
            text.push_str(&format!("  \"@bench/copy-{number}\":\n    files:\n      source: '.'\n"));
        }
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
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
        let mut command = self.command(arguments);
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

    /// What a command prints as JSON.
    pub(super) fn json(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = self.command(arguments);
        let output = command.arg("--json").output().context("cannot start peat")?;
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("`{}` printed no JSON", process::shown(&command)))
    }

    /// Runs a method that is bad, and answers how much memory the process had at most, in MiB. Fails unless it ended as a
    /// method that failed.
    pub(super) fn peak_mib_of_failure(&self, arguments: &[&str]) -> Result<f64> {
        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("cannot start peat")?;
        let status = format!("/proc/{}/status", child.id());
        let mut peak_kib = 0.0;
        // The peak never falls. A process that has ended is there until it is waited for, without memory.
        while let Some(now) = peak_kib_in(&std::fs::read_to_string(&status).unwrap_or_default()) {
            peak_kib = now;
            std::thread::sleep(LOOK);
        }
        let status = child.wait()?;
        ensure!(status.code() == Some(METHOD_FAILED), "`{}` ended with {status}", process::shown(&command));
        Ok(peak_kib / 1024.0)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.peat);
        command.args(arguments).current_dir(&self.checkout).stdin(Stdio::null());
        command.env("PEAT_HOME", &self.home).env("PEAT_CACHE_DIR", &self.cache);
        command
    }
}

fn peak_kib_in(status: &str) -> Option<f64> {
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
}
