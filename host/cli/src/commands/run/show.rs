//! `peat run show`.

use peat_core::identifiers::{DataName, RunId};
use serde_json::json;

use super::{find, is_committed, read_record, record_json, status_word, unknown};
use crate::composition::{Context, Session, run_interruptible};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone, short_duration, short_size, timestamp};

/// Shows the record of a run.
pub(super) fn show(context: &Context, run: &RunId) -> Result<Answer, Failure> {
    let session = Session::open(context, context.repository()?)?;
    let (stored, record) = run_interruptible(async {
        let stored = find(&session, &DataName::run_record(run)).await?.ok_or_else(|| unknown(run))?;
        let record = read_record(&session, &stored).await?;
        Ok((stored, record))
    })?;
    session.close(context);
    let mut page = Page::default();
    let mut fields = Table::fields();
    fields.field("run", record.run_id.as_str());
    fields.field("model", record.model_name.as_str());
    fields.field("type", record.model_type.as_str());
    fields.field("method", record.method.as_str());
    let place = if is_committed(&stored) { "" } else { ", uncommitted" };
    fields.field("status", format!("{}{place}", status_word(record.status)));
    fields.field("summary", &record.summary);
    fields.field("started", timestamp(record.started_at_ms));
    fields.field("took", short_duration(record.finished_at_ms.saturating_sub(record.started_at_ms)));
    fields.field("waited", short_duration(record.waited_ms));
    fields.field("driver", record.driver.as_str());
    page.table(fields);
    if !record.data.is_empty() {
        page.heading("Data");
        let mut table = Table::new(&["NAME", "SIZE", "SHA-256"]);
        for data in &record.data {
            table.row(vec![
                Cell::toned(data.name.as_str(), Tone::Strong),
                Cell::number(short_size(data.size)),
                Cell::plain(data.digest.to_string()),
            ]);
        }
        page.table(table);
    }
    let mut json = record_json(&record);
    json["committed"] = json!(is_committed(&stored));
    Ok(Answer::new(json!({ "run": json }), page))
}
