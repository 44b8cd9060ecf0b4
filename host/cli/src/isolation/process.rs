//! The driver `process`: a runner as a child of this process.

use std::process::{Command, Stdio};

use async_trait::async_trait;
use peat_wasm::{Confinement, LaunchError, LaunchRequest, LaunchedRunner, Launcher, RunnerProcess};

use super::guarded::Guarded;
use super::runner_file::RunnerFile;
use super::streams::{Complaint, Streams};
use crate::child_process::{ChildProcess, WithoutHost};

/// Most open files of a runner: what programs are given by default.
pub(super) const OPEN_FILES_MAX: u64 = 1024;

/// Starts runners as children.
#[derive(Debug)]
pub(super) struct ProcessLauncher {
    runner: RunnerFile,
    memory: u64,
}

impl ProcessLauncher {
    /// Each runner may use `memory` bytes.
    pub(super) fn new(runner: RunnerFile, memory: u64) -> Self {
        Self { runner, memory }
    }
}

#[async_trait]
impl Launcher for ProcessLauncher {
    fn name(&self) -> &'static str {
        "process"
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchedRunner, LaunchError> {
        let program = self.runner.find()?;
        let shown = format!("the runner {}", program.display());
        let mut command = Command::new(&program);
        // Nothing of this process: no environment, no directory, no terminal.
        command.env_clear().current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = ChildProcess::start(command, WithoutHost::Ends)
            .map_err(|error| LaunchError(format!("{shown} cannot be started: {error}")))?;
        let mut process = Guarded::alone(child);
        let Streams { input, output, complaint } = Streams::of(&mut process, &shown)?;
        Ok(LaunchedRunner {
            input: Box::new(input),
            output: Box::new(output),
            process: Box::new(ChildRunner { process, complaint }),
            bundle: request.bundle.directory.clone(),
            directories: request.directories.clone(),
            confinement: Confinement {
                namespaces: true,
                landlock: true,
                seccomp: true,
                writable_bytes: Some(self.memory),
                open_files: Some(OPEN_FILES_MAX),
                // The deadline of each call ends what computes for ever.
                processor_seconds: None,
            },
        })
    }
}

/// A runner that is a child.
struct ChildRunner {
    process: Guarded,
    complaint: Complaint,
}

#[async_trait]
impl RunnerProcess for ChildRunner {
    async fn ended(&mut self) -> String {
        let ended = self.process.child.end().await;
        self.complaint.after(&ended).await
    }
}
