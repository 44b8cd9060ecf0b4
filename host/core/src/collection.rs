//! `peat data gc` and `peat datastore compact`: room in a shared datastore.
//!
//! Which partitions have something to collect is known from one listing and from heads that this machine has seen; only
//! those are asked to collect, some at a time. A partition that somebody holds is passed over first and waited for in the
//! end. Everything that was done stays done, however it ends; the next collection goes on from there.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};

use crate::identifiers::PartitionName;
use crate::interrupt::Interrupt;
use crate::ports::{
    COLLECT_PARTITIONS_MAX, Clock, CollectRequest, Collected, Datastore, DatastoreError, DeltaMode, ErrorKind,
    LocalStore, Observer, PartitionDelta, Progress, ProgressUnit, Room, StoreError,
};

/// How long a step may still take after an interrupt: a step that ends by itself leaves no lease behind.
const INTERRUPT_PATIENCE: Duration = Duration::from_secs(4);

/// How often a namespace that somebody has for a command of its own is asked for again.
const STRUCTURAL_PAUSE: Duration = Duration::from_secs(1);

/// Pages of one listing of partitions: a hundred million of them, or an extension that answers for ever.
const PAGES_MAX: usize = 100_000;

/// Steps of one partition that all say that there is more: twenty million entries, or an extension that does not get on.
const STEPS_MAX: usize = 10_000;

/// The world of a collection.
#[derive(Clone, Copy)]
pub struct CollectPorts<'a> {
    /// This machine's store: it takes over what left the index.
    pub store: &'a dyn LocalStore,
    /// The shared datastore.
    pub datastore: &'a dyn Datastore,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Who watches.
    pub observer: &'a dyn Observer,
}

impl std::fmt::Debug for CollectPorts<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("CollectPorts").finish_non_exhaustive()
    }
}

/// What to collect.
#[derive(Debug, Clone)]
pub struct Collection {
    /// Only these partitions; none: the whole namespace.
    pub partitions: Option<Vec<PartitionName>>,
    /// How long content stays after it left the index.
    pub grace: Duration,
    /// Only say what would go.
    pub dry_run: bool,
    /// Look at every partition, and delete orphans and write anew what takes more room than it must.
    pub compact: bool,
    /// How long to wait for partitions that are held, altogether.
    pub lock_timeout: Duration,
    /// How long a lease lasts.
    pub lease_ttl: Duration,
}

/// What was done, partition by partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectionReport {
    /// Partitions of the namespace that were looked at.
    pub looked_at: u64,
    /// Those where something was found, in order.
    pub partitions: Vec<CollectedPartition>,
}

/// What was done in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectedPartition {
    /// Which.
    pub partition: PartitionName,
    /// Versions that left the index.
    pub expired: u64,
    /// Their bytes.
    pub expired_bytes: u64,
    /// Objects deleted.
    pub objects_deleted: u64,
    /// Their bytes.
    pub bytes_deleted: u64,
    /// Bytes that left the index and are not deleted yet.
    pub bytes_waiting: u64,
    /// Why it was left as it is.
    pub left: Option<String>,
}

impl CollectedPartition {
    /// Nothing was found yet.
    pub fn of(partition: PartitionName) -> Self {
        Self {
            partition,
            expired: 0,
            expired_bytes: 0,
            objects_deleted: 0,
            bytes_deleted: 0,
            bytes_waiting: 0,
            left: None,
        }
    }
}

/// A collection that did not come to its end. What was done stays done.
#[derive(Debug, thiserror::Error)]
pub enum CollectionError {
    /// The datastore did not answer, or refused.
    #[error("{source}. What was collected stays so; run it again to go on from there")]
    Datastore {
        /// Why.
        source: DatastoreError,
        /// What was done.
        report: CollectionReport,
    },
    /// The local store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operator asked to stop.
    #[error("interrupted. What was collected stays so; run it again to go on from there")]
    Interrupted {
        /// What was done.
        report: CollectionReport,
    },
}

/// Why the work stopped early.
enum Stop {
    Datastore(DatastoreError),
    Store(StoreError),
    Interrupted,
}

