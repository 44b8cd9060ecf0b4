//! A child that stands for something which its own end does not end: the client of a container.
//!
//! A guard is a small shell that waits for the end of its input, which comes when it is told to act and when this process is
//! gone, however it went. Then it takes the container away. It is not ended with the host: its work begins then.

use std::ffi::OsString;
use std::io;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::child_process::{ChildProcess, Group, WithoutHost};

/// What a guard does: wait, then become the command it was given.
const GUARD: &str = "read -r _; exec \"$@\"";

/// How long something that was given up may take to end by itself.
const END_TIMEOUT: Duration = Duration::from_millis(500);

/// How long the end of what is guarded is waited for. The guard goes on beyond it.
const ACT_TIMEOUT: Duration = Duration::from_secs(3);

/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// A child, and perhaps a guard of what it stands for. Dropped, both are gone, and so is what is guarded.
#[derive(Debug)]
pub(crate) struct Guarded {
    /// The child.
    pub(crate) child: ChildProcess,
    guard: Option<Guard>,
}

/// Ends a child from elsewhere.
#[derive(Debug, Clone)]
pub(crate) enum Stopper {
    /// By killing its group.
    Group(Group),
    /// By taking away what it stands for; it ends with that.
    Guard(Guard),
}

/// A process that takes something away, once.
#[derive(Debug, Clone)]
pub(crate) struct Guard(Arc<Mutex<Option<ChildProcess>>>);

impl Guarded {
    /// A child that stands for itself.
    pub(crate) fn alone(child: ChildProcess) -> Self {
        Self { child, guard: None }
    }

    /// A child, and what takes away what it stands for.
    pub(crate) fn with(child: ChildProcess, guard: Guard) -> Self {
        Self { child, guard: Some(guard) }
    }

    /// What ends it.
    pub(crate) fn stopper(&self) -> Stopper {
        match &self.guard {
            None => Stopper::Group(self.child.group()),
            Some(guard) => Stopper::Guard(guard.clone()),
        }
    }
}

impl Stopper {
    /// Ends it, without waiting for that.
    pub(crate) fn stop(&self) {
        match self {
            Self::Group(group) => group.kill(),
            Self::Guard(guard) => guard.act(),
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let Some(guard) = &self.guard else { return };
        // Who speaks with a runner lets its input go at the same time, which ends a sound one sooner than a guard does.
        if !has_ended_within(&mut self.child, END_TIMEOUT) {
            guard.act_and_wait();
        }
    }
}

/// Waits on this thread, because a value that is dropped cannot wait otherwise.
fn has_ended_within(child: &mut ChildProcess, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    loop {
        if child.end_now().is_some() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(LOOK);
    }
}

impl Guard {
    /// Starts a guard that will run `words`, a program and its arguments.
    pub(super) fn start(words: &[OsString]) -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(GUARD).arg("guard").args(words).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let guard = ChildProcess::start(command, WithoutHost::GoesOn)?;
        Ok(Self(Arc::new(Mutex::new(Some(guard)))))
    }

    /// Lets it act.
    fn act(&self) {
        if let Some(guard) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            guard.stdin = None;
        }
    }

    /// The same, and waits until that is done; not for ever.
    fn act_and_wait(&self) {
        self.act();
        let Some(mut guard) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        if !has_ended_within(&mut guard, ACT_TIMEOUT) {
            // Slow, but at work: it is not killed.
            guard.leave();
        }
    }
}
