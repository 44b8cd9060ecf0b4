//! Taking partitions: first the places in the queues of this host, then the leases, both in the order of their names. All
//! commands keep to this order, so no two of them wait for each other; and it is all or nothing.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures::future::{Either, select};

use super::{Held, HoldEnding, HoldError, HoldPorts, HoldRecord, Part, Taken, give_up, unless_interrupted};
use crate::identifiers::PartitionName;
use crate::interrupt::Interrupt;
use crate::lease::Lease;
use crate::ports::{
    AcquireRequest, Clock, Datastore, DatastoreError, ErrorKind, LocalLockError, LocalLockGuard, LocalQueue, Progress,
    ProgressUnit,
};
use crate::renewal::KeptLease;

/// How often a waiter in the queue of this host says for whom it waits.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// Which partitions, for how long, and how long to wait for them.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The partitions, in any order.
    pub partitions: &'a [PartitionName],
    /// Time to live of the leases.
    pub ttl: Duration,
    /// Longest wait, local queues and leases together.
    pub wait: Duration,
}

/// What is left of a wait.
#[derive(Clone, Copy)]
struct Wait<'a> {
    clock: &'a dyn Clock,
    began_ms: u64,
    wait: Duration,
}

impl<'a> Wait<'a> {
    fn begin(ports: &HoldPorts<'a>, wait: Duration) -> Self {
        Self { clock: ports.clock, began_ms: ports.clock.elapsed_ms(), wait }
    }

    fn waited(&self) -> Duration {
        Duration::from_millis(self.clock.elapsed_ms().saturating_sub(self.began_ms))
    }

    fn left(&self) -> Duration {
        self.wait.saturating_sub(self.waited())
    }
}

/// Waits for the partitions, fairly among the processes of this host, then for their leases.
///
/// When it fails or is interrupted, what was taken is given up again. An interrupted wait leaves at most the lease that
/// was being asked for, which is taken over as soon as this process is dead.
pub async fn take(ports: &HoldPorts<'_>, wanted: &Wanted<'_>, interrupt: &Interrupt) -> Result<Held, HoldError> {
    let (mut held, wait) = (Held::nothing(), Wait::begin(ports, wanted.wait));
    let taking = take_all(ports, wanted, wait, &mut held);
    let taken = unless_interrupted(interrupt, taking).await.unwrap_or(Err(HoldError::Interrupted));
    all_or_nothing(ports, held, wait, taken).await
}

/// Waits for the lease of the whole namespace, until nobody else holds a partition of it. The local queue orders the
/// structural commands of this host.
pub async fn take_structural(
    ports: &HoldPorts<'_>,
    ttl: Duration,
    wait: Duration,
    interrupt: &Interrupt,
) -> Result<Held, HoldError> {
    let (mut held, wait) = (Held::nothing(), Wait::begin(ports, wait));
    let taking = take_namespace(ports, ttl, wait, &mut held);
    let taken = unless_interrupted(interrupt, taking).await.unwrap_or(Err(HoldError::Interrupted));
    all_or_nothing(ports, held, wait, taken).await
}

async fn all_or_nothing(
    ports: &HoldPorts<'_>,
    held: Held,
    wait: Wait<'_>,
    taken: Result<(), HoldError>,
) -> Result<Held, HoldError> {
    match taken {
        Ok(()) => Ok(held),
        Err(error) => {
            let in_vain = timed_out(&held, wait, &error);
            give_up(ports, held).await;
            if let Some(record) = in_vain {
                ports.observer.held(&record);
            }
            Err(error)
        }
    }
}

