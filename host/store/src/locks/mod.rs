//! The queue of this host: one holder per partition, first come, first served.
//!
//! Whoever wants a partition draws a ticket: a file with the next number, which its process keeps locked. It is its turn
//! when every lower ticket is free, and the kernel frees the tickets of a process that dies. So neither a dead holder nor
//! a dead waiter is waited for, and nobody overtakes. Numbers are drawn behind a door, a file that is locked for as long
//! as drawing takes. What is free is taken at once. One thread per wait sleeps in the kernel; it lives only as long as the wait.
//!
//! What is held can be shared with processes that the holder starts: they do not wait for it, but for each other.

mod hold;
mod ticket;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cap_std::fs::Dir;
use peat_core::identifiers::PartitionName;
use peat_core::lease::Lease;
use peat_core::ports::{
    HolderIdentity as _, LocalHolder, LocalLockError, LocalLockGuard, LocalLocks, LocalQueue, SharedHold, SharedLock,
};
use tokio::sync::oneshot;

use self::hold::{FileHold, HOLDS_MAX, HoldToken, sweep};
use self::ticket::Ticket;
use crate::{ProcessIdentity, durability};

/// Longest command that others read of a holder, in characters.
const COMMAND_CHARACTERS: usize = 120;

/// How long drawing a ticket may take, at least: it is done at once, unless a process that draws was stopped in the middle.
/// Who does not want to wait at all still wants what is free.
const DRAWING_TIMEOUT: Duration = Duration::from_secs(5);

/// Stack of a waiting thread, in bytes: it lists a directory and makes a few system calls.
const STACK_BYTES: usize = 256 * 1024;

/// Locks in a directory that the processes of one host share.
#[derive(Debug, Clone)]
pub struct FileLocks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    directory: Dir,
    path: PathBuf,
    command: String,
    /// Who shares what with its children; nobody, where it is not said.
    identity: Option<Arc<ProcessIdentity>>,
    /// What processes that started this one hold.
    ancestors: Vec<HoldToken>,
    /// Tokens of other stores, to be passed on.
    foreign: Vec<String>,
    /// Names this store in a token.
    scope: String,
}

type Answer<T> = oneshot::Receiver<io::Result<T>>;

/// A held lock.
#[derive(Debug)]
struct Guard {
    ticket: Arc<Ticket>,
    partition: PartitionName,
    shared: Arc<Shared>,
    /// Of the process that holds it and started this one.
    inherited: Option<(HoldToken, Arc<FileHold>)>,
    /// What was shared with children.
    given: OnceLock<(HoldToken, Arc<FileHold>)>,
}

impl LocalLockGuard for Guard {
    fn inherited(&self) -> Option<Arc<dyn SharedHold>> {
        self.inherited.as_ref().map(|(_, hold)| hold.clone() as Arc<dyn SharedHold>)
    }

    fn share(&self, lease: Option<&Lease>) -> io::Result<Option<SharedLock>> {
        let Some(identity) = &self.shared.identity else { return Ok(None) };
        if self.given.get().is_none() {
            let inherited = self.inherited.as_ref();
            let token = HoldToken::new(&self.partition, inherited.map(|(token, _)| token), &identity.current());
            let hold = match inherited {
                Some((_, hold)) => Arc::clone(hold),
                None => Arc::new(FileHold::create(&self.shared.directory_of(&self.partition)?, &token, lease)?),
            };
            let _ = self.given.set((token, hold));
        }
        let shared = self.given.get();
        Ok(shared.map(|(token, hold)| SharedLock { token: self.shared.scoped(token), hold: hold.clone() }))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some((token, hold)) = self.given.get() {
            if self.inherited.is_none() {
                hold.end();
            }
            if let Ok(directory) = self.shared.directory_of(&self.partition) {
                let _ = directory.remove_dir_all(token.queue_name());
            }
        }
        // The thread that waited for it may not have let go of it yet.
        self.ticket.give_up();
    }
}

