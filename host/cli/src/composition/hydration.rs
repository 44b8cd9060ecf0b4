//! Bringing the rest of a lazy repository in a process of its own: who may do it, who has to stop, and how it gives way.
//!
//! One process at a time hydrates a local store: it holds the lock on a file beside the database, which the kernel frees
//! with it. Commands hold another one in common; the background looks at that before each batch and lets them go first.
//! Nothing here is needed for safety: it decides only who works when.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use peat_core::hydrate::Pause;
use peat_core::ports::{LocalStore as _, Missing};
use peat_core::repository::HydrationStrategy;
use peat_store::SqliteStore;
use serde::{Deserialize, Serialize};

use super::background::{leave_behind, lock_file, take_lock};
use super::{Context, Session};
use crate::failure::Failure;

/// Who hydrates, beside the database.
const HYDRATING: &str = "hydrating.lock";

/// Held in common by all commands, beside the database.
const COMMANDS: &str = "commands.lock";

/// How the last one ended, and whether the operator wants none.
const NOTE: &str = "hydration";

/// How long a batch waits for commands that are under way: a run of an hour must not keep everything away for an hour.
const GIVE_WAY: Duration = Duration::from_secs(5);

/// How often it looks whether commands are done.
const LOOK: Duration = Duration::from_millis(50);

/// How often it looks whether it is to stop.
const LOOK_FOR_STOP: Duration = Duration::from_millis(200);

/// One batch: done within a moment, so that whoever comes waits no longer than that.
const BATCH: (usize, u64) = (1024, 4 * 1024 * 1024);

/// After a failure the next command does not try again for so long: a datastore that is away stays away for a while.
const REST_AFTER_FAILURE_MS: u64 = 60_000;

/// How long `--stop` waits for the background to end.
const STOP_WAIT: Duration = Duration::from_secs(15);

/// What is known of background hydration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct HydrationNote {
    /// The operator asked for it to stop, and did not ask for it again.
    pub(crate) stopped: bool,
    /// When the last one ended, wall clock.
    pub(crate) ended_at_ms: Option<u64>,
    /// Why it did not come to its end.
    pub(crate) failure: Option<String>,
}

