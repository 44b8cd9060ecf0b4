//! What a command costs, gathered while it runs and kept in its local store when it ends. Nothing fails because of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use peat_core::ports::Clock as _;
use peat_core::statistics::{CacheUse, CommandRecord};
use peat_store::{SqliteStore, SystemClock};

use super::traffic::Traffic;
use crate::exit_code::ExitCode;
use crate::rendering::Holds;

/// Gathers what one command costs. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Recorder(Arc<Gathered>);

#[derive(Debug)]
struct Gathered {
    began: Instant,
    began_at_ms: u64,
    traffic: Arc<Traffic>,
    holds: Holds,
    /// A datastore was used or a method run: what only reads what is here is not worth a row.
    used: AtomicBool,
    place: Mutex<Option<Place>>,
}

/// Where it is kept, and what else is known there.
struct Place {
    store: Arc<SqliteStore>,
    command: String,
    datastore: String,
    compiled: Box<dyn Fn() -> CacheUse + Send>,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Place").field("command", &self.command).finish_non_exhaustive()
    }
}

impl Recorder {
    /// A command begins.
    pub(crate) fn begin() -> Self {
        Self(Arc::new(Gathered {
            began: Instant::now(),
            began_at_ms: SystemClock.now_ms(),
            traffic: Arc::default(),
            holds: Holds::default(),
            used: AtomicBool::new(false),
            place: Mutex::default(),
        }))
    }

    /// The command has opened its local store. The last one counts.
    pub(super) fn opened(
        &self,
        store: &Arc<SqliteStore>,
        command: &str,
        datastore: &str,
        compiled: impl Fn() -> CacheUse + Send + 'static,
    ) {
        let place = Place {
            store: Arc::clone(store),
            command: command.to_owned(),
            datastore: datastore.to_owned(),
            compiled: Box::new(compiled),
        };
        *self.0.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    /// It uses a datastore or runs a method: it is to be remembered.
    pub(super) fn used(&self) {
        self.0.used.store(true, Ordering::Relaxed);
    }

    /// Where requests are counted.
    pub(super) fn traffic(&self) -> &Arc<Traffic> {
        &self.0.traffic
    }

    /// What it has held.
    pub(crate) fn holds(&self) -> Holds {
        Arc::clone(&self.0.holds)
    }

    /// The command has ended, and its answer is printed.
    pub(crate) fn finish(&self, exit_code: ExitCode) {
        let place = self.0.place.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(place) = place.filter(|_| self.0.used.load(Ordering::Relaxed)) else { return };
        let (bytes_sent, bytes_received) = self.0.traffic.bytes();
        let (hydrated, hydrated_bytes) = place.store.hydrated();
        let record = CommandRecord {
            command: place.command,
            pid: std::process::id(),
            began_at_ms: self.0.began_at_ms,
            duration_ms: u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            exit_code: exit_code.number(),
            datastore: place.datastore,
            requests: self.0.traffic.requests(),
            bytes_sent,
            bytes_received,
            hydrated,
            hydrated_bytes,
            compiled: (place.compiled)(),
            replica: place.store.replica_use(),
            holds: std::mem::take(&mut *self.0.holds.lock().unwrap_or_else(PoisonError::into_inner)),
        };
        if let Err(error) = place.store.record_command(&record) {
            tracing::debug!(%error, "what the command cost is not remembered");
        }
    }
}
