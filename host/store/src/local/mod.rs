//! The local store: one SQLite database and a directory of large contents, shared by the processes of this machine.
//!
//! The design is in `docs/local-store.md`. Every call is one short transaction, or a few where that is said. Deliberately
//! absent: knowledge of datastores and of models, clocks (times are given), and any background work.

mod cache;
mod check;
mod collect;
mod commands;
mod commit;
mod connection;
mod content_files;
mod contents;
mod delta;
mod departure;
mod expire;
mod failure;
mod listing;
mod missing;
mod pending;
mod receipts;
mod schema;
mod sizes;
mod spool;
mod statements;
mod values;
mod write_behind;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peat_core::content::SharedContent;
use peat_core::digest::Digest;
use peat_core::entry::ChangeSet;
use peat_core::identifiers::{CommitId, PartitionName};
use peat_core::ports::{
    EntryFilter, LocalStore, Missing, MissingFilter, PartitionDelta, PendingCommit, PushReceipt, Replica, Spool,
    SpoolWriter, StoreError, StoredEntry,
};
use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use commands::COMMANDS_MAX;
use commands::Usage;
use content_files::ContentFiles;
pub use departure::Departure;
pub use expire::ExpiredVersion;
use failure::{Failure, Place};
pub use sizes::PartitionSize;
use write_behind::WriteBehind;

use crate::durability;

/// Name of the database in its directory.
const DATABASE: &str = "store.db";

/// Bounds of a local store.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// How long a transaction waits for those of other processes.
    pub busy_timeout: Duration,
    /// What extensions may keep in the cache, in bytes.
    pub cache_bytes_max: u64,
    /// Temporary files of dead writers are removed when they are older.
    pub leftover_age: Duration,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(10),
            cache_bytes_max: 256 * 1024 * 1024,
            leftover_age: Duration::from_secs(3_600),
        }
    }
}

/// The local store of one repository and one datastore. Cloning shares it.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

/// What the store and the contents it handed out share.
struct Inner {
    place: Place,
    settings: StoreSettings,
    files: ContentFiles,
    connection: Mutex<Connection>,
    /// Keys of the cache that were used and not yet written down as such.
    used: Mutex<BTreeSet<String>>,
    /// What was cached and not yet written.
    behind: WriteBehind,
    usage: Usage,
}

impl SqliteStore {
    /// Opens the store in the directory `path`, which is created (for the owner alone) where it is missing, and brings
    /// it to the newest format. Waits up to the busy timeout for other processes.
    pub fn open(path: &Path, settings: StoreSettings) -> Result<Self, StoreError> {
        let place =
            Place { directory: path.to_owned(), database: path.join(DATABASE), busy_timeout: settings.busy_timeout };
        let of_directory = |error| place.of_file(path, &error);
        let directory = durability::open_or_create(path).map_err(of_directory)?;
        let files = ContentFiles::open(&directory).map_err(|failure| place.explain(failure))?;
        // SQLite opens its files by path, the only ones that cap-std does not open; their names are fixed.
        let connection = connection::open(&place.database, &place)?;
        durability::sync_directory(&directory).map_err(of_directory)?;
        let connection = Mutex::new(connection);
        let (used, behind, usage) = Default::default();
        let inner = Inner { place, settings, files, connection, used, behind, usage };
        if let Err(error) = inner.sweep(inner.settings.leftover_age) {
            tracing::debug!(%error, "leftovers were not swept");
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    /// How much each partition holds, by the index on this machine. Looks at every entry.
    pub fn sizes(&self) -> Result<Vec<PartitionSize>, StoreError> {
        self.inner.read(sizes::list)
    }

    /// Examines the whole database, which takes time with its size. Answers what is wrong with it; nothing when all is
    /// well. Contents in files are checked whenever they are read.
    pub fn examine(&self) -> Result<Vec<String>, StoreError> {
        self.inner.read(|connection| {
            let mut statement = connection.prepare("PRAGMA integrity_check")?;
            let lines = statement.query_map((), |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
            Ok(lines.into_iter().filter(|line| line != "ok").collect())
        })
    }
}

impl Inner {
    /// Runs `step` in a transaction that excludes other writers from its beginning, so it can never fail half-way
    /// because another process wrote.
    fn write<T>(&self, step: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>) -> Result<T, StoreError> {
        let mut connection = self.connection();
        let attempt = |connection: &mut Connection| -> Result<T, Failure> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let answer = step(&transaction)?;
            transaction.commit()?;
            Ok(answer)
        };
        attempt(&mut connection).map_err(|failure| self.place.explain(failure))
    }

    /// The same for what can be fetched again: it waits for no disk. The machine may forget it when it dies, never the
    /// process, and what is written with [`Self::write`] later makes it durable too. Half of it is never there. What was
    /// cached meanwhile is written with it.
    fn write_refetchable<T>(&self, step: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>) -> Result<T, StoreError> {
        let mut connection = self.connection();
        let attempt = |connection: &mut Connection| -> Result<(T, bool), Failure> {
            connection::wait_for_disk(connection, false)?;
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let answer = step(&transaction)?;
            let evicted = self.insert_waiting(&transaction)?;
            transaction.commit()?;
            Ok((answer, evicted))
        };
        let answer = attempt(&mut connection);
        let restored = connection::wait_for_disk(&connection, true).map_err(Failure::Sqlite);
        drop(connection);
        let answer = answer.and_then(|answer| restored.map(|()| answer));
        let (answer, evicted) = answer.map_err(|failure| self.place.explain(failure))?;
        self.collect_evicted(evicted);
        Ok(answer)
    }

    /// Runs `step` on one snapshot.
    fn read<T>(&self, step: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, StoreError> {
        let mut connection = self.connection();
        let attempt = |connection: &mut Connection| -> Result<T, Failure> { step(&*connection.transaction()?) };
        attempt(&mut connection).map_err(|failure| self.place.explain(failure))
    }

    /// Runs `step`, a single statement: that is a snapshot by itself.
    fn read_at_once<T>(&self, step: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, StoreError> {
        step(&self.connection()).map_err(|failure| self.place.explain(failure))
    }

    /// A thread that panicked in a transaction rolled it back while it unwound: the connection is as good as before.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.write_waiting() {
            tracing::debug!(%error, "what was cached last is not kept");
        }
    }
}

impl Debug for Inner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Inner").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Spool for SqliteStore {
    fn begin(&self) -> Result<Box<dyn SpoolWriter>, StoreError> {
        Ok(Box::new(spool::Spooling::new(Arc::clone(&self.inner))))
    }
}

impl Replica for SqliteStore {
    fn known(&self, partitions: &[PartitionName]) -> Result<Vec<Option<String>>, StoreError> {
        self.inner.read(|connection| delta::known(connection, partitions))
    }