/// What there is to remember of a wait that was too long. Nothing of one that was no wait.
fn timed_out(held: &Held, wait: Wait<'_>, error: &HoldError) -> Option<HoldRecord> {
    let partition = match error {
        _ if wait.wait.is_zero() => return None,
        HoldError::Local(LocalLockError::Held { partition, .. }) => partition.clone(),
        // Whoever is in the way may have the namespace: what was asked for is what this process does not have.
        HoldError::Datastore(DatastoreError::Refused { kind: ErrorKind::Held, .. }) => {
            let missing = |part: &&Part| part.kept.is_none() && part.local.inherited().is_none();
            held.parts.iter().find(missing)?.partition.clone()
        }
        _ => return None,
    };
    Some(HoldRecord {
        partition,
        acquired_at_ms: wait.clock.now_ms(),
        waited_ms: u64::try_from(wait.waited().as_millis()).unwrap_or(u64::MAX),
        held_ms: 0,
        ending: HoldEnding::TimedOut,
    })
}

async fn take_all(
    ports: &HoldPorts<'_>,
    wanted: &Wanted<'_>,
    wait: Wait<'_>,
    held: &mut Held,
) -> Result<(), HoldError> {
    let has_leases = ports.datastore.is_none_or(|datastore| datastore.features().locks);
    let partitions: BTreeSet<PartitionName> = if has_leases {
        wanted.partitions.iter().cloned().collect()
    } else {
        // Without leases the host serialises all writers of the namespace, on this machine.
        [PartitionName::whole_namespace()].into()
    };
    for partition in partitions {
        let part = queue_for(ports, partition, wait).await?;
        held.parts.push(part);
    }
    let own = held.parts.iter().find(|part| part.local.inherited().is_none());
    if let (Some(part), Some((structural, pid))) = (own, of_structural(ports)) {
        let remedy = "Run methods before or after `peat datastore lock run`, not inside";
        let partition = part.partition.clone();
        return Err(LocalLockError::HeldByAncestor { partition, held: structural, pid, remedy }.into());
    }
    acquire(ports, wanted, held, wait).await?;
    held.waited = wait.waited();
    // Without leases a place in the queue of this machine is all there is to hold.
    for part in held.parts.iter_mut().filter(|part| part.kept.is_none() && part.local.inherited().is_none()) {
        part.taken = Some(Taken::now(ports.clock, held.waited));
    }
    Ok(())
}

async fn take_namespace(
    ports: &HoldPorts<'_>,
    ttl: Duration,
    wait: Wait<'_>,
    held: &mut Held,
) -> Result<(), HoldError> {
    let structural = PartitionName::structural();
    let other = ports.locks.ancestors().into_iter().find(|(held, _)| *held != structural);
    if let Some((held, pid)) = other {
        let remedy = "Take the lock of the namespace before or after that run, not inside";
        return Err(LocalLockError::HeldByAncestor { partition: structural, held, pid, remedy }.into());
    }
    let part = queue_for(ports, structural, wait).await?;
    held.parts.push(part);
    let part = &mut held.parts[0];
    if let (Some(datastore), None) = (ports.datastore, part.local.inherited()) {
        let lease = datastore.acquire_structural(ttl, wait.left()).await?;
        part.kept = Some(keep(ports, datastore, lease).await?);
        part.taken = Some(Taken::now(ports.clock, wait.waited()));
    }
    held.waited = wait.waited();
    Ok(())
}

/// A place in the queue of this host, and the lease with it where it is that of a process which started this one.
async fn queue_for(ports: &HoldPorts<'_>, partition: PartitionName, wait: Wait<'_>) -> Result<Part, HoldError> {
    let local = lock(ports, &partition, wait.left()).await?;
    let kept = match local.inherited() {
        Some(hold) => KeptLease::inherited(hold, ports.clock).await.map_err(HoldError::Inherited)?,
        None => None,
    };
    Ok(Part { partition, kept, local, taken: None, committed: AtomicBool::new(false) })
}

