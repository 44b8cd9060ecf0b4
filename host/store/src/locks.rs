//! The queue of this host: one file lock per partition, held by at most one process.
//!
//! The kernel keeps the queue among processes and frees the lock of a process that dies. Inside a process one thread per
//! partition waits in the kernel for all of its waiters, in the order they came; it lives only while somebody waits. Lock
//! files are never deleted: two processes must never lock two files of one name.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use peat_core::identifiers::PartitionName;
use peat_core::ports::{LocalLockError, LocalLockGuard, LocalLocks};
use rustix::fs::{FlockOperation, flock};
use tokio::sync::oneshot;

use crate::durability;

/// Lock files are for their owner alone.
const OWNER_ONLY: u32 = 0o600;

/// Longest holder that is read back from a lock file, in bytes.
const HOLDER_BYTES: usize = 200;

/// Stack of a waiting thread, in bytes: it makes a few system calls.
const STACK_BYTES: usize = 64 * 1024;

/// Locks in a directory that the processes of one host share.
#[derive(Debug, Clone)]
pub struct FileLocks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    directory: Dir,
    path: PathBuf,
    holder: String,
    queues: Mutex<HashMap<PartitionName, VecDeque<Waiter>>>,
}

type Waiter = oneshot::Sender<Result<Guard, io::Error>>;

/// The lock goes with the open file.
#[derive(Debug)]
struct Guard {
    _file: File,
}

impl LocalLockGuard for Guard {}

impl FileLocks {
    /// Opens (and creates) the directory of lock files. `command` is what others read of the holder: no secrets.
    pub fn open(path: &Path, command: &str) -> Result<Self, LocalLockError> {
        let directory = durability::open_or_create(path)
            .map_err(|source| LocalLockError::Io { path: path.display().to_string(), source })?;
        let command: String = command.chars().filter(|character| !character.is_control()).take(120).collect();
        let holder = format!("process {} ({command})", std::process::id());
        let shared = Shared { directory, path: path.to_owned(), holder, queues: Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }
}

#[async_trait]
impl LocalLocks for FileLocks {
    async fn lock(&self, partition: &PartitionName, wait: Duration) -> Result<Box<dyn LocalLockGuard>, LocalLockError> {
        let failed = |source| LocalLockError::Io { path: self.shared.path_of(partition), source };
        let answer = match self.shared.enter(partition).map_err(failed)? {
            Entered::Locked(guard) => return Ok(Box::new(guard)),
            Entered::Waiting(answer) => answer,
        };
        match tokio::time::timeout(wait, answer).await {
            Ok(Ok(Ok(guard))) => Ok(Box::new(guard)),
            Ok(Ok(Err(source))) => Err(failed(source)),
            Ok(Err(_)) => Err(failed(io::Error::other("the waiting thread ended"))),
            Err(_) => Err(LocalLockError::Held {
                partition: partition.clone(),
                holder: self.shared.holder_of(partition),
                waited_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            }),
        }
    }
}

enum Entered {
    Locked(Guard),
    Waiting(oneshot::Receiver<Result<Guard, io::Error>>),
}

impl Shared {
    /// Takes a free lock at once, or joins the queue.
    fn enter(self: &Arc<Self>, partition: &PartitionName) -> io::Result<Entered> {
        let mut queues = self.queues();
        if !queues.contains_key(partition)
            && let Some(guard) = self.try_lock(partition)?
        {
            return Ok(Entered::Locked(guard));
        }
        let (sender, answer) = oneshot::channel();
        match queues.get_mut(partition) {
            Some(queue) => queue.push_back(sender),
            None => {
                let shared = Arc::clone(self);
                let waited = partition.clone();
                let thread = std::thread::Builder::new().name("peat-lock".to_owned()).stack_size(STACK_BYTES);
                thread.spawn(move || shared.wait_in_kernel(&waited))?;
                queues.insert(partition.clone(), VecDeque::from([sender]));
            }
        }
        Ok(Entered::Waiting(answer))
    }

    /// Serves the waiters of one partition, in order, until there are none. A lock that nobody wants any more is freed
    /// at once.
    fn wait_in_kernel(&self, partition: &PartitionName) {
        loop {
            let mut outcome = Some(self.lock_blocking(partition));
            let mut queues = self.queues();
            let Some(queue) = queues.get_mut(partition) else { return };
            while let Some(given) = outcome.take()
                && let Some(waiter) = queue.pop_front()
            {
                // What comes back was for a waiter who gave up.
                outcome = waiter.send(given).err();
            }
            if queue.is_empty() {
                queues.remove(partition);
                return;
            }
        }
    }

    fn try_lock(&self, partition: &PartitionName) -> io::Result<Option<Guard>> {
        let file = self.open_file(partition)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(self.locked(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn lock_blocking(&self, partition: &PartitionName) -> io::Result<Guard> {
        let file = self.open_file(partition)?;
        loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(self.locked(file)),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Each lock has its own open file description: threads of one process exclude each other too. Like every file the
    /// standard library opens it is closed on exec, so a child never keeps a lock alive.
    fn open_file(&self, partition: &PartitionName) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(OWNER_ONLY);
        Ok(self.directory.open_with(file_name(partition), &options)?.into_std())
    }

    /// Writes down who holds it, for those who wait. Only for people: a full disk is no reason to fail.
    fn locked(&self, mut file: File) -> Guard {
        let _ = file.set_len(0).and_then(|()| file.write_all(self.holder.as_bytes()));
        Guard { _file: file }
    }

    fn holder_of(&self, partition: &PartitionName) -> String {
        let mut bytes = [0; HOLDER_BYTES];
        let read = self
            .directory
            .open(file_name(partition))
            .and_then(|file| file.into_std().read_at(&mut bytes, 0))
            .unwrap_or_default();
        let text: String =
            String::from_utf8_lossy(&bytes[..read]).chars().filter(|shown| !shown.is_control()).collect();
        if text.is_empty() { "another process".to_owned() } else { text }
    }

    fn path_of(&self, partition: &PartitionName) -> String {
        self.path.join(file_name(partition)).display().to_string()
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<PartitionName, VecDeque<Waiter>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn file_name(partition: &PartitionName) -> String {
    format!("{partition}.lock")
}