impl HydrationNote {
    /// As it stands.
    pub(crate) fn of(store: &SqliteStore) -> Result<Self, Failure> {
        Ok(store.note(NOTE)?.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    /// Keeps it.
    pub(crate) fn keep(&self, store: &SqliteStore) -> Result<(), Failure> {
        let text = serde_json::to_string(self).map_err(|error| Failure::Internal(error.to_string()))?;
        Ok(store.set_note(NOTE, &text)?)
    }
}

/// The right to hydrate a local store; goes with the value.
#[derive(Debug)]
pub(crate) struct Hydrating {
    _file: File,
}

impl Hydrating {
    /// Takes it, unless another process has it.
    pub(crate) fn take(directory: &Path) -> Result<Option<Self>, Failure> {
        Ok(take_lock(&directory.join(HYDRATING))?.map(|_file| Self { _file }))
    }

    /// The same, after whoever has it was asked to stop.
    pub(crate) fn take_over(directory: &Path, store: &SqliteStore) -> Result<Self, Failure> {
        let started = Instant::now();
        HydrationNote { stopped: true, ..HydrationNote::of(store)? }.keep(store)?;
        loop {
            if let Some(hydrating) = Self::take(directory)? {
                return Ok(hydrating);
            }
            if started.elapsed() >= STOP_WAIT {
                let who = holder(directory)?.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"));
                return Err(Failure::Locked(format!(
                    "{who} brings content to this machine and did not stop within {} s; it was asked to",
                    STOP_WAIT.as_secs()
                )));
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// The process that hydrates, when there is one.
pub(crate) fn holder(directory: &Path) -> Result<Option<u32>, Failure> {
    let path = directory.join(HYDRATING);
    let mut file = lock_file(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let read = file.seek(SeekFrom::Start(0)).and_then(|_| (&mut file).take(20).read_to_string(&mut text));
            Ok(Some(read.ok().and_then(|_| text.parse().ok()).unwrap_or(0)))
        }
        Err(TryLockError::Error(source)) => Err(Failure::file("lock", &path, source)),
    }
}

/// Says that a command is under way, as long as it lives. Without the file nobody gives way, that is all.
#[derive(Debug)]
pub(super) struct Busy {
    _file: Option<File>,
}

impl Busy {
    pub(super) fn begin(directory: &Path) -> Self {
        let file = lock_file(&directory.join(COMMANDS)).ok();
        Self { _file: file.filter(|file| file.try_lock_shared().is_ok()) }
    }
}

/// Lets commands go first, and sees when it is to stop.
#[derive(Debug)]
pub(crate) struct GiveWay {
    commands: PathBuf,
}

impl GiveWay {
    /// For the local store in this directory.
    pub(crate) fn new(directory: &Path) -> Self {
        Self { commands: directory.join(COMMANDS) }
    }

    fn is_busy(&self) -> bool {
        // Held for no longer than this statement: a command that begins now goes on without.
        lock_file(&self.commands).is_ok_and(|file| file.try_lock().is_err())
    }
}

#[async_trait]
impl Pause for GiveWay {
    async fn our_turn(&self) {
        let started = Instant::now();
        while started.elapsed() < GIVE_WAY && self.is_busy() {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn batch(&self) -> (usize, u64) {
        BATCH
    }
}

/// Returns when the operator wants hydration to stop.
pub(crate) async fn wait_for_stop(store: &SqliteStore) {
    loop {
        tokio::time::sleep(LOOK_FOR_STOP).await;
        if HydrationNote::of(store).is_ok_and(|note| note.stopped) {
            return;
        }
    }
}

/// After a command on a lazy repository: has the rest brought by a process that nobody waits for, when there is a rest and
/// nobody brings it yet. Never fails: the next command tries again.
pub(crate) fn begin_in_background(context: &Context, session: &Session) {
    if let Err(failure) = try_begin(context, session) {
        tracing::info!(%failure, "background hydration was not begun");
    }
}

fn try_begin(context: &Context, session: &Session) -> Result<(), Failure> {
    let config = &session.repository.config;
    let is_lazy = config.datastore.shared().is_some() && config.hydration_strategy == HydrationStrategy::Lazy;
    if !is_lazy || !context.environment.works_in_background {
        return Ok(());
    }
    let note = HydrationNote::of(&session.store)?;
    let rests = note.failure.is_some()
        && note.ended_at_ms.is_some_and(|ended_ms| session.now_ms() < ended_ms.saturating_add(REST_AFTER_FAILURE_MS));
    let is_whole = session.store.unread()?.is_empty() && session.store.missing_total(None)? == Missing::default();
    if note.stopped || rests || is_whole || holder(&session.store_path())?.is_some() {
        return Ok(());
    }
    leave_behind(&["datastore", "hydrate", "--in-background"], &session.repository.root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_hydrates_and_others_see_which() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(holder(directory.path()).unwrap(), None);
        let first = Hydrating::take(directory.path()).unwrap().unwrap();
        assert!(Hydrating::take(directory.path()).unwrap().is_none());
        assert_eq!(holder(directory.path()).unwrap(), Some(std::process::id()));
        drop(first);
        assert_eq!(holder(directory.path()).unwrap(), None);
        assert!(Hydrating::take(directory.path()).unwrap().is_some());
    }

    #[test]
    fn the_background_sees_commands_and_commands_do_not_see_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let give_way = GiveWay::new(directory.path());
        assert!(!give_way.is_busy());
        let (one, other) = (Busy::begin(directory.path()), Busy::begin(directory.path()));
        assert!(one._file.is_some() && other._file.is_some());
        assert!(give_way.is_busy());
        drop(one);
        assert!(give_way.is_busy());
        drop(other);
        assert!(!give_way.is_busy());
    }
}