    fn cached(&self, key: &str) -> Result<Option<SharedContent>, StoreError> {
        let cached = self.inner.cached(key)?;
        self.inner.usage.looked(cached.is_some());
        Ok(cached)
    }

    fn cache(&self, key: &str, content: &SharedContent) -> Result<(), StoreError> {
        self.inner.cache(key, content)
    }
}

impl LocalStore for SqliteStore {
    fn commit(&self, changes: &ChangeSet) -> Result<PushReceipt, StoreError> {
        self.inner.commit(changes)
    }

    fn stage(&self, changes: &ChangeSet, now_ms: u64) -> Result<(), StoreError> {
        self.inner.stage(changes, now_ms)
    }

    fn pending(&self, partition: Option<&PartitionName>) -> Result<Vec<PendingCommit>, StoreError> {
        self.inner.read(|connection| pending::list(connection, &self.inner, partition))
    }

    fn confirm(&self, commit: &CommitId, partition: &PartitionName, receipt: &PushReceipt) -> Result<(), StoreError> {
        // Where the machine forgets it the commit is pending as before: pushed again, the datastore answers the same receipt.
        self.inner.write_refetchable(|transaction| pending::confirm(transaction, commit, partition, receipt))
    }

    fn discard(&self, commit: &CommitId) -> Result<(), StoreError> {
        self.inner.write(|transaction| pending::discard(transaction, commit))
    }

    fn apply(&self, delta: &PartitionDelta) -> Result<(), StoreError> {
        self.inner.apply(delta)
    }

    fn apply_all(&self, deltas: &[PartitionDelta]) -> Result<(), StoreError> {
        self.inner.apply_all(deltas)?;
        let contents = deltas.iter().flat_map(|delta| &delta.entries).filter_map(|pulled| pulled.content.as_ref());
        contents.for_each(|content| self.inner.usage.came(content.size()));
        Ok(())
    }

    fn entries(&self, filter: &EntryFilter) -> Result<Vec<StoredEntry>, StoreError> {
        self.inner.read(|connection| listing::entries(connection, filter))
    }

    fn content(&self, digest: &Digest) -> Result<Option<SharedContent>, StoreError> {
        self.inner.content(digest)
    }

    fn keep_all(&self, contents: &[(Digest, SharedContent)]) -> Result<(), StoreError> {
        self.inner.keep_all(contents)?;
        contents.iter().for_each(|(_, content)| self.inner.usage.came(content.size()));
        Ok(())
    }

    fn missing(&self, filter: &MissingFilter) -> Result<Vec<StoredEntry>, StoreError> {
        self.inner.read_at_once(|connection| missing::list(connection, filter))
    }

    fn missing_total(&self, partition: Option<&PartitionName>) -> Result<Missing, StoreError> {
        self.inner.read_at_once(|connection| missing::total(connection, partition))
    }

    fn unread(&self) -> Result<Vec<PartitionName>, StoreError> {
        self.inner.read_at_once(listing::unread)
    }

    fn mark_read(&self, partitions: &[PartitionName]) -> Result<(), StoreError> {
        self.inner.write_refetchable(|transaction| {
            partitions.iter().try_for_each(|partition| delta::mark_read(transaction, partition))
        })
    }

    fn distrust(&self, partition: &PartitionName) -> Result<(), StoreError> {
        self.inner.write_refetchable(|transaction| delta::distrust(transaction, partition))
    }

    fn partitions(&self) -> Result<Vec<PartitionName>, StoreError> {
        self.inner.read(listing::partitions)
    }

    fn writable(&self) -> Result<(), StoreError> {
        self.inner.read_at_once(departure::refuse)
    }

    fn note(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.inner.read_at_once(|connection| values::note(connection, key))
    }

    fn set_note(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.inner.write(|transaction| values::set_note(transaction, key, value))
    }

    fn collect(&self) -> Result<u64, StoreError> {
        self.inner.collect()
    }
}
