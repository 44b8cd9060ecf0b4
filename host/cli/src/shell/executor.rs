//! The executor of `command/shell`.

use std::path::PathBuf;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use peat_core::content::{SharedContent, in_memory};
use peat_core::identifiers::DataName;
use peat_core::interrupt::Interrupt;
use peat_core::ports::{
    Clock, Invocation, MethodError, MethodExecutor, MethodOutcome, RunData, RunDataError, RunLog, Spool,
};
use peat_core::repository::Driver;
use tokio::sync::mpsc;

use super::command::ShellCommand;
use super::streams::{Event, OutputError, Stop, read_log, read_output};
use crate::child_process::{ChildProcess, Ended, WithoutHost};
use crate::environment::HELD;
use crate::isolation::{ContainerShell, Guarded};

/// Events under way between the readers and the run: a chatty command waits rather than fill memory.
const EVENTS_MAX: usize = 256;

/// How long reading what a killed command had printed may take: it lies in pipes, and nobody writes any more.
const READ_REST_TIMEOUT: Duration = Duration::from_secs(1);

/// The same of a container, which a runtime takes away first.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs shell commands in a repository.
pub(crate) struct ShellExecutor {
    /// The repository: where commands run.
    root: PathBuf,
    /// Where their output is kept meanwhile.
    spool: Arc<dyn Spool>,
    /// Time.
    clock: Arc<dyn Clock>,
    /// Triggered by [`MethodExecutor::stop`].
    stopped: Interrupt,
    /// Where commands run that do not run on the host.
    container: Option<ContainerShell>,
}

impl ShellExecutor {
    /// Runs commands in the repository at `root`.
    pub(crate) fn new(root: PathBuf, spool: Arc<dyn Spool>, clock: Arc<dyn Clock>) -> Self {
        Self { root, spool, clock, stopped: Interrupt::new(), container: None }
    }

    /// The same in containers.
    pub(crate) fn in_container(self, container: ContainerShell) -> Self {
        Self { container: Some(container), ..self }
    }
}

impl std::fmt::Debug for ShellExecutor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ShellExecutor").field("root", &self.root).finish_non_exhaustive()
    }
}

#[async_trait]
impl MethodExecutor for ShellExecutor {
    async fn execute(
        &self,
        invocation: &Invocation,
        data: &dyn RunData,
        log: &dyn RunLog,
    ) -> Result<MethodOutcome, MethodError> {
        let (own, given) = (&invocation.model_arguments, &invocation.arguments);
        let mut command = ShellCommand::new(&self.root, own, given, invocation.deadline, |name| std::env::var_os(name))
            .map_err(|wrong| failed(wrong.to_string()))?;
        // There is no peat in a container that could use it.
        if let (Some(held), None) = (&invocation.held, &self.container) {
            command.environment.push((HELD.to_owned(), held.into()));
        }
        // Dropped with this future, at whatever point that happens: the group is killed, the container removed.
        let mut process = self.start(&command).await?;
        let (cut, (end, output)) = self.watch(&mut process, &command, log).await?;
        if let (Some(container), None) = (&self.container, cut)
            && container.failed_to_run(end)
        {
            return Err(MethodError::Process(
                "the container could not be run, for the reason in the log; `peat doctor` says what works here"
                    .to_owned(),
            ));
        }
        keep(data, end, output?)?;
        match (cut, end) {
            (Some(cut), _) => Err(cut.error(&command, "is kept")),
            (None, Ended::Status(0)) => Ok(MethodOutcome { summary: "exit status 0".to_owned() }),
            (None, Ended::Status(code)) => Err(failed(format!("the command failed with exit status {code}"))),
            (None, Ended::Signal(signal)) => Err(failed(format!("the command was killed by signal {signal}"))),
        }
    }

    fn driver(&self) -> Driver {
        if self.container.is_some() { Driver::Container } else { Driver::InProcess }
    }

    fn starts_processes(&self) -> bool {
        true
    }

    fn stop(&self) -> bool {
        self.stopped.trigger();
        true
    }
}

/// How a command ended and what it printed.
type End = (Ended, Result<SharedContent, MethodError>);

/// Why a command was killed.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Timeout,
    Stopped,
}

impl Cut {
    fn error(self, command: &ShellCommand, output: &str) -> MethodError {
        match self {
            Self::Stopped => MethodError::Interrupted,
            Self::Timeout => failed(format!(
                "the command took longer than {} and was killed, what it had printed {output}; allow more with --timeout, \
                 methodTimeout of peat.yaml, or its argument `timeout`",
                humantime::format_duration(command.timeout)
            )),
        }
    }
}

