//! What runs containers on this machine: found by running one, and remembered until something of it changes.
//!
//! What a runtime says of itself is no proof. Podman with crun, for one, fails on a machine with cgroups of version 1, where
//! it works with runc; so every way is tried with all limits, and only then without.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use peat_core::repository::{ContainerRuntime, Driver, DriverOptions, DriverSource, ResolvedDriver};
use peat_wasm::LaunchError;
use serde::{Deserialize, Serialize};

use super::super::guarded::Guard;
use super::super::program::{find, fingerprint, guarded_output};
use super::super::runner_file::RunnerFile;
use super::arguments::Container;
use super::found::{Found, LimitsHere, Oci};
use super::image::image_of;
use crate::composition::{create_private_directory, read_text_if_there, write_atomically};

/// How long a container that prints a line may take, on a machine that is busy.
const TRY_TIMEOUT: Duration = Duration::from_secs(60);

/// Largest file of what is remembered, in bytes: it has two entries.
const REMEMBERED_BYTES_MAX: u64 = 64 * 1024;

/// What runs containers here, as far as somebody has asked.
#[derive(Debug, Clone)]
pub(crate) struct Runtimes {
    runner: RunnerFile,
    /// Lies where only this user can write: what is remembered decides what is run.
    file: PathBuf,
    known: Arc<Mutex<BTreeMap<&'static str, Found>>>,
}

/// One way to run a container, and what came of it.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// The runtime.
    pub(crate) runtime: ContainerRuntime,
    /// The OCI runtime it was told to use.
    pub(crate) oci: Option<Oci>,
    /// Why it does not work.
    pub(crate) problem: Option<String>,
}

/// Everything that was tried.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// In order.
    pub(crate) attempts: Vec<Attempt>,
    /// What worked.
    pub(crate) found: Option<Found>,
}

/// What is remembered of one runtime.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    /// Of its program and of the runner.
    fingerprint: String,
    oci: Option<Oci>,
    limits: LimitsHere,
    image: String,
}

impl Runtimes {
    /// Remembers in `file`. Touches nothing.
    pub(crate) fn new(runner: RunnerFile, file: PathBuf) -> Self {
        Self { runner, file, known: Arc::default() }
    }

    /// The wanted runtime, or Podman, or Docker, in a way that works. Looks for it where nothing is remembered.
    pub(crate) async fn found(&self, wanted: Option<ContainerRuntime>) -> Result<Found, LaunchError> {
        let runner = self.runner.find()?;
        for runtime in candidates(wanted) {
            if let Some(found) = self.remembered(runtime, &runner) {
                return Ok(found);
            }
        }
        let search = self.look(wanted).await?;
        search.found.ok_or_else(|| {
            let reasons = search.attempts.iter().filter_map(|attempt| {
                Some(format!("{}: {}", attempt.name(), attempt.problem.as_deref()?))
            });
            let reasons: Vec<String> = reasons.collect();
            LaunchError(format!(
                "no container can be run on this machine; install Podman (and runc, where cgroups have version 1), or use \
                 the driver process. {}",
                reasons.join("; ")
            ))
        })
    }

    /// Tries everything, whatever is remembered, and remembers what works.
    pub(crate) async fn look(&self, wanted: Option<ContainerRuntime>) -> Result<Search, LaunchError> {
        let runner = self.runner.find()?;
        let mut search = Search::default();
        for runtime in candidates(wanted) {
            search.runtime(runtime, &runner).await;
            if let Some(found) = &search.found {
                self.remember(found, &runner);
                break;
            }
        }
        Ok(search)
    }

