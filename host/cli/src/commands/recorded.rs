//! What the datastore has recorded of commands: records of runs, and audit entries of other commands.

use peat_core::audit::AuditEntry;
use peat_core::content::read_all;
use peat_core::identifiers::{DataName, PartitionName};
use peat_core::ports::{EntryFilter, LocalStore as _, StoredEntry};
use peat_core::run::RunRecord;

use super::run::read_record;
use crate::composition::Session;
use crate::failure::Failure;

/// Records whose content is brought at once.
const BATCH: usize = 200;

/// Largest audit entry that is read, in bytes: it names at most 20 partitions and holds.
const ENTRY_BYTES_MAX: u64 = 64 * 1024;

/// Something that changed something.
#[derive(Debug)]
pub(super) enum Recorded {
    /// A method run.
    Run(RunRecord),
    /// Another command.
    Command(AuditEntry),
}

/// Which records.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Only those about this partition.
    pub(super) partition: Option<PartitionName>,
    /// Only those written then or later.
    pub(super) since_ms: u64,
    /// At most so many.
    pub(super) limit: usize,
}

impl Recorded {
    fn is_about(&self, partition: Option<&PartitionName>) -> bool {
        match (self, partition) {
            (_, None) | (Self::Run(_), _) => true,
            (Self::Command(entry), Some(partition)) => entry.partitions.contains(partition),
        }
    }
}

/// The newest records that this machine can know of, newest first. Reads no more content than it needs.
pub(super) async fn recorded(session: &Session, wanted: &Wanted) -> Result<Vec<(StoredEntry, Recorded)>, Failure> {
    let mut candidates = Vec::new();
    match &wanted.partition {
        None => {
            session.know_shown(None).await?;
            candidates.extend(entries(session, None, wanted.since_ms)?);
        }
        Some(partition) => {
            session.know_shown(Some(partition)).await?;
            let audit = PartitionName::audit();
            // There may be none, which costs nothing to know where a sync has listed what there is.
            if session.store.partitions()?.contains(&audit) {
                session.know_shown(Some(&audit)).await?;
            }
            candidates.extend(entries(session, Some(partition.clone()), wanted.since_ms)?);
            candidates.extend(entries(session, Some(audit), wanted.since_ms)?);
        }
    }
    // Their ids sort by time.
    candidates.sort_by(|one, other| other.entry.description.run_id.cmp(&one.entry.description.run_id));
    let mut found = Vec::new();
    for batch in candidates.chunks(BATCH.min(wanted.limit.max(1))) {
        session.bring(batch).await?;
        for stored in batch {
            let recorded = read(session, stored).await?;
            if found.len() < wanted.limit && recorded.is_about(wanted.partition.as_ref()) {
                found.push((stored.clone(), recorded));
            }
        }
        if found.len() >= wanted.limit {
            break;
        }
    }
    Ok(found)
}

fn entries(session: &Session, partition: Option<PartitionName>, since_ms: u64) -> Result<Vec<StoredEntry>, Failure> {
    let filter = EntryFilter { partition, name_prefix: Some(".run/".to_owned()), ..EntryFilter::default() };
    let is_wanted = |stored: &StoredEntry| {
        let description = &stored.entry.description;
        description.created_at_ms >= since_ms
            && (is_audit_entry(stored) || description.name == DataName::run_record(&description.run_id))
    };
    Ok(session.store.entries(&filter)?.into_iter().filter(is_wanted).collect())
}

fn is_audit_entry(stored: &StoredEntry) -> bool {
    let description = &stored.entry.description;
    stored.partition == PartitionName::audit() && description.name == DataName::audit_entry(&description.run_id)
}

async fn read(session: &Session, stored: &StoredEntry) -> Result<Recorded, Failure> {
    if !is_audit_entry(stored) {
        return read_record(session, stored).await.map(Recorded::Run);
    }
    let wrong = |reason: String| {
        Failure::Corrupt(format!("the audit entry {} cannot be read: {reason}", stored.entry.description.run_id))
    };
    let content = session.content(stored).await?;
    let bytes = read_all(&*content, ENTRY_BYTES_MAX).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_slice(&bytes).map(Recorded::Command).map_err(|error| wrong(error.to_string()))
}
