//! `peat datastore lock run`: a command of the operating system while nobody writes to the namespace, or to some models.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use futures::channel::oneshot;
use peat_core::hold::{self, Held};
use peat_core::identifiers::PartitionName;
use peat_core::interrupt::Interrupt;
use peat_core::lease::LEASE_TTL_DEFAULT;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::with_leases;
use crate::arguments::LockRun;
use crate::child_process::end_with_host;
use crate::commands::datastore::sync::partitions;
use crate::composition::{Context, Session, run_async};
use crate::environment::HELD;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::rendering::{Answer, Page};

/// Models of one command: each is told to the processes that it starts, in one environment variable.
const MODELS_MAX: usize = 100;

/// Takes the structural lease, or those of the models, runs the command, and gives them back.
pub(super) fn run(context: &Context, arguments: &LockRun) -> Result<Answer, Failure> {
    let repository = context.repository()?;
    if arguments.models.len() > MODELS_MAX {
        let message = format!("--model: at most {MODELS_MAX} at once; leave it out to lock the whole namespace");
        return Err(Failure::InvalidInput(message));
    }
    let partitions = partitions(&repository, &arguments.models)?;
    let session = Session::open(context, repository)?;
    let config = &session.repository.config;
    let wait = arguments.lock_timeout.unwrap_or(config.lock_timeout);
    let ttl = config.datastore.shared().map_or(LEASE_TTL_DEFAULT, |shared| shared.lease_ttl);
    let (status, waited) = run_async(async |interrupt| {
        let datastore = with_leases(&session, "`lock run`").await?;
        let ports = session.hold_ports(datastore);
        let held = match &partitions {
            None => hold::take_structural(&ports, ttl, wait, &interrupt).await?,
            Some(partitions) => {
                // What the command does cannot be undone.
                let wanted = hold::Wanted { partitions, ttl, wait };
                hold::take(&ports, &wanted, &interrupt).await?
            }
        };
        let waited = held.waited;
        let result = under(&ports, &held, command(context, arguments, held.share(&ports)), &interrupt).await;
        hold::give_up(&ports, held).await;
        let ended = result.as_ref().map_or_else(|failure| failure.to_string(), ToString::to_string);
        let program = arguments.command.first().map(|program| program.to_string_lossy()).unwrap_or_default();
        let held = partitions.clone().unwrap_or_else(|| vec![PartitionName::structural()]);
        session.audit(&format!("ran {program}: {ended}"), &held).await;
        Ok((result?, waited))
    })?;
    drop(session);
    let words: Vec<_> = arguments.command.iter().map(|word| word.to_string_lossy()).collect();
    let json = json!({ "lock": {
        "partitions": partitions.unwrap_or_else(|| vec![PartitionName::structural()]),
        "waitedMs": u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
        "command": words,
        "exitStatus": status.code(),
        "signal": status.signal(),
    }});
    let answer = Answer::new(json, Page::default());
    if status.success() {
        return Ok(answer);
    }
    let complaint = match (status.code(), status.signal()) {
        (Some(code), _) => format!("the command failed with exit status {code}"),
        (None, signal) => format!("the command was killed by signal {}", signal.unwrap_or_default()),
    };
    Ok(answer.failing(ExitCode::MethodFailed, complaint))
}

fn command(context: &Context, arguments: &LockRun, held: Option<String>) -> Command {
    let (program, rest) = arguments.command.split_first().expect("clap wants at least one word");
    let mut command = Command::new(program);
    command.args(rest);
    if let Some(held) = held {
        command.env(HELD, held);
    }
    if context.screen.is_json() {
        // The one document on stdout is ours.
        command.stdout(Stdio::from(io::stderr()));
    }
    end_with_host(&mut command);
    command
}

/// Runs it to its end; it is killed when the lease is lost, and asked to end on a signal.
async fn under(
    ports: &hold::HoldPorts<'_>,
    held: &Held,
    mut command: Command,
    interrupt: &Interrupt,
) -> Result<ExitStatus, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::NotFound(format!("there is no command {program}")),
        _ => Failure::InvalidInput(format!("{program} cannot be started: {error}")),
    })?;
    let pid = Pid::from_child(&child);
    let mut ended = ended(child).map_err(|error| Failure::Internal(format!("cannot wait for {program}: {error}")))?;
    let followed = async {
        match hold::unless_interrupted(interrupt, &mut ended).await {
            Some(status) => status,
            None => {
                // Still ours: it is reaped by the thread that waits, which has not answered yet.
                let _ = kill_process(pid, Signal::TERM);
                (&mut ended).await
            }
        }
    };
    match held.unless_lost(ports, followed).await {
        Ok(Ok(Ok(_))) if interrupt.is_triggered() => Err(Failure::Interrupted),
        Ok(Ok(Ok(status))) => Ok(status),
        Ok(Ok(Err(error))) => Err(Failure::Internal(format!("cannot wait for {program}: {error}"))),
        Ok(Err(_)) => Err(Failure::Internal(format!("the end of {program} was not seen"))),
        Err(lost) => {
            let _ = kill_process(pid, Signal::KILL);
            let _ = ended.await;
            Err(Failure::Datastore(lost))
        }
    }
}

/// The end of a child, waited for on a thread.
fn ended(mut child: Child) -> io::Result<oneshot::Receiver<io::Result<ExitStatus>>> {
    let (sender, ended) = oneshot::channel();
    thread::Builder::new().name("lock-run-wait".to_owned()).spawn(move || {
        // Nobody is left to hear it when the command was given up.
        let _ = sender.send(child.wait());
    })?;
    Ok(ended)
}
