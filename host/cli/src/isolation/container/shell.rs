//! `command/shell` in a container: the command in an image of the operator's choice, and the repository to be read.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use peat_core::ports::Observer;
use peat_core::repository::ResolvedDriver;
use peat_wasm::LaunchError;

use super::arguments::Container;
use super::{RUNTIME_FAILED, Runtimes, start, usable};
use crate::child_process::Ended;
use crate::isolation::Guarded;
use crate::shell::ShellCommand;

/// Where a command finds the repository.
const REPOSITORY: &str = "/repository";

/// Where a command may write, in memory.
const SCRATCH: &str = "/tmp";

/// Runs shell commands in containers.
pub(crate) struct ContainerShell {
    runtimes: Runtimes,
    driver: ResolvedDriver,
    image: String,
    root: PathBuf,
    observer: Arc<dyn Observer>,
}

impl ContainerShell {
    /// Commands of the repository at `root`, in `image`.
    pub(in crate::isolation) fn new(
        runtimes: Runtimes,
        driver: ResolvedDriver,
        image: String,
        root: PathBuf,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self { runtimes, driver, image, root, observer }
    }

    /// Starts a command. An image that is not here is fetched by the runtime first.
    pub(crate) async fn start(&self, command: &ShellCommand) -> Result<Guarded, LaunchError> {
        let found = usable(&self.runtimes, &self.driver, &*self.observer).await?;
        let mut container = Container::new(&found, &self.driver, self.image.clone(), self.driver.network());
        container.mount(&self.root, Path::new(REPOSITORY))?;
        let below = command.directory.strip_prefix(&self.root).unwrap_or(Path::new(""));
        let directory = Path::new(REPOSITORY).join(below);
        let Some(directory) = directory.to_str() else {
            let directory = command.directory.display();
            return Err(LaunchError(format!("the path of {directory} is not text; rename it, or run on the host")));
        };
        container.option("--workdir", directory);
        container.option("--tmpfs", SCRATCH);
        // Only names: the values go from the environment of this process to the client and never stand in a command line.
        for (name, _) in command.environment.iter().filter(|(name, _)| name != "PATH") {
            container.option("--env", name);
        }
        container.option("--entrypoint", "/bin/sh");
        container.argument("-c");
        container.argument(&command.run);
        let mut process = start(&found, container)?;
        // A command has no input.
        process.child.stdin = None;
        Ok(process)
    }

    /// Whether a command ended because the runtime could not run it.
    pub(crate) fn failed_to_run(&self, ended: Ended) -> bool {
        if ended == RUNTIME_FAILED {
            self.runtimes.forget();
        }
        ended == RUNTIME_FAILED
    }
}

impl fmt::Debug for ContainerShell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ContainerShell").field("image", &self.image).finish_non_exhaustive()
    }
}
