//! `peat datastore check` and `peat datastore repair`: what of a shared datastore is damaged, and making it good again.
//!
//! A check takes no lock and changes nothing, so it may be dropped at any point. A repair is a loop: what the check found is
//! repaired partition by partition, with what this machine has, and checked again, until nothing is found or nothing more
//! can be done.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::collection::CollectPorts;
use crate::content::SharedContent;
use crate::digest::Digest;
use crate::entry::Entry;
use crate::hold::unless_interrupted;
use crate::identifiers::PartitionName;
use crate::interrupt::Interrupt;
use crate::ports::{
    CheckRequest, Damage, DamagedPart, DatastoreError, EntryFilter, ErrorKind, INDEX_CONTENT_BYTES_MAX, Objects,
    Progress, ProgressUnit, REPAIR_CONTENTS_MAX, REPAIR_INDEX_CONTENTS_MAX, REPAIR_INDEX_MAX, RepairRequest, Repaired,
    StoreError, StoredEntry, StoredState,
};

/// Pages of one check: a page is some seconds of work, so an extension that has more does not come to an end.
const PAGES_MAX: usize = 1_000_000;

/// Damages kept of one check; all are counted.
const DAMAGE_KEPT_MAX: usize = 10_000;

/// Entries of the local index that are read at once.
const INDEX_PAGE: u32 = 10_000;

/// Times that a partition is repaired and checked again: an index, content that was in it, and content that this uncovers.
const ROUNDS_MAX: usize = 8;

/// What to check.
#[derive(Debug, Clone)]
pub struct Check {
    /// Only these partitions; none: the whole namespace.
    pub partitions: Option<Vec<PartitionName>>,
    /// Read every content.
    pub read_data: bool,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// What is damaged.
    pub damage: Vec<Damage>,
    /// How much is, told or not.
    pub damage_total: u64,
    /// Partitions that were checked.
    pub partitions: u64,
    /// Entries in their indexes.
    pub entries: u64,
    /// Bytes of content that were read.
    pub bytes_read: u64,
    /// Objects that nothing names.
    pub orphans: u64,
    /// Their bytes.
    pub orphan_bytes: u64,
}

/// How to repair.
#[derive(Debug, Clone)]
pub struct Repair {
    /// Only say what would be done.
    pub dry_run: bool,
    /// The check reads every content.
    pub read_data: bool,
    /// How long to wait for partitions that are held.
    pub lock_timeout: Duration,
    /// How long a lease lasts.
    pub lease_ttl: Duration,
}

/// What was done in one partition, or (none) above them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairedPart {
    /// Which.
    pub partition: Option<PartitionName>,
    /// What was done.
    pub done: Repaired,
    /// Why it was left as it is.
    pub left: Option<String>,
}

