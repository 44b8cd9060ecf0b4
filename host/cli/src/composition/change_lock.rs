//! One process at a time changes `peat.yaml` and `peat.lock`, so that no change is lost.
//!
//! The lock is on the directory of the repository itself: the kernel frees it with the process, and nobody can delete it.
//! Who holds it stands in a file of the state directory, for those who wait; it means nothing where the lock is free.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::file_access::read_text_if_there;
use super::repository::STATE_DIRECTORY;
use crate::failure::Failure;

/// Who holds the lock, in the state directory.
const HOLDER_FILE: &str = "changing";

/// Longest text of the holder's file, in bytes: a process id and a few words of a command line.
const HOLDER_BYTES_MAX: u64 = 4096;

/// How often a waiter looks: changes take milliseconds, an examination of a datastore seconds.
const LOOK: Duration = Duration::from_millis(50);

/// Holds the right to change the files of a repository until it is dropped.
#[derive(Debug)]
pub(super) struct ChangeLock {
    _directory: File,
    note: PathBuf,
}

impl Drop for ChangeLock {
    fn drop(&mut self) {
        // While it is still held: the note of the next holder stays.
        let _ = fs::remove_file(&self.note);
    }
}

impl ChangeLock {
    /// Waits for it, at most `wait`. `command` is what others read of this process: no values, which may be secret.
    pub(super) fn take(root: &Path, command: &str, wait: Duration) -> Result<Self, Failure> {
        let failed = |source| Failure::file("lock", root, source);
        let directory = File::open(root).map_err(failed)?;
        let started = Instant::now();
        loop {
            match directory.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if started.elapsed() < wait => {
                    std::thread::sleep(LOOK.min(wait.saturating_sub(started.elapsed())));
                }
                Err(TryLockError::WouldBlock) => return Err(held(root, wait)),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        let state = root.join(STATE_DIRECTORY);
        let note = state.join(HOLDER_FILE);
        let holder = format!("process {} ({command})", std::process::id());
        // For people only: a repository that cannot be written says so when it is changed.
        if let Err(error) = fs::create_dir_all(&state).and_then(|()| fs::write(&note, holder)) {
            tracing::info!(path = %note.display(), %error, "who changes the repository is not noted");
        }
        Ok(Self { _directory: directory, note })
    }
}

fn held(root: &Path, wait: Duration) -> Failure {
    let noted = read_text_if_there(&root.join(STATE_DIRECTORY).join(HOLDER_FILE), HOLDER_BYTES_MAX).ok().flatten();
    let holder = noted.filter(|text| !text.is_empty()).unwrap_or_else(|| "another process".to_owned());
    Failure::Locked(format!(
        "repository {} is being changed by {holder}; waited {}. Wait longer with PEAT_LOCK_TIMEOUT or lockTimeout of \
         peat.yaml",
        root.display(),
        humantime::format_duration(wait)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit_code::ExitCode;

    #[test]
    fn who_waits_too_long_is_told_for_whom_and_the_next_one_gets_it() {
        let root = tempfile::tempdir().unwrap();
        let first = ChangeLock::take(root.path(), "extension add", Duration::ZERO).unwrap();
        let started = Instant::now();
        let refused = ChangeLock::take(root.path(), "datastore setup", Duration::from_millis(120)).unwrap_err();
        assert!(started.elapsed() >= Duration::from_millis(120), "{:?}", started.elapsed());
        assert_eq!(refused.exit_code(), ExitCode::LockTimeout);
        let holder = format!("process {} (extension add)", std::process::id());
        for word in [&*holder, "120ms", "PEAT_LOCK_TIMEOUT"] {
            assert!(refused.to_string().contains(word), "{refused}");
        }
        let waiting = std::thread::spawn({
            let root = root.path().to_owned();
            move || ChangeLock::take(&root, "datastore setup", Duration::from_secs(60)).map(drop)
        });
        drop(first);
        waiting.join().unwrap().unwrap();
        // Somebody who is not noted is not mistaken for the one before.
        let unknown = File::open(root.path()).unwrap();
        unknown.try_lock().unwrap();
        let refused = ChangeLock::take(root.path(), "extension add", Duration::ZERO).unwrap_err();
        assert!(refused.to_string().contains("another process"), "{refused}");
    }
}
