//! `peat datastore sync`.

use std::time::Duration;

use peat_core::sync::{SyncReport, SyncRequest, sync as sync_all};
use serde_json::json;

use crate::composition::{Context, Session, run_async};
use crate::failure::Failure;
use crate::rendering::{Answer, Page, Tone, short_size};

/// Sends what is only here and brings what others wrote.
pub(super) fn sync(context: &Context, lock_timeout: Option<Duration>) -> Result<Answer, Failure> {
    let session = Session::open(context, context.repository()?)?;
    let config = &session.repository.config;
    let Some(shared) = config.datastore.shared() else {
        let mut page = Page::default();
        page.line("the datastore is local: there is nothing to sync");
        return Ok(Answer::new(json!({ "sync": report_json(&SyncReport::default()) }), page));
    };
    let request = SyncRequest {
        hydration: config.hydration_strategy,
        lock_timeout: lock_timeout.unwrap_or(config.lock_timeout),
        lease_ttl: shared.lease_ttl,
    };
    let report = run_async(async |interrupt| {
        let datastore = session
            .datastore()
            .await?
            .ok_or_else(|| Failure::Internal("a shared datastore is configured and none is there".to_owned()))?;
        Ok(Box::pin(sync_all(&session.sync_ports(datastore), &request, &interrupt)).await?)
    })?;
    drop(session);
    let mut page = Page::default();
    page.text_line(sentence(&report), Tone::Good);
    Ok(Answer::new(json!({ "sync": report_json(&report) }), page))
}

fn report_json(report: &SyncReport) -> serde_json::Value {
    json!({
        "commitsPushed": report.commits_pushed,
        "partitionsChanged": report.brought.partitions_changed,
        "entries": report.brought.entries,
        "contents": report.brought.contents,
        "bytes": report.brought.bytes,
    })
}

fn sentence(report: &SyncReport) -> String {
    let brought = &report.brought;
    if *report == SyncReport::default() {
        return "in sync, nothing to send or bring".to_owned();
    }
    let count = |number: u64, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    format!(
        "sent {}, brought {} in {} and {} of content",
        count(report.commits_pushed, "commit", "commits"),
        count(brought.entries, "entry", "entries"),
        count(brought.partitions_changed, "partition", "partitions"),
        short_size(brought.bytes),
    )
}

#[cfg(test)]
mod tests {
    use peat_core::hydrate::Hydrated;

    use super::*;

    #[test]
    fn the_sentence_counts_what_happened() {
        assert_eq!(sentence(&SyncReport::default()), "in sync, nothing to send or bring");
        let brought = Hydrated { partitions_changed: 1, entries: 2, contents: 2, bytes: 2048 };
        let report = SyncReport { commits_pushed: 1, brought };
        assert_eq!(sentence(&report), "sent 1 commit, brought 2 entries in 1 partition and 2.0 KiB of content");
    }
}