impl ShellExecutor {
    async fn start(&self, command: &ShellCommand) -> Result<Guarded, MethodError> {
        match &self.container {
            None => ChildProcess::start(on_host(command), WithoutHost::Ends)
                .map(Guarded::alone)
                .map_err(|error| MethodError::Process(format!("/bin/sh could not be started: {error}"))),
            Some(container) => container.start(command).await.map_err(|error| MethodError::Process(error.to_string())),
        }
    }

    /// Follows the command until its end, which is made where it takes too long or is asked to stop.
    async fn watch(
        &self,
        process: &mut Guarded,
        command: &ShellCommand,
        log: &dyn RunLog,
    ) -> Result<(Option<Cut>, End), MethodError> {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let stop = Stop::default();
        let reading = (|| {
            if let Some(pipe) = process.child.stdout.take() {
                read_output(pipe, Arc::clone(&self.spool), stop.clone(), sender.clone())?;
            }
            if let Some(pipe) = process.child.stderr.take() {
                read_log(pipe, stop.clone(), sender.clone())?;
            }
            std::io::Result::Ok(())
        })();
        reading.map_err(|error| MethodError::Process(format!("the command's output could not be read: {error}")))?;
        drop(sender);
        let stopper = process.stopper();
        let mut followed = pin!(follow(process, events, &stop, log));
        let cut = tokio::select! {
            end = &mut followed => return Ok((None, end?)),
            () = self.clock.sleep(command.timeout) => Cut::Timeout,
            () = self.stopped.wait() => Cut::Stopped,
        };
        stopper.stop();
        let rest = if self.container.is_some() { REMOVE_TIMEOUT } else { READ_REST_TIMEOUT };
        tokio::select! {
            end = followed => Ok((Some(cut), end?)),
            () = self.clock.sleep(rest) => Err(cut.error(command, "could not be read in time")),
        }
    }
}

/// The command as a child of this process, with no input and nothing inherited but its pipes.
fn on_host(command: &ShellCommand) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell
        .arg("-c")
        .arg(&command.run)
        .current_dir(&command.directory)
        .env_clear()
        .envs(command.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    shell
}

/// Passes log lines on until the command has ended and both streams are read.
async fn follow(
    process: &mut Guarded,
    mut events: mpsc::Receiver<Event>,
    stop: &Stop,
    log: &dyn RunLog,
) -> Result<End, MethodError> {
    let lost = |error: std::io::Error| MethodError::Process(format!("the command could not be followed: {error}"));
    let mut output = None;
    let mut end = None;
    loop {
        tokio::select! {
            ended = process.child.end(), if end.is_none() => {
                end = Some(ended.map_err(lost)?);
                stop.now();
            }
            event = events.recv() => match event {
                Some(Event::Line(line)) => log.line("stderr", &line),
                Some(Event::LogEnded) => {}
                Some(Event::Output(read)) => {
                    // A reader that gave up has closed the pipe; the command ends by that or is ended here.
                    if let Err(error) = read {
                        return Err(refused(error));
                    }
                    output = Some(read.map_err(refused));
                }
                None => {
                    let end = match end {
                        Some(end) => end,
                        None => process.child.end().await.map_err(lost)?,
                    };
                    let output = output.unwrap_or_else(|| Err(MethodError::Process("the output was not read".to_owned())));
                    return Ok((end, output));
                }
            },
        }
    }
}

/// The same command with the same output keeps the same bytes: durations are in the run's record.
fn keep(data: &dyn RunData, end: Ended, output: SharedContent) -> Result<(), MethodError> {
    let (status, signal) = match end {
        Ended::Status(status) => (Some(status), None),
        Ended::Signal(signal) => (None, Some(signal)),
    };
    let result = serde_json::json!({
        "exitStatus": status,
        "signal": signal,
        "stdoutBytes": output.size(),
    });
    let name = |name: &str| DataName::parse_public(name).map_err(|error| failed(error.to_string()));
    let kept = |error: RunDataError| match error {
        RunDataError::Store(error) => error.into(),
        other => failed(format!("the result could not be kept: {other}")),
    };
    data.write(name("stdout")?, output, "text/plain".to_owned(), None, Vec::new()).map_err(kept)?;
    let result = in_memory(result.to_string().into_bytes());
    data.write(name("result")?, result, "application/json".to_owned(), None, Vec::new()).map_err(kept)
}

fn refused(error: OutputError) -> MethodError {
    match error {
        OutputError::Store(error) => error.into(),
        other => failed(other.to_string()),
    }
}

fn failed(message: String) -> MethodError {
    MethodError::Failed { message, transient: false }
}

#[cfg(test)]
mod tests;