/// Takes the leases of all parts that have none of a process which started this one. Each is renewed from then on.
///
/// Whoever holds some partitions must not wait for the lease of the namespace, which waits for them: it gives them back, and
/// waits for the first of them again.
async fn acquire(ports: &HoldPorts<'_>, wanted: &Wanted<'_>, held: &mut Held, wait: Wait<'_>) -> Result<(), HoldError> {
    let Some(datastore) = ports.datastore.filter(|datastore| datastore.features().locks) else { return Ok(()) };
    while !acquire_all(ports, datastore, wanted, held, wait).await? {
        held.give_back(datastore).await;
    }
    Ok(())
}

/// False when somebody took the lease of the namespace after the first of them was had.
async fn acquire_all(
    ports: &HoldPorts<'_>,
    datastore: &dyn Datastore,
    wanted: &Wanted<'_>,
    held: &mut Held,
    wait: Wait<'_>,
) -> Result<bool, HoldError> {
    let mut holds_others = false;
    for part in held.parts.iter_mut().filter(|part| part.local.inherited().is_none()) {
        part.kept = None;
        let request = AcquireRequest {
            partitions: vec![part.partition.clone()],
            ttl: wanted.ttl,
            wait: wait.left(),
            holds_others,
        };
        let lease = match datastore.acquire(&request).await {
            Ok(leases) => leases.into_iter().next(),
            Err(error) if holds_others && is_of_namespace(&error) && !wait.left().is_zero() => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if let Some(lease) = lease {
            part.kept = Some(keep(ports, datastore, lease).await?);
            part.taken = Some(Taken::now(ports.clock, wait.waited()));
            holds_others = true;
        }
    }
    Ok(true)
}

/// Whether somebody has the lease of the namespace, and not of a partition.
fn is_of_namespace(error: &DatastoreError) -> bool {
    matches!(
        error,
        DatastoreError::Refused { kind: ErrorKind::Held, subject, .. } if subject == PartitionName::structural().as_str()
    )
}

/// Waits in the queue of this host, and says for whom.
async fn lock(
    ports: &HoldPorts<'_>,
    partition: &PartitionName,
    wait: Duration,
) -> Result<Box<dyn LocalLockGuard>, LocalLockError> {
    let mut locking = ports.locks.lock(partition, wait);
    loop {
        locking = match select(locking, ports.clock.sleep(TELL_INTERVAL)).await {
            Either::Left((locked, _)) => return locked,
            Either::Right(((), locking)) => locking,
        };
        if let Ok(Some(queue)) = ports.locks.queue(partition) {
            ports.observer.progress(waiting_for(partition, &queue, ports.clock.now_ms()));
        }
    }
}

fn waiting_for(partition: &PartitionName, queue: &LocalQueue, now_ms: u64) -> Progress {
    let holder = &queue.holder;
    let held_s = now_ms.saturating_sub(holder.since_ms) / 1_000;
    let others = if queue.ahead > 0 { format!(", {} ahead of us", queue.ahead) } else { String::new() };
    Progress {
        objects: None,
        message: format!(
            "waiting for {partition}: held on this machine by process {} ({}) for {held_s} s{others}",
            holder.pid, holder.command
        ),
        done: 0,
        total: None,
        unit: ProgressUnit::Items,
    }
}

/// The lock of the whole namespace, where a process that started this one holds it.
fn of_structural(ports: &HoldPorts<'_>) -> Option<(PartitionName, u32)> {
    let structural = PartitionName::structural();
    ports.locks.ancestors().into_iter().find(|(held, _)| *held == structural)
}

/// Begins to keep a lease; it is given back where it cannot be kept.
async fn keep(ports: &HoldPorts<'_>, datastore: &dyn Datastore, lease: Lease) -> Result<KeptLease, HoldError> {
    let (kept, renewal) = KeptLease::new(lease, ports.clock);
    let begun = match ports.lane {
        Some(lane) => lane.begin(renewal),
        None => Err(io::Error::other("there is no lane for them")),
    };
    if let Err(error) = begun {
        // The lease expires by itself where this fails; the error is what the user must see.
        let _ = kept.release(datastore).await;
        return Err(HoldError::Lane(error));
    }
    Ok(kept)
}
