//! The driver `container`: a runner in a container without a network, from an image that holds nothing else.

mod arguments;
mod found;
mod image;
mod runtimes;
mod shell;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;
use peat_core::identifiers::GrantName;
use peat_core::ports::Observer;
use peat_core::repository::ResolvedDriver;
use peat_wasm::{Confinement, LaunchError, LaunchRequest, LaunchedRunner, Launcher, RunnerProcess};

use self::arguments::Container;
use self::found::Found;
use super::guarded::{Guard, Guarded};
use super::process::OPEN_FILES_MAX;
use super::streams::{Complaint, Streams};
use crate::child_process::{ChildProcess, Ended, WithoutHost};

pub(crate) use runtimes::{Attempt, Runtimes};
pub(crate) use shell::ContainerShell;

/// Where a runner finds its bundle.
const BUNDLE: &str = "/bundle";

/// Below it a runner finds the granted directories.
const GRANTED: &str = "/granted";

/// With it runtimes end when they could not do what they were asked to, whatever the container would have said.
const RUNTIME_FAILED: Ended = Ended::Status(125);

/// Starts runners in containers.
pub(super) struct ContainerLauncher {
    runtimes: Runtimes,
    driver: ResolvedDriver,
    observer: Arc<dyn Observer>,
}

impl ContainerLauncher {
    /// With what runs containers here, within what the driver says.
    pub(super) fn new(runtimes: Runtimes, driver: ResolvedDriver, observer: Arc<dyn Observer>) -> Self {
        Self { runtimes, driver, observer }
    }
}

impl fmt::Debug for ContainerLauncher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ContainerLauncher").field("driver", &self.driver).finish_non_exhaustive()
    }
}

#[async_trait]
impl Launcher for ContainerLauncher {
    fn name(&self) -> &'static str {
        "container"
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchedRunner, LaunchError> {
        let found = usable(&self.runtimes, &self.driver, &*self.observer).await?;
        let directories: BTreeMap<GrantName, PathBuf> =
            request.directories.keys().map(|name| (name.clone(), Path::new(GRANTED).join(name.as_str()))).collect();
        let mut container = Container::of_runner(&found, &self.driver);
        container.mount(&request.bundle.directory, Path::new(BUNDLE))?;
        for (name, inside) in &directories {
            container.mount(&request.directories[name], inside)?;
        }
        let mut process = start(&found, container)?;
        let Streams { input, output, complaint } = Streams::of(&mut process, found.runtime.as_str())?;
        Ok(LaunchedRunner {
            input: Box::new(input),
            output: Box::new(output),
            process: Box::new(ContainerRunner { process, complaint, found, runtimes: self.runtimes.clone() }),
            bundle: PathBuf::from(BUNDLE),
            directories,
            confinement: Confinement {
                // The container is one.
                namespaces: false,
                landlock: true,
                seccomp: true,
                // Beside the limit of the container: where the machine cannot give it one, this holds.
                writable_bytes: Some(self.driver.memory()),
                open_files: Some(OPEN_FILES_MAX),
                processor_seconds: None,
            },
        })
    }
}

/// What runs containers here, if it can do what the driver wants. What was only a default and cannot be had is a warning.
async fn usable(runtimes: &Runtimes, driver: &ResolvedDriver, observer: &dyn Observer) -> Result<Found, LaunchError> {
    let found = runtimes.found(driver.options.runtime).await?;
    let wanted = [
        ("memory", found.limits.memory, driver.options.memory.is_some()),
        ("cpus", found.limits.cpus, driver.options.cpus.is_some()),
        ("pids", found.limits.pids, driver.options.pids.is_some()),
    ];
    for (option, possible, asked) in wanted {
        if !possible && asked {
            return Err(LaunchError(format!(
                "{} cannot limit {option} of a container on this machine (no cgroup controller for it); take the option \
                 {option} of the driver container away, or use another machine",
                found.runtime.as_str()
            )));
        }
    }
    if !found.limits.memory || !found.limits.pids {
        observer.warn(&format!(
            "{} cannot limit containers on this machine (no cgroup controllers); what the runner limits itself holds",
            found.runtime.as_str()
        ));
    }
    Ok(found)
}

/// Starts the client of a container, and the guard that takes the container away.
fn start(found: &Found, container: Container<'_>) -> Result<Guarded, LaunchError> {
    let failed = |error: std::io::Error| LaunchError(format!("{} cannot be started: {error}", found.runtime.as_str()));
    let guard = Guard::start(&found.removal(container.name())).map_err(failed)?;
    let mut command = container.command();
    command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let client = ChildProcess::start(command, WithoutHost::Ends).map_err(failed)?;
    Ok(Guarded::with(client, guard))
}

/// A runner that is a container, as its client sees it.
struct ContainerRunner {
    process: Guarded,
    complaint: Complaint,
    found: Found,
    runtimes: Runtimes,
}

#[async_trait]
impl RunnerProcess for ContainerRunner {
    async fn ended(&mut self) -> String {
        let ended = self.process.child.end().await;
        let how = self.complaint.after(&ended).await;
        match ended {
            Ok(RUNTIME_FAILED) => {
                // Somebody may have removed the image, or changed the runtime: the next run looks again.
                self.runtimes.forget();
                format!(
                    "{} could not run the container, {how}; try again, or see `peat doctor`",
                    self.found.runtime.as_str()
                )
            }
            _ => how,
        }
    }
}
