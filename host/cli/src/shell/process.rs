//! A child process with its own session and process group, ended whole.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use futures::channel::oneshot;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, setsid, waitid};

use super::command::ShellCommand;

/// A running command. Dropping it kills its whole group.
#[derive(Debug)]
pub(super) struct ShellProcess {
    group: Group,
    /// Its output, to be read.
    pub(super) stdout: Option<File>,
    /// Its log, to be read.
    pub(super) stderr: Option<File>,
    ended: Option<oneshot::Receiver<io::Result<ExitStatus>>>,
}

/// The process group of a command, while its id cannot be another's.
#[derive(Debug, Clone)]
pub(super) struct Group(Arc<Mutex<Option<Pid>>>);

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself, with this status.
    Status(i32),
    /// By a signal.
    Signal(i32),
}

impl ShellProcess {
    /// Starts it, with no input and nothing inherited but its pipes.
    pub(super) fn start(command: &ShellCommand) -> io::Result<Self> {
        let mut child = prepared(command).spawn()?;
        let pid = Pid::from_child(&child);
        let group = Group(Arc::new(Mutex::new(Some(pid))));
        let file = |fd: OwnedFd| File::from(fd);
        let stdout = child.stdout.take().map(|pipe| file(pipe.into()));
        let stderr = child.stderr.take().map(|pipe| file(pipe.into()));
        let (sender, ended) = oneshot::channel();
        let process = Self { group: group.clone(), stdout, stderr, ended: Some(ended) };
        thread::Builder::new().name("shell-wait".to_owned()).spawn(move || {
            // Nobody is left to hear it when the run was given up.
            let _ = sender.send(reap(&mut child, &group));
        })?;
        Ok(process)
    }

    /// Its group, to end it from elsewhere.
    pub(super) fn group(&self) -> Group {
        self.group.clone()
    }

    /// Waits for its end. By then nothing of its group runs any more.
    pub(super) async fn end(&mut self) -> io::Result<Ended> {
        let Some(ended) = self.ended.as_mut() else {
            return Err(io::Error::other("its end was already waited for"));
        };
        let status = ended.await.map_err(|_| io::Error::other("its end was not seen"))??;
        self.ended = None;
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Status(code),
            (None, signal) => Ended::Signal(signal.unwrap_or(0)),
        })
    }
}

impl Drop for ShellProcess {
    fn drop(&mut self) {
        self.group.kill();
    }
}

impl Group {
    /// Kills all of it. Already gone is what was wanted.
    pub(super) fn kill(&self) {
        let mut group = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pid) = group.take() {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

fn prepared(command: &ShellCommand) -> Command {
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
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; this is a bare system call that neither
    // allocates nor locks.
    unsafe {
        shell.pre_exec(|| {
            setsid()?;
            Ok(())
        });
    }
    end_with_host(&mut shell);
    shell
}

/// Lets the kernel end a child whose host was killed with SIGKILL and cannot end it any more.
pub(crate) fn end_with_host(command: &mut Command) {
    // SAFETY: as above, a bare system call.
    #[cfg(target_os = "linux")]
    unsafe {
        command.pre_exec(|| Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?));
    }
}

/// Waits until the shell has ended, kills what it left behind, and only then frees its process id: as long as that is not
/// free, the group cannot be another's.
fn reap(child: &mut Child, group: &Group) -> io::Result<ExitStatus> {
    let pid = Pid::from_child(child);
    loop {
        match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Err(error) if error == rustix::io::Errno::INTR => {}
            _ => break,
        }
    }
    group.kill();
    child.wait()
}