/// Why a check or a repair did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The datastore did not answer, or refused.
    #[error(transparent)]
    Datastore(#[from] DatastoreError),
    /// The local store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operator asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// Checks. Takes no lock; cancel safe.
pub async fn check(ports: &CollectPorts<'_>, check: &Check, interrupt: &Interrupt) -> Result<CheckReport, HealthError> {
    let expected = match &check.partitions {
        Some(_) => Vec::new(),
        None => ports.store.partitions()?,
    };
    let mut request =
        CheckRequest { partitions: check.partitions.clone(), expected, read_data: check.read_data, cursor: None };
    let mut report = CheckReport::default();
    for _ in 0..PAGES_MAX {
        let page = unless_interrupted(interrupt, ports.datastore.check(&request)).await;
        let page = page.ok_or(HealthError::Interrupted)??;
        report.damage_total += page.damage_total;
        report.partitions += page.partitions;
        report.entries += page.entries;
        report.bytes_read = report.bytes_read.saturating_add(page.bytes_read);
        report.orphans += page.orphans;
        report.orphan_bytes = report.orphan_bytes.saturating_add(page.orphan_bytes);
        let room = DAMAGE_KEPT_MAX.saturating_sub(report.damage.len());
        report.damage.extend(page.damage.into_iter().take(room));
        ports.observer.progress(Progress {
            message: "checking".to_owned(),
            done: report.bytes_read,
            total: None,
            unit: ProgressUnit::Bytes,
            objects: Some(Objects { done: report.partitions, total: page.partitions_total }),
        });
        let Some(cursor) = page.cursor else { return Ok(report) };
        request.expected.clear();
        request.cursor = Some(cursor);
    }
    let subject = ports.datastore.name();
    let message = format!("the datastore {subject} does not come to an end with `check`");
    Err(DatastoreError::Refused { kind: ErrorKind::Corrupt, subject, message }.into())
}

/// Repairs what was found; of a dry run, says what would be done first. A part that somebody holds, or that cannot be repaired
/// here, is left, and the others go on. An interrupt ends it between two parts.
pub async fn repair(
    ports: &CollectPorts<'_>,
    repair: &Repair,
    found: &[Damage],
    interrupt: &Interrupt,
) -> Result<Vec<RepairedPart>, HealthError> {
    let mut parts: BTreeMap<Option<PartitionName>, Vec<Damage>> = BTreeMap::new();
    for damage in found {
        parts.entry(damage.partition.clone()).or_default().push(damage.clone());
    }
    let total = parts.len() as u64;
    let mut repaired = Vec::new();
    for (index, (partition, damage)) in parts.into_iter().enumerate() {
        ports.observer.progress(Progress {
            message: "repairing".to_owned(),
            done: index as u64,
            total: Some(total),
            unit: ProgressUnit::Items,
            objects: None,
        });
        let mut part = RepairedPart { partition, done: Repaired::default(), left: None };
        match repair_part(ports, repair, damage, interrupt, &mut part).await {
            Ok(()) => {}
            Err(HealthError::Datastore(error)) if is_of_part(&error) => part.left = Some(error.to_string()),
            Err(error) => return Err(error),
        }
        repaired.push(part);
    }
    Ok(repaired)
}

async fn repair_part(
    ports: &CollectPorts<'_>,
    repair: &Repair,
    mut damage: Vec<Damage>,
    interrupt: &Interrupt,
    part: &mut RepairedPart,
) -> Result<(), HealthError> {
    for _ in 0..ROUNDS_MAX {
        if interrupt.is_triggered() {
            return Err(HealthError::Interrupted);
        }
        let Some(request) = request_of(ports, repair, part.partition.as_ref(), &damage).await? else {
            part.left = Some(format!(
                "its index is damaged, and this machine knows more of it than the {REPAIR_INDEX_MAX} entries that a repair \
                 takes: nothing was changed, so that none is lost. Repair it on a machine whose replica has the index; what \
                 is here can be read meanwhile"
            ));
            return Ok(());
        };
        let done = ports.datastore.repair(&request).await?;
        let did_something = done.is_something();
        add(&mut part.done, done);
        if !did_something {
            part.left = Some("nothing on this machine makes it good".to_owned());
        }
        let Some(partition) = part.partition.clone().filter(|_| did_something && !repair.dry_run) else {
            return Ok(());
        };
        let again = Check { partitions: Some(vec![partition]), read_data: repair.read_data };
        damage = check(ports, &again, interrupt).await?.damage;
        damage.retain(|damage| damage.partition == part.partition);
        if damage.is_empty() {
            return Ok(());
        }
    }
    part.left = Some(format!("{} damages are left; run it again", damage.len()));
    Ok(())
}

/// What this machine has for a repair; none when it knows more of the index than a repair takes, and that is needed.
async fn request_of(
    ports: &CollectPorts<'_>,
    repair: &Repair,
    partition: Option<&PartitionName>,
    damage: &[Damage],
) -> Result<Option<RepairRequest>, HealthError> {
    let is_of_index = damage.iter().any(|damage| matches!(damage.part, DamagedPart::Head | DamagedPart::Segment));
    let Known { index, is_all } =
        if is_of_index { known(ports, partition)? } else { Known { index: Vec::new(), is_all: true } };
    let partition = partition.cloned();
    let (ttl, wait) = (repair.lease_ttl, repair.lock_timeout);
    let mut request = RepairRequest { partition, ttl, wait, contents: Vec::new(), index, dry_run: true };
    if !is_all && ports.datastore.repair(&request).await?.needs_index() {
        return Ok(None);
    }
    let of_content = damage.iter().filter(|damage| damage.part == DamagedPart::Content);
    for version in of_content.flat_map(|damage| &damage.versions).take(REPAIR_CONTENTS_MAX) {
        let (name, number) = (version.reference.name.clone(), version.reference.version);
        request.contents.push((name, number, here(ports, &version.digest)?));
    }
    request.dry_run = repair.dry_run;
    Ok(Some(request))
}

/// What the local index knows of a partition, as much as a repair takes.
struct Known {
    index: Vec<(Entry, Option<SharedContent>)>,
    is_all: bool,
}

fn known(ports: &CollectPorts<'_>, partition: Option<&PartitionName>) -> Result<Known, StoreError> {
    let mut filter = EntryFilter {
        partition: partition.cloned(),
        committed_only: true,
        limit: Some(INDEX_PAGE),
        ..EntryFilter::default()
    };
    let mut entries = Vec::new();
    while entries.len() <= REPAIR_INDEX_MAX {
        let page = ports.store.entries(&filter)?;
        let Some(last) = page.last() else { break };
        filter.after = Some((last.partition.clone(), last.entry.description.name.clone()));
        entries.extend(page);
    }
    let is_all = entries.len() <= REPAIR_INDEX_MAX;
    entries.truncate(REPAIR_INDEX_MAX);
    // Content is in the index until much else was committed: what may be there is among the newest.
    let mut with_content: Vec<usize> = (0..entries.len()).filter(|place| is_small_and_here(&entries[*place])).collect();
    with_content.sort_by_key(|place| Reverse(entries[*place].entry.description.created_at_ms));
    with_content.truncate(REPAIR_INDEX_CONTENTS_MAX);
    let mut index: Vec<_> = entries.into_iter().map(|stored| (stored.entry, None)).collect();
    for place in with_content {
        let (entry, content) = &mut index[place];
        *content = here(ports, &entry.description.digest)?;
    }
    Ok(Known { index, is_all })
}

fn is_small_and_here(stored: &StoredEntry) -> bool {
    stored.state == StoredState::Here && stored.entry.description.size <= INDEX_CONTENT_BYTES_MAX
}

/// Content that is on this machine. What is damaged here, too, is as good as not here.
fn here(ports: &CollectPorts<'_>, digest: &Digest) -> Result<Option<SharedContent>, StoreError> {
    match ports.store.content(digest) {
        Err(StoreError::Corrupt { .. }) => Ok(None),
        other => other,
    }
}

fn add(sum: &mut Repaired, done: Repaired) {
    sum.restored.extend(done.restored);
    sum.restored.retain(|reference| !done.lost.contains(reference));
    sum.lost.extend(done.lost);
    sum.records_lost += done.records_lost;
    sum.may_lose_commits |= done.may_lose_commits;
    sum.notes.extend(done.notes);
}

/// The refusal is about this part; the others may be repaired.
fn is_of_part(error: &DatastoreError) -> bool {
    matches!(
        error,
        DatastoreError::Refused {
            kind: ErrorKind::Held
                | ErrorKind::Corrupt
                | ErrorKind::Conflict
                | ErrorKind::LeaseLost
                | ErrorKind::Exhausted,
            ..
        }
    )
}