    /// Looks again the next time.
    pub(crate) fn forget(&self) {
        self.known().clear();
        if let Err(error) = std::fs::remove_file(&self.file) {
            tracing::debug!(%error, "what runs containers was not remembered");
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Found>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self, runtime: ContainerRuntime, runner: &Path) -> Option<Found> {
        if let Some(found) = self.known().get(runtime.as_str()) {
            return Some(found.clone());
        }
        let program = find(runtime.as_str())?;
        let Remembered { oci, limits, image, .. } = self
            .read()
            .remove(runtime.as_str())
            .filter(|remembered| remembered.fingerprint == fingerprint_of(&program, runner))?;
        let found = Found { runtime, program, oci, limits, image };
        self.known().insert(runtime.as_str(), found.clone());
        Some(found)
    }

    fn read(&self) -> BTreeMap<String, Remembered> {
        let text = read_text_if_there(&self.file, REMEMBERED_BYTES_MAX).ok().flatten();
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Where it cannot be written, the next process looks again.
    fn remember(&self, found: &Found, runner: &Path) {
        self.known().insert(found.runtime.as_str(), found.clone());
        let remembered = Remembered {
            fingerprint: fingerprint_of(&found.program, runner),
            oci: found.oci,
            limits: found.limits,
            image: found.image.clone(),
        };
        let mut all = self.read();
        all.insert(found.runtime.as_str().to_owned(), remembered);
        let text = serde_json::to_vec(&all).expect("strings and booleans always serialise");
        let written = self
            .file
            .parent()
            .map_or(Ok(()), create_private_directory)
            .and_then(|()| write_atomically(&self.file, &text));
        if let Err(error) = written {
            tracing::debug!(%error, "what runs containers is not remembered");
        }
    }
}

impl Search {
    async fn runtime(&mut self, runtime: ContainerRuntime, runner: &Path) {
        let mut note = |oci, problem| self.attempts.push(Attempt { runtime, oci, problem });
        let Some(program) = find(runtime.as_str()) else { return note(None, Some("it is not installed".to_owned())) };
        let image = match image_of(&program, runner).await {
            Ok(image) => image,
            Err(problem) => return note(None, Some(problem)),
        };
        let ways: Vec<Option<Oci>> = match runtime {
            ContainerRuntime::Podman => std::iter::once(None).chain(Oci::ALL.map(Some)).collect(),
            ContainerRuntime::Docker => vec![None],
        };
        for limits in [LimitsHere::ALL, LimitsHere::NONE] {
            for oci in &ways {
                let image = image.clone();
                let found = Found { runtime, program: program.clone(), oci: *oci, limits, image };
                let outcome = works(&found).await;
                // What it says without limits says less.
                if limits == LimitsHere::ALL || outcome.is_ok() {
                    self.attempts.push(Attempt { runtime, oci: *oci, problem: outcome.clone().err() });
                }
                if outcome.is_ok() {
                    self.found = Some(found);
                    return;
                }
            }
        }
    }
}

impl Attempt {
    /// For people.
    pub(crate) fn name(&self) -> String {
        match self.oci {
            None => self.runtime.as_str().to_owned(),
            Some(oci) => format!("{} with {}", self.runtime.as_str(), oci.as_str()),
        }
    }
}

fn candidates(wanted: Option<ContainerRuntime>) -> Vec<ContainerRuntime> {
    wanted.map_or_else(|| ContainerRuntime::ALL.to_vec(), |wanted| vec![wanted])
}

/// Runs the runner in a container as it would be run for a guest; it prints its version.
async fn works(found: &Found) -> Result<(), String> {
    // Every limit that there is must be possible.
    let options = DriverOptions { cpus: found.limits.cpus.then_some(1.0), ..DriverOptions::default() };
    let driver = ResolvedDriver { driver: Driver::Container, source: DriverSource::Default, options };
    let mut container = Container::of_runner(found, &driver);
    container.argument("--version");
    let guard = Guard::start(&found.removal(container.name())).map_err(|error| error.to_string())?;
    let printed = guarded_output(container.command(), Some(guard), &[], TRY_TIMEOUT).await?;
    if printed.starts_with("peat-runner ") { Ok(()) } else { Err(format!("the runner in it printed {printed:?}")) }
}

fn fingerprint_of(program: &Path, runner: &Path) -> String {
    [fingerprint(program), fingerprint(runner), env!("CARGO_PKG_VERSION").to_owned()].join(" ")
}