impl From<DatastoreError> for Stop {
    fn from(error: DatastoreError) -> Self {
        Self::Datastore(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Collects. An interrupt ends it between two steps, or drops a step that takes too long.
pub async fn collect(
    ports: &CollectPorts<'_>,
    collection: &Collection,
    interrupt: &Interrupt,
) -> Result<CollectionReport, CollectionError> {
    let mut collecting =
        Collecting { ports: *ports, collection, interrupt, now_ms: 0, looked_at: 0, done: BTreeMap::new() };
    let ended = collecting.run().await;
    let looked_at = collecting.looked_at;
    let found = |partition: &CollectedPartition| {
        partition.expired + partition.objects_deleted + partition.bytes_waiting > 0 || partition.left.is_some()
    };
    let partitions = collecting.done.into_values().filter(found).collect();
    let report = CollectionReport { looked_at, partitions };
    match ended {
        Ok(()) => Ok(report),
        Err(Stop::Datastore(source)) => Err(CollectionError::Datastore { source, report }),
        Err(Stop::Store(error)) => Err(error.into()),
        Err(Stop::Interrupted) => Err(CollectionError::Interrupted { report }),
    }
}

/// How much room the partitions of a namespace take up, and the store's clock.
pub async fn rooms(datastore: &dyn Datastore) -> Result<(Vec<Room>, u64), DatastoreError> {
    let mut rooms = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let page = datastore.measure(cursor.as_deref()).await?;
        rooms.extend(page.rooms);
        if page.cursor.is_none() {
            return Ok((rooms, page.now_ms));
        }
        cursor = page.cursor;
    }
    Err(endless(datastore, "measure"))
}

struct Collecting<'a> {
    ports: CollectPorts<'a>,
    collection: &'a Collection,
    interrupt: &'a Interrupt,
    now_ms: u64,
    looked_at: u64,
    done: BTreeMap<PartitionName, CollectedPartition>,
}

impl Collecting<'_> {
    async fn run(&mut self) -> Result<(), Stop> {
        let (rooms, now_ms) = self.step(rooms(self.ports.datastore)).await??;
        self.now_ms = now_ms;
        let mut due: Vec<PartitionName> = rooms
            .into_iter()
            .filter(|room| {
                let wanted = self.collection.partitions.as_ref();
                wanted.is_none_or(|wanted| wanted.contains(&room.partition))
            })
            .inspect(|_| self.looked_at += 1)
            .filter(|room| self.collection.compact || has_something(room, now_ms))
            .map(|room| room.partition)
            .collect();
        due.sort();
        let total = due.len() as u64;
        let mut held = Vec::new();
        for (index, group) in due.chunks(COLLECT_PARTITIONS_MAX).enumerate() {
            self.tell((index * COLLECT_PARTITIONS_MAX) as u64, total);
            held.extend(self.collect_group(group.to_vec()).await?);
        }
        if !self.collection.dry_run {
            self.wait_for(held).await?;
        }
        Ok(())
    }

    /// Answers those that were left as they are.
    async fn collect_group(&mut self, mut group: Vec<PartitionName>) -> Result<Vec<PartitionName>, Stop> {
        let mut left = Vec::new();
        for _ in 0..STEPS_MAX {
            if group.is_empty() {
                return Ok(left);
            }
            let asked = self.ask(&group, Duration::ZERO).await?;
            let Some(collected) = asked else {
                left.append(&mut group);
                return Ok(left);
            };
            group.clear();
            for one in collected {
                if one.left.is_some() {
                    left.push(one.partition.clone());
                } else if one.more && !self.collection.dry_run {
                    group.push(one.partition.clone());
                }
                self.take_over(one)?;
            }
        }
        Err(endless(self.ports.datastore, "collect").into())
    }

