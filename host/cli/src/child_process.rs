//! A child process with its own session and process group, ended whole.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use futures::channel::oneshot;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, setsid, waitid};

/// First file descriptor that is none of the three streams.
const FIRST_DESCRIPTOR: libc::c_uint = 3;

/// File descriptors that are looked at where the kernel cannot do it at once (before Linux 5.11).
const DESCRIPTORS_MAX: libc::c_int = 4096;

/// A running child. Dropping it kills its whole group.
#[derive(Debug)]
pub(crate) struct ChildProcess {
    group: Group,
    /// Where its input is a pipe.
    pub(crate) stdin: Option<File>,
    /// Where its output is one.
    pub(crate) stdout: Option<File>,
    /// Where its log is one.
    pub(crate) stderr: Option<File>,
    end: End,
}

#[derive(Debug)]
enum End {
    Awaited(oneshot::Receiver<io::Result<ExitStatus>>),
    Known(Ended),
}

/// The process group of a child, while its id cannot be another's.
#[derive(Debug, Clone)]
pub(crate) struct Group(Arc<Mutex<Option<Pid>>>);

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself, with this status.
    Status(i32),
    /// By a signal.
    Signal(i32),
}

/// What becomes of a child whose host was killed and cannot end it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WithoutHost {
    /// The kernel ends it.
    Ends,
    /// It goes on, because its work begins then.
    GoesOn,
}

/// A child and its pipes, as the thread that started it hands them over.
struct Started {
    stdin: Option<File>,
    stdout: Option<File>,
    stderr: Option<File>,
}

impl ChildProcess {
    /// Starts it in a session of its own, with nothing inherited but its three streams and the environment of `command`.
    pub(crate) fn start(mut command: Command, without_host: WithoutHost) -> io::Result<Self> {
        in_its_own_session(&mut command);
        if without_host == WithoutHost::Ends {
            end_with_host(&mut command);
        }
        let (started, starting) = std::sync::mpsc::sync_channel(1);
        let (sender, ended) = oneshot::channel();
        let group = Group(Arc::new(Mutex::new(None)));
        let known = group.clone();
        // The thread that starts a child waits for it, too: what the kernel does when the host has ended, it does when the
        // thread has that started the child.
        thread::Builder::new().name("child".to_owned()).spawn(move || {
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => return drop(started.send(Err(error))),
            };
            let pid = Pid::from_child(&child);
            *known.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(pid);
            let file = |fd: OwnedFd| File::from(fd);
            let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
            let begun = Started {
                stdin: stdin.map(|pipe| file(pipe.into())),
                stdout: stdout.map(|pipe| file(pipe.into())),
                stderr: child.stderr.take().map(|pipe| file(pipe.into())),
            };
            // Nobody is left to hear either of them when the child was given up.
            let _ = started.send(Ok(begun));
            let _ = sender.send(reap(&mut child, &known));
        })?;
        let lost = |_| io::Error::other("the thread that starts it has ended");
        let Started { stdin, stdout, stderr } = starting.recv().map_err(lost)??;
        Ok(Self { group, stdin, stdout, stderr, end: End::Awaited(ended) })
    }

    /// Its group, to end it from elsewhere.
    pub(crate) fn group(&self) -> Group {
        self.group.clone()
    }

    /// Waits for its end. By then nothing of its group runs any more. Cancel safe; may be asked again.
    pub(crate) async fn end(&mut self) -> io::Result<Ended> {
        let receiver = match &mut self.end {
            End::Known(ended) => return Ok(*ended),
            End::Awaited(receiver) => receiver,
        };
        let status = receiver.await.map_err(|_| io::Error::other("its end was not seen"))??;
        Ok(self.ended_with(status))
    }

    /// The same without waiting: none while it runs.
    pub(crate) fn end_now(&mut self) -> Option<Ended> {
        match &mut self.end {
            End::Known(ended) => Some(*ended),
            End::Awaited(receiver) => match receiver.try_recv() {
                Ok(Some(Ok(status))) => Some(self.ended_with(status)),
                _ => None,
            },
        }
    }

    /// Lets it go on by itself.
    pub(crate) fn leave(self) {
        self.group.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn ended_with(&mut self, status: ExitStatus) -> Ended {
        let ended = match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Status(code),
            (None, signal) => Ended::Signal(signal.unwrap_or(0)),
        };
        self.end = End::Known(ended);
        ended
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.group.kill();
    }
}

impl Group {
    /// Kills all of it. Already gone is what was wanted.
    pub(crate) fn kill(&self) {
        let mut group = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pid) = group.take() {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Lets the kernel end a child whose host was killed with SIGKILL and cannot end it any more.
pub(crate) fn end_with_host(command: &mut Command) {
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; this is a bare system call that neither
    // allocates nor locks.
    #[cfg(target_os = "linux")]
    unsafe {
        command.pre_exec(|| Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?));
    }
}

/// A session of its own, and no file descriptor but the three streams: what the host was started with is not the child's.
fn in_its_own_session(command: &mut Command) {
    // SAFETY: as above, bare system calls.
    unsafe {
        command.pre_exec(|| {
            setsid()?;
            close_on_exec();
            Ok(())
        });
    }
}

/// Everything but the three streams closes when the program begins. Not before: the end of `Command::spawn` is told over one.
fn close_on_exec() {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: no descriptor is closed here, so that nobody's is taken away.
        let done = unsafe {
            libc::syscall(libc::SYS_close_range, FIRST_DESCRIPTOR, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
        };
        if done == 0 {
            return;
        }
    }
    for descriptor in FIRST_DESCRIPTOR.cast_signed()..DESCRIPTORS_MAX {
        // SAFETY: marks a descriptor, or answers that there is none.
        unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Waits until the child has ended, kills what it left behind, and only then frees its process id: as long as that is not
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
