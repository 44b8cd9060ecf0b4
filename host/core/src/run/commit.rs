//! The last step: results, record and log become durable, in one commit, and the lease is released in the same write.

use std::time::Duration;

use super::data::Origin;
use super::execute::{Ending, Executed};
use super::open::Opened;
use super::record::{HoldTimes, RunRecord, RunStatus, WrittenData, summary_line};
use super::{RunError, RunPorts, RunReport};
use crate::content::{self, SharedContent};
use crate::digest::Digest;
use crate::entry::{ChangeSet, Description, Lifetime, NewEntry};
use crate::hold::{Held, HoldError};
use crate::hydrate;
use crate::identifiers::DataName;
use crate::ports::{DatastoreError, MethodError, PushReceipt, PushRequest, StoreError, StoredEntry, StoredState};
use crate::renewal::is_lost;

/// What a run produced, on its way to the datastore.
pub(super) struct Staged {
    changes: ChangeSet,
    record: RunRecord,
    failure: Option<MethodError>,
}

/// Keeps what the run produced on this machine as uncommitted, where it has yet to reach a datastore.
pub(super) fn stage(
    ports: &RunPorts<'_>,
    opened: &Opened,
    held: &Held,
    executed: Executed<'_>,
) -> Result<Staged, RunError> {
    let hold = held
        .records(ports.clock)
        .first()
        .map(|record| HoldTimes { acquired_at_ms: record.acquired_at_ms, held_ms: record.held_ms });
    let (staged, lease_lost) = prepare(opened, held.waited, hold, executed)?;
    if ports.datastore.is_some() {
        ports.store.stage(&staged.changes, ports.clock.now_ms())?;
    }
    match lease_lost {
        Some(source) => {
            let (partition, commit) = (staged.changes.partition, staged.changes.commit_id);
            Err(RunError::LeaseLost { partition, commit, source })
        }
        None => Ok(staged),
    }
}

/// Makes it durable where the datastore promises it.
pub(super) async fn commit(
    ports: &RunPorts<'_>,
    opened: &Opened,
    held: &Held,
    staged: Staged,
) -> Result<RunReport, RunError> {
    let Staged { changes, record, failure } = staged;
    let receipt = match ports.datastore {
        None => {
            let receipt = ports.store.commit(&changes)?;
            held.note_commit(&changes.partition);
            receipt
        }
        Some(datastore) => {
            let (partition, commit) = (changes.partition.clone(), changes.commit_id.clone());
            let request = PushRequest { changes, lease: None, release: true, may_be_repeated: false };
            let receipt = match held.push(&ports.hold(), datastore, request).await {
                Ok(receipt) => receipt,
                Err(source) if is_lost(&source) => return Err(RunError::LeaseLost { partition, commit, source }),
                Err(source) => return Err(RunError::NotPushed { commit, source }),
            };
            if let Err(error) = hydrate::confirm(ports.store, datastore, &commit, &partition, &receipt) {
                return Err(match error {
                    HoldError::Datastore(source) => RunError::NotPushed { commit, source },
                    other => other.into(),
                });
            }
            receipt
        }
    };
    Ok(RunReport { record, entries: written(opened, receipt), failure })
}

/// What is to be committed, and how the lease was lost, if it was.
fn prepare(
    opened: &Opened,
    waited: Duration,
    hold: Option<HoldTimes>,
    executed: Executed<'_>,
) -> Result<(Staged, Option<DatastoreError>), RunError> {
    let (status, summary, failure, lease_lost) = match executed.ending {
        Ending::Method(Ok(outcome)) => (RunStatus::Succeeded, outcome.summary, None, None),
        Ending::Method(Err(MethodError::Interrupted)) => {
            let error = MethodError::Interrupted;
            (RunStatus::Interrupted, error.to_string(), Some(error), None)
        }
        Ending::Method(Err(error)) => (RunStatus::Failed, error.to_string(), Some(error), None),
        Ending::LeaseLost(error) => (RunStatus::LeaseLost, error.to_string(), None, Some(error)),
    };
    let origin = Origin {
        run_id: &opened.run_id,
        created_at_ms: executed.finished_at_ms,
        of_failed_run: status != RunStatus::Succeeded,
    };
    let rules = opened.retention();
    let mut append = executed.data.into_entries(&origin, &rules).map_err(unreadable)?;
    let data = append
        .iter()
        .map(|entry| WrittenData {
            name: entry.description.name.clone(),
            size: entry.description.size,
            digest: entry.description.digest,
        })
        .collect();
    let model = &opened.request.model;
    let record = RunRecord {
        run_id: opened.run_id.clone(),
        model_id: model.id.clone(),
        model_name: model.name.clone(),
        model_type: model.model_type.clone(),
        method: opened.request.method.clone(),
        status,
        summary: summary_line(&summary),
        started_at_ms: opened.started_at_ms,
        finished_at_ms: executed.finished_at_ms,
        waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
        hold,
        by: opened.request.by.clone(),
        data,
        log_bytes_dropped: executed.log.dropped,
        driver: executed.driver,
    };
    let text = serde_json::to_vec(&record).expect("a record of strings and numbers always serialises");
    // Record and log are facts about the run, whether it failed or not: they are never hidden as "of a failed run".
    let kept = rules.of_runs();
    append.push(host_item(
        &origin,
        kept,
        DataName::run_record(&opened.run_id),
        content::in_memory(text),
        "application/json",
    )?);
    if executed.log.content.size() > 0 {
        append.push(host_item(&origin, kept, DataName::run_log(&opened.run_id), executed.log.content, "text/plain")?);
    }
    let changes = ChangeSet {
        commit_id: opened.commit_id.clone(),
        partition: opened.partition.clone(),
        append,
        remove: Vec::new(),
    };
    Ok((Staged { changes, record, failure }, lease_lost))
}

fn host_item(
    origin: &Origin<'_>,
    lifetime: Lifetime,
    name: DataName,
    content: SharedContent,
    content_type: &str,
) -> Result<NewEntry, RunError> {
    let digest: Digest = content::digest(&*content).map_err(unreadable)?;
    let description = Description {
        name,
        size: content.size(),
        digest,
        content_type: content_type.to_owned(),
        lifetime,
        tags: Vec::new(),
        created_at_ms: origin.created_at_ms,
        run_id: origin.run_id.clone(),
        of_failed_run: false,
    };
    Ok(NewEntry { description, content, version_cap: None, version: None })
}

fn written(opened: &Opened, receipt: PushReceipt) -> Vec<StoredEntry> {
    receipt
        .entries
        .into_iter()
        .filter(|entry| !entry.description.name.is_reserved())
        .map(|entry| StoredEntry { partition: opened.partition.clone(), entry, state: StoredState::Here })
        .collect()
}

fn unreadable(error: std::io::Error) -> RunError {
    StoreError::Io { path: "spooled content of the run".to_owned(), reason: error.to_string() }.into()
}