    /// Waits for those that were held, one after the other, as long as there is time.
    async fn wait_for(&mut self, held: Vec<PartitionName>) -> Result<(), Stop> {
        let deadline_ms = self.ports.clock.elapsed_ms().saturating_add(millis(self.collection.lock_timeout));
        for partition in held {
            for _ in 0..STEPS_MAX {
                let left_ms = deadline_ms.saturating_sub(self.ports.clock.elapsed_ms());
                let asked = self.ask(std::slice::from_ref(&partition), Duration::from_millis(left_ms)).await?;
                match asked.and_then(|collected| collected.into_iter().next()) {
                    Some(one) => {
                        let more = one.more && one.left.is_none();
                        self.take_over(one)?;
                        if !more {
                            break;
                        }
                    }
                    // Somebody has the namespace for a command of its own.
                    None if left_ms == 0 => break,
                    None => {
                        let pause = STRUCTURAL_PAUSE.min(Duration::from_millis(left_ms));
                        self.step(self.ports.clock.sleep(pause)).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// One call; none when somebody has the lease of the whole namespace.
    async fn ask(&mut self, partitions: &[PartitionName], wait: Duration) -> Result<Option<Vec<Collected>>, Stop> {
        let request = CollectRequest {
            partitions: partitions.to_vec(),
            ttl: self.collection.lease_ttl,
            wait,
            now_ms: self.now_ms,
            grace: self.collection.grace,
            dry_run: self.collection.dry_run,
            sweep_orphans: self.collection.compact,
            compact: self.collection.compact,
        };
        match self.step(self.ports.datastore.collect(&request)).await? {
            Ok(collected) => Ok(Some(collected)),
            Err(DatastoreError::Refused { kind: ErrorKind::Held, message, .. }) => {
                for partition in partitions {
                    self.of(partition).left = Some(message.clone());
                }
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A step comes to its end when the operator asks to stop, unless that takes too long.
    async fn step<T>(&self, work: impl Future<Output = T>) -> Result<T, Stop> {
        if self.interrupt.is_triggered() {
            return Err(Stop::Interrupted);
        }
        let mut work = pin!(work);
        match select(work.as_mut(), pin!(self.interrupt.wait())).await {
            Either::Left((answer, _)) => Ok(answer),
            Either::Right(_) => match select(work, self.ports.clock.sleep(INTERRUPT_PATIENCE)).await {
                Either::Left((answer, _)) => Ok(answer),
                Either::Right(_) => Err(Stop::Interrupted),
            },
        }
    }

    /// Counts what was done, and lets this machine forget what left the index.
    fn take_over(&mut self, one: Collected) -> Result<(), Stop> {
        let so_far = self.of(&one.partition);
        so_far.expired += one.expired.len() as u64;
        so_far.expired_bytes = so_far.expired_bytes.saturating_add(one.expired_bytes);
        so_far.objects_deleted += one.objects_deleted;
        so_far.bytes_deleted = so_far.bytes_deleted.saturating_add(one.bytes_deleted);
        so_far.bytes_waiting = one.bytes_waiting;
        so_far.left = one.left;
        if let Some(version) = one.version.filter(|_| !self.collection.dry_run && !one.expired.is_empty()) {
            self.ports.store.apply(&PartitionDelta {
                partition: one.partition,
                mode: DeltaMode::Extend,
                version,
                entries: Vec::new(),
                removed: one.expired,
                continues: false,
            })?;
        }
        Ok(())
    }

    fn of(&mut self, partition: &PartitionName) -> &mut CollectedPartition {
        self.done.entry(partition.clone()).or_insert_with(|| CollectedPartition::of(partition.clone()))
    }

    fn tell(&self, done: u64, total: u64) {
        self.ports.observer.progress(Progress {
            objects: None,
            message: if self.collection.dry_run { "looking for what is over" } else { "collecting" }.to_owned(),
            done,
            total: Some(total),
            unit: ProgressUnit::Items,
        });
    }
}

/// Something may be over in it, as far as its head tells.
fn has_something(room: &Room, now_ms: u64) -> bool {
    room.tombstones > 0 || room.expires_at_ms.is_some_and(|expires_at_ms| expires_at_ms <= now_ms)
}

fn endless(datastore: &dyn Datastore, call: &str) -> DatastoreError {
    DatastoreError::Refused {
        kind: ErrorKind::Corrupt,
        subject: datastore.name(),
        message: format!("the datastore {} does not come to an end with `{call}`", datastore.name()),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
