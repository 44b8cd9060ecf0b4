//! Where extensions run: the drivers, what each of them starts, and how it is taken away again.
//!
//! A driver starts runners ([`peat_wasm::Launcher`]); what is said to them is no concern of it. Deliberately absent: the
//! choice of a driver (`peat_core::repository::ResolvedDriver`) and what a runner gives up itself (`host/runner`).

mod container;
mod guarded;
mod probe;
mod process;
mod program;
mod runner_file;
mod streams;

use std::path::PathBuf;
use std::sync::Arc;

use peat_core::ports::Observer;
use peat_core::repository::{Driver, ResolvedDriver};
use peat_wasm::Launcher;

pub(crate) use container::{Attempt, ContainerShell, Runtimes};
pub(crate) use guarded::Guarded;
pub(crate) use probe::Probe;
pub(crate) use runner_file::RunnerFile;

use container::ContainerLauncher;
use process::ProcessLauncher;

/// What drivers are made of on this machine. Making it costs nothing.
#[derive(Clone)]
pub(crate) struct Isolation {
    runner: RunnerFile,
    runtimes: Runtimes,
}

impl Isolation {
    /// `runner` is PEAT_RUNNER, `memory` where it is kept what containers can do here.
    pub(crate) fn new(runner: Option<PathBuf>, memory: PathBuf) -> Self {
        let runner = RunnerFile::new(runner);
        Self { runtimes: Runtimes::new(runner.clone(), memory), runner }
    }

    /// The runner of this installation.
    pub(crate) fn runner(&self) -> &RunnerFile {
        &self.runner
    }

    /// What runs containers here.
    pub(crate) fn runtimes(&self) -> &Runtimes {
        &self.runtimes
    }

    /// What starts runners by this driver; none where there is nothing to start.
    pub(crate) fn launcher(&self, driver: &ResolvedDriver, observer: Arc<dyn Observer>) -> Option<Arc<dyn Launcher>> {
        match driver.driver {
            Driver::InProcess => None,
            Driver::Process => Some(Arc::new(ProcessLauncher::new(self.runner.clone(), driver.memory()))),
            Driver::Container => {
                Some(Arc::new(ContainerLauncher::new(self.runtimes.clone(), driver.clone(), observer)))
            }
        }
    }

    /// Where shell commands run that are to run in a container.
    pub(crate) fn shell(
        &self,
        driver: &ResolvedDriver,
        root: PathBuf,
        observer: Arc<dyn Observer>,
    ) -> Option<ContainerShell> {
        let image = driver.options.image.clone()?;
        Some(ContainerShell::new(self.runtimes.clone(), driver.clone(), image, root, observer))
    }
}