impl FileLocks {
    /// Opens (and creates) the directory of locks. `command` is what others read of the holder: no secrets.
    pub fn open(path: &Path, command: &str) -> Result<Self, LocalLockError> {
        let directory = durability::open_or_create(path)
            .map_err(|source| LocalLockError::Io { path: path.display().to_string(), source })?;
        let command = command.chars().filter(|shown| !shown.is_control()).take(COMMAND_CHARACTERS).collect();
        let shared = Shared {
            directory,
            path: path.to_owned(),
            command,
            identity: None,
            ancestors: Vec::new(),
            foreign: Vec::new(),
            scope: String::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The same locks, for a process that shares what it holds with those it starts. `told` is what it was told itself by
    /// the one that started it, `scope` names the store these locks are for. None where `told` is nothing that ever was told.
    #[must_use]
    pub fn inheriting(self, told: Option<&str>, scope: &str, identity: Arc<ProcessIdentity>) -> Option<Self> {
        let (mut ancestors, mut foreign) = (Vec::new(), Vec::new());
        for text in told.unwrap_or_default().split_ascii_whitespace() {
            let (of, token) = text.split_once(':')?;
            let token = HoldToken::parse(token)?;
            if of == scope && !token.is_dead(&*identity) {
                ancestors.push(token);
            } else if of != scope {
                foreign.push(text.to_owned());
            }
        }
        if ancestors.len() + foreign.len() > HOLDS_MAX {
            return None;
        }
        let shared = Arc::into_inner(self.shared)?;
        let scope = scope.to_owned();
        Some(Self { shared: Arc::new(Shared { identity: Some(identity), ancestors, foreign, scope, ..shared }) })
    }

    /// Cancel safe: dropped, it gives its place up.
    async fn wait_for_turn(
        &self,
        partition: &PartitionName,
        queue: Option<String>,
        drawn: Option<Ticket>,
        wait: Duration,
    ) -> Result<Arc<Ticket>, LocalLockError> {
        let failed = |source| LocalLockError::Io { path: self.shared.path_of(partition), source };
        let (mut waiting, drawn, turn) = self.shared.begin(partition, queue, drawn).map_err(failed)?;
        let began = Instant::now();
        let is_its_turn = match tokio::time::timeout(wait.max(DRAWING_TIMEOUT), drawn).await {
            Ok(Ok(drawn)) => drawn.map_err(failed)?,
            Ok(Err(_)) => return Err(failed(ended())),
            Err(_) => false,
        };
        let turn = async { if is_its_turn { Ok(Ok(())) } else { turn.await } };
        match tokio::time::timeout(wait.saturating_sub(began.elapsed()), turn).await {
            Ok(Ok(Ok(()))) => waiting.take().ok_or_else(|| failed(ended())),
            Ok(Ok(Err(source))) => Err(failed(source)),
            Ok(Err(_)) => Err(failed(ended())),
            Err(_) => Err(LocalLockError::Held {
                partition: partition.clone(),
                holder: self.queue(partition)?.map_or_else(
                    || "another process".to_owned(),
                    |queue| format!("process {} ({})", queue.holder.pid, queue.holder.command),
                ),
                waited_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            }),
        }
    }

    /// Every partition that somebody of this host holds or waits for, in order of their names. Takes no lock.
    pub fn queues(&self) -> Result<Vec<(PartitionName, LocalQueue)>, LocalLockError> {
        let failed = |source| LocalLockError::Io { path: self.shared.path.display().to_string(), source };
        let mut queues = Vec::new();
        for entry in self.shared.directory.entries().map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            // Whatever else lies there is not ours to judge.
            let Some(partition) = name.to_str().and_then(|name| PartitionName::parse(name).ok()) else { continue };
            if let Some(queue) = self.queue(&partition)? {
                queues.push((partition, queue));
            }
        }
        queues.sort_by(|left, right| left.0.cmp(&right.0));
        Ok(queues)
    }
}

#[async_trait]
impl LocalLocks for FileLocks {
    async fn lock(&self, partition: &PartitionName, wait: Duration) -> Result<Box<dyn LocalLockGuard>, LocalLockError> {
        let failed = |source| LocalLockError::Io { path: self.shared.path_of(partition), source };
        let inherited = self.shared.inherited(partition)?;
        let queue = inherited.as_ref().map(|(token, _)| token.queue_name());
        let drawn = self.shared.try_draw(partition, queue.as_deref()).map_err(failed)?;
        let ticket = match drawn {
            Some(drawn) if drawn.is_its_turn() => Arc::new(drawn),
            drawn => self.wait_for_turn(partition, queue, drawn, wait).await?,
        };
        if inherited.is_none() {
            sweep(ticket.directory());
        }
        let (partition, shared, given) = (partition.clone(), Arc::clone(&self.shared), OnceLock::new());
        Ok(Box::new(Guard { ticket, partition, shared, inherited, given }))
    }

    fn told(&self, tokens: &[String]) -> String {
        let own: Vec<_> = tokens.iter().filter_map(|text| HoldToken::parse(text.split_once(':')?.1)).collect();
        let is_passed_on = |token: &&HoldToken| own.iter().all(|own| own.partition != token.partition);
        let inherited = self.shared.ancestors.iter().filter(is_passed_on).map(|token| self.shared.scoped(token));
        let told: Vec<String> =
            self.shared.foreign.iter().cloned().chain(inherited).chain(tokens.iter().cloned()).collect();
        told.join(" ")
    }

    fn ancestors(&self) -> Vec<(PartitionName, u32)> {
        self.shared.ancestors.iter().map(|token| (token.partition.clone(), token.pid)).collect()
    }

