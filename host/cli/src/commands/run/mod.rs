//! `peat run`.

mod list;
mod logs;
mod show;

use peat_core::content::read_all;
use peat_core::identifiers::{DataName, PartitionName, RunId};
use peat_core::ports::{EntryFilter, LocalStore as _, StoredEntry, StoredState};
use peat_core::run::{RunRecord, RunStatus};
use serde_json::{Value, json};

use crate::arguments::RunCommand;
use crate::composition::{Context, Session};
use crate::failure::Failure;
use crate::rendering::{Answer, Tone, timestamp};

/// Largest record that is read, in bytes: it names what a run wrote, at some 200 bytes an item.
const RECORD_BYTES_MAX: u64 = 16 * 1024 * 1024;

pub(super) fn dispatch(context: &Context, command: RunCommand) -> Result<Answer, Failure> {
    match command {
        RunCommand::List { model, limit } => list::list(context, model.as_ref(), limit),
        RunCommand::Show { run } => show::show(context, &run),
        RunCommand::Logs { run } => logs::logs(context, &run),
    }
}

/// The JSON of a run.
pub(super) fn record_json(record: &RunRecord) -> Value {
    let data: Vec<Value> =
        record.data.iter().map(|data| json!({ "name": data.name, "size": data.size, "sha256": data.digest })).collect();
    json!({
        "id": record.run_id,
        "model": record.model_name,
        "modelId": record.model_id,
        "type": record.model_type,
        "method": record.method,
        "status": record.status,
        "summary": record.summary,
        "startedAt": timestamp(record.started_at_ms),
        "finishedAt": timestamp(record.finished_at_ms),
        "durationMs": record.finished_at_ms.saturating_sub(record.started_at_ms),
        "waitedMs": record.waited_ms,
        "driver": record.driver,
        "data": data,
        "logBytesDropped": record.log_bytes_dropped,
    })
}

pub(super) fn status_tone(status: RunStatus) -> Tone {
    match status {
        RunStatus::Succeeded => Tone::Good,
        RunStatus::Failed | RunStatus::LeaseLost => Tone::Bad,
        RunStatus::Interrupted => Tone::Attention,
    }
}

pub(super) fn status_word(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Succeeded => "succeeded",
        RunStatus::Failed => "failed",
        RunStatus::Interrupted => "interrupted",
        RunStatus::LeaseLost => "lease lost",
    }
}

/// The entries of run records, of one or all models.
fn records(session: &Session, partition: Option<PartitionName>) -> Result<Vec<StoredEntry>, Failure> {
    let filter = EntryFilter { partition, name_prefix: Some(".run/".to_owned()), ..EntryFilter::default() };
    let entries = session.store.entries(&filter)?;
    let is_record =
        |stored: &StoredEntry| stored.entry.description.name == DataName::run_record(&stored.entry.description.run_id);
    Ok(entries.into_iter().filter(is_record).collect())
}

/// One item of a run: its record or its log. Where this machine knows none, it looks into what it has not read yet.
async fn find(session: &Session, name: &DataName) -> Result<Option<StoredEntry>, Failure> {
    if let Some(stored) = item(session, name)? {
        return Ok(Some(stored));
    }
    session.know_shown(None).await?;
    item(session, name)
}

fn item(session: &Session, name: &DataName) -> Result<Option<StoredEntry>, Failure> {
    for partition in session.store.partitions()? {
        let filter = EntryFilter {
            partition: Some(partition),
            name: Some(name.clone()),
            limit: Some(1),
            ..EntryFilter::default()
        };
        if let Some(stored) = session.store.entries(&filter)?.into_iter().next() {
            return Ok(Some(stored));
        }
    }
    Ok(None)
}

fn unknown(run: &RunId) -> Failure {
    Failure::NotFound(format!(
        "there is no run {run} on this machine; `peat run list` shows what there is, `peat datastore sync` brings those \
         of others"
    ))
}

pub(super) async fn read_record(session: &Session, stored: &StoredEntry) -> Result<RunRecord, Failure> {
    let wrong = |reason: String| {
        Failure::Corrupt(format!("the record of run {} cannot be read: {reason}", stored.entry.description.run_id))
    };
    let content = session.content(stored).await?;
    let bytes = read_all(&*content, RECORD_BYTES_MAX).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))
}

pub(super) fn is_committed(stored: &StoredEntry) -> bool {
    stored.state != StoredState::Uncommitted
}
