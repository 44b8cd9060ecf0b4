//! `peat run list`.

use peat_core::identifiers::ModelName;
use peat_core::ports::StoredEntry;
use peat_core::run::RunRecord;
use serde_json::json;

use super::{is_committed, read_record, record_json, records, status_tone, status_word};
use crate::composition::{Context, Session, run_interruptible};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone, short_duration, timestamp};

/// Lists runs, newest first. Reads no more records than it shows.
pub(super) fn list(context: &Context, model: Option<&ModelName>, limit: usize) -> Result<Answer, Failure> {
    let repository = context.repository()?;
    let partition = match model {
        Some(name) => Some(repository.model_finder()?.get(name)?.model.partition()),
        None => None,
    };
    let session = Session::open(context, repository)?;
    let (runs, total) = run_interruptible(async {
        session.know_shown(partition.as_ref()).await?;
        let mut entries = records(&session, partition)?;
        // Run ids sort by time of start.
        entries.sort_by(|one, other| other.entry.description.run_id.cmp(&one.entry.description.run_id));
        let total = entries.len();
        entries.truncate(limit);
        session.bring(&entries).await?;
        let mut runs: Vec<(StoredEntry, RunRecord)> = Vec::new();
        for stored in entries {
            let record = read_record(&session, &stored).await?;
            runs.push((stored, record));
        }
        Ok((runs, total))
    })?;
    session.close(context);
    let mut page = Page::default();
    if runs.is_empty() {
        page.hint("there is no run yet; start one with `peat model method run MODEL METHOD`");
    } else {
        page.table(table(&runs));
    }
    if total > runs.len() {
        page.hint(format!("{} older runs are not shown; see them with --limit {total}", total - runs.len()));
    }
    let json: Vec<_> = runs
        .iter()
        .map(|(stored, record)| {
            let mut run = record_json(record);
            run["committed"] = json!(is_committed(stored));
            run
        })
        .collect();
    Ok(Answer::new(json!({ "runs": json, "total": total }), page))
}

fn table(runs: &[(StoredEntry, RunRecord)]) -> Table {
    let mut table = Table::new(&["RUN", "STARTED", "MODEL", "METHOD", "STATUS", "TOOK", "SUMMARY"]);
    for (stored, record) in runs {
        let mut status = status_word(record.status).to_owned();
        if !is_committed(stored) {
            status.push_str(", uncommitted");
        }
        table.row(vec![
            Cell::toned(record.run_id.as_str(), Tone::Strong),
            Cell::plain(timestamp(record.started_at_ms)),
            Cell::plain(record.model_name.as_str()),
            Cell::plain(record.method.as_str()),
            Cell::toned(status, status_tone(record.status)),
            Cell::number(short_duration(record.finished_at_ms.saturating_sub(record.started_at_ms))),
            Cell::plain(&record.summary),
        ]);
    }
    table
}