    fn queue(&self, partition: &PartitionName) -> Result<Option<LocalQueue>, LocalLockError> {
        let failed = |source| LocalLockError::Io { path: self.shared.path_of(partition), source };
        let directory = match self.shared.directory.open_dir(partition.as_str()) {
            Ok(directory) => directory,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(failed(error)),
        };
        let mut living = ticket::living(&directory).map_err(failed)?.into_iter();
        let Some(holder) = living.next() else { return Ok(None) };
        let waiting: Vec<LocalHolder> = living.collect();
        let own = std::process::id();
        let ahead = waiting.iter().take_while(|waiter| waiter.pid != own).count();
        Ok(Some(LocalQueue { holder, waiting, ahead }))
    }
}

impl Shared {
    /// Waits for the turn of a ticket, which is drawn first unless it was, on a thread of its own.
    fn begin(
        self: &Arc<Self>,
        partition: &PartitionName,
        queue: Option<String>,
        drawn: Option<Ticket>,
    ) -> io::Result<(Waiting, Answer<bool>, Answer<()>)> {
        let ((tell_drawn, answer), (tell_turn, turn)) = (oneshot::channel(), oneshot::channel());
        let waiting = Waiting::default();
        let (shared, place, partition) = (Arc::clone(self), Arc::clone(&waiting.0), partition.clone());
        let draw = move || match drawn {
            Some(drawn) => Ok(drawn),
            None => Ticket::draw(shared.queue_directory(&partition, queue.as_deref())?, &shared.command),
        };
        // Nobody is left to hear it where the wait was given up.
        let wait = move || match draw().map(|drawn| Place::put(&place, drawn)) {
            Ok(Some(ticket)) => {
                let is_its_turn = ticket.is_its_turn();
                let _ = tell_drawn.send(Ok(is_its_turn));
                if !is_its_turn {
                    let _ = tell_turn.send(ticket.wait_for_turn());
                }
            }
            Ok(None) => {}
            Err(error) => drop(tell_drawn.send(Err(error))),
        };
        std::thread::Builder::new().name("peat-lock".to_owned()).stack_size(STACK_BYTES).spawn(wait)?;
        Ok((waiting, answer, turn))
    }

    /// None while somebody else draws.
    fn try_draw(&self, partition: &PartitionName, queue: Option<&str>) -> io::Result<Option<Ticket>> {
        Ticket::try_draw(self.queue_directory(partition, queue)?, &self.command)
    }

    /// Where tickets are drawn: those of the partition, or of processes that share what an ancestor holds of it.
    fn queue_directory(&self, partition: &PartitionName, queue: Option<&str>) -> io::Result<Arc<Dir>> {
        let directory = self.directory_of(partition)?;
        match queue {
            Some(queue) => durability::open_or_create_in(&directory, queue).map(Arc::new),
            None => Ok(directory),
        }
    }

    fn directory_of(&self, partition: &PartitionName) -> io::Result<Arc<Dir>> {
        durability::open_or_create_in(&self.directory, partition.as_str()).map(Arc::new)
    }

    /// What a process that started this one holds of `partition`.
    fn inherited(&self, partition: &PartitionName) -> Result<Option<(HoldToken, Arc<FileHold>)>, LocalLockError> {
        // The nearest is the last that was told.
        let Some(token) = self.ancestors.iter().rev().find(|token| token.partition == *partition) else {
            return Ok(None);
        };
        let directory = self
            .directory_of(partition)
            .map_err(|source| LocalLockError::Io { path: self.path_of(partition), source })?;
        match FileHold::find(&directory, token) {
            Some(hold) => Ok(Some((token.clone(), Arc::new(hold)))),
            None => Err(LocalLockError::HeldByAncestor {
                partition: partition.clone(),
                held: partition.clone(),
                pid: token.pid,
                remedy: "Give this process the PEAT_HOME of that one, and start it only while that one holds it",
            }),
        }
    }

    /// A hold, as others are told of it.
    fn scoped(&self, token: &HoldToken) -> String {
        format!("{}:{token}", self.scope)
    }

    fn path_of(&self, partition: &PartitionName) -> String {
        self.path.join(partition.as_str()).display().to_string()
    }
}

/// A wait under way. Dropped, its ticket is given up at once, wherever its thread is.
#[derive(Debug, Default)]
struct Waiting(Arc<Mutex<Place>>);

#[derive(Debug, Default)]
enum Place {
    #[default]
    Drawing,
    Drawn(Arc<Ticket>),
    GivenUp,
}

impl Place {
    /// None where the wait was given up meanwhile.
    fn put(place: &Mutex<Self>, drawn: Ticket) -> Option<Arc<Ticket>> {
        match &mut *locked(place) {
            Self::GivenUp => None,
            place => {
                let drawn = Arc::new(drawn);
                *place = Self::Drawn(Arc::clone(&drawn));
                Some(drawn)
            }
        }
    }
}

impl Waiting {
    /// The ticket whose turn it is.
    fn take(&mut self) -> Option<Arc<Ticket>> {
        match std::mem::replace(&mut *locked(&self.0), Place::GivenUp) {
            Place::Drawn(ticket) => Some(ticket),
            Place::Drawing | Place::GivenUp => None,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Place::Drawn(ticket) = std::mem::replace(&mut *locked(&self.0), Place::GivenUp) {
            ticket.give_up();
        }
    }
}

fn locked(place: &Mutex<Place>) -> MutexGuard<'_, Place> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ended() -> io::Error {
    io::Error::other("the waiting thread ended")
}
