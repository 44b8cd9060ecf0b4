//! The executor of `command/shell`.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use peat_core::content::{SharedContent, in_memory};
use peat_core::identifiers::DataName;
use peat_core::ports::{
    Clock, Invocation, MethodError, MethodExecutor, MethodOutcome, RunData, RunDataError, RunLog, Spool,
};
use tokio::sync::mpsc;

use super::command::ShellCommand;
use super::process::{Ended, ShellProcess};
use super::streams::{Event, OutputError, Stop, read_log, read_output};

/// Events under way between the readers and the run: a chatty command waits rather than fill memory.
const EVENTS_MAX: usize = 256;

/// Runs shell commands in a repository.
pub(crate) struct ShellExecutor {
    /// The repository: where commands run.
    pub(crate) root: PathBuf,
    /// Where their output is kept meanwhile.
    pub(crate) spool: Arc<dyn Spool>,
    /// Time.
    pub(crate) clock: Arc<dyn Clock>,
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
        let command = ShellCommand::new(&self.root, invocation, |name| std::env::var_os(name))?;
        // Dropped with this future, at whatever point that happens: the group is killed.
        let mut process = ShellProcess::start(&command)
            .map_err(|error| MethodError::Process(format!("/bin/sh could not be started: {error}")))?;
        let ended = self.watch(&mut process, &command, log).await?;
        let (end, output) = match ended {
            Some(ended) => ended,
            None => {
                let timeout = humantime::format_duration(command.timeout);
                let message = format!(
                    "the command took longer than {timeout} and was killed; allow more with --timeout, methodTimeout of \
                     peat.yaml, or its argument `timeout`"
                );
                return Err(MethodError::Failed { message, transient: false });
            }
        };
        keep(data, end, output?)?;
        match end {
            Ended::Status(0) => Ok(MethodOutcome { summary: "exit status 0".to_owned() }),
            Ended::Status(code) => Err(failed(format!("the command failed with exit status {code}"))),
            Ended::Signal(signal) => Err(failed(format!("the command was killed by signal {signal}"))),
        }
    }
}

/// How a command ended and what it printed.
type End = (Ended, Result<SharedContent, MethodError>);

impl ShellExecutor {
    /// Follows the command until its end; none when it took too long.
    async fn watch(
        &self,
        process: &mut ShellProcess,
        command: &ShellCommand,
        log: &dyn RunLog,
    ) -> Result<Option<End>, MethodError> {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let stop = Stop::default();
        let reading = (|| {
            if let Some(pipe) = process.stdout.take() {
                read_output(pipe, Arc::clone(&self.spool), stop.clone(), sender.clone())?;
            }
            if let Some(pipe) = process.stderr.take() {
                read_log(pipe, stop.clone(), sender.clone())?;
            }
            std::io::Result::Ok(())
        })();
        reading.map_err(|error| MethodError::Process(format!("the command's output could not be read: {error}")))?;
        drop(sender);
        let followed = follow(process, events, &stop, log);
        tokio::select! {
            end = followed => end.map(Some),
            () = self.clock.sleep(command.timeout) => Ok(None),
        }
    }
}

/// Passes log lines on until the command has ended and both streams are read.
async fn follow(
    process: &mut ShellProcess,
    mut events: mpsc::Receiver<Event>,
    stop: &Stop,
    log: &dyn RunLog,
) -> Result<End, MethodError> {
    let lost = |error: std::io::Error| MethodError::Process(format!("the command could not be followed: {error}"));
    let mut output = None;
    let mut end = None;
    loop {
        tokio::select! {
            ended = process.end(), if end.is_none() => {
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
                        None => process.end().await.map_err(lost)?,
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
