//! Locks of an owner-only directory: for whoever makes something in it, and for whoever uses something in it.
//!
//! All are locks of the kernel on open files: they go with their process, however it ends.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;

use super::directory::OwnedDirectory;

/// How often a waiting process looks whether a lock is free: nothing beside the time that compiling takes.
const LOCK_LOOK: Duration = Duration::from_millis(10);

/// Length of what a holder writes into its lock: its nice value, from -20 to 19.
const NICENESS_BYTES: usize = 3;

/// Holds a lock until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl OwnedDirectory {
    /// Waits until no other process holds the lock of this name, for `patience` at most: its holder may be stopped
    /// (`TimedOut`). A holder of lower priority than this process is not waited for: it may get no processor for as long
    /// as there is anything else to do (`WouldBlock`).
    pub(super) fn lock(&self, name: &str, patience: Duration) -> io::Result<Lock> {
        let begun = Instant::now();
        let own = rustix::process::getpriority_process(None)?;
        loop {
            let file = self.open_file(name, OFlags::RDWR | OFlags::CREATE)?;
            let take = || rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
            wait(take, || {
                if niceness_of_holder(&file).is_some_and(|holder| holder > own) {
                    return Err(io::Error::new(io::ErrorKind::WouldBlock, "its holder has a lower priority"));
                }
                still_patient(begun, patience)
            })?;
            // Whoever removed the file has left a lock that nobody else will see: the next one has another file.
            if file.metadata()?.nlink() > 0 {
                // Where it cannot be noted, others wait as for anybody.
                let _ = rustix::io::pwrite(&file, format!("{own:>NICENESS_BYTES$}").as_bytes(), 0);
                return Ok(Lock { _file: file });
            }
        }
    }

    /// Shares a file that is there with any number of others. Waits for whoever has it alone, for `patience` at most.
    pub(super) fn share(&self, name: &str, patience: Duration) -> io::Result<Lock> {
        let begun = Instant::now();
        let file = self.open_file(name, OFlags::RDONLY)?;
        let take = || rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared);
        wait(take, || still_patient(begun, patience))?;
        Ok(Lock { _file: file })
    }

    /// Takes a file that is there alone; none while anybody shares it.
    pub(super) fn take_alone(&self, name: &str) -> io::Result<Option<Lock>> {
        // Some network file systems want it open for writing.
        let file = self.open_file(name, OFlags::RDWR)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn still_patient(begun: Instant, patience: Duration) -> io::Result<()> {
    if begun.elapsed() < patience { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) }
}

/// Tries until it is had, and gives up when `go_on` says so.
fn wait(mut take: impl FnMut() -> Result<(), Errno>, mut go_on: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    loop {
        match take() {
            Ok(()) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) => {
                go_on()?;
                thread::sleep(LOCK_LOOK);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn niceness_of_holder(file: &File) -> Option<i32> {
    let mut noted = [0; NICENESS_BYTES];
    let length = rustix::io::pread(file, &mut noted, 0).ok()?;
    std::str::from_utf8(&noted[..length]).ok()?.trim().parse().ok()
}
