//! `peat datastore sync`.

use std::time::Instant;

use peat_core::identifiers::PartitionName;
use peat_core::interrupt::Interrupt;
use peat_core::sync::{self, SyncError, SyncPorts, SyncReport, SyncRequest};
use peat_core::transfer::{Lost, TransferFailure};
use serde_json::{Value, json};

use crate::arguments::DatastoreSync;
use crate::composition::{Context, Session, run_async};
use crate::failure::{Failure, error_json, of_sync};
use crate::rendering::{Answer, Page, Tone, short_size};

/// Sends what is only here and brings what others wrote.
pub(super) fn sync(context: &Context, arguments: &DatastoreSync) -> Result<Answer, Failure> {
    transfer(context, arguments, true)
}

/// Sends what is only here.
pub(super) fn push(context: &Context, arguments: &DatastoreSync) -> Result<Answer, Failure> {
    transfer(context, arguments, false)
}

fn transfer(context: &Context, arguments: &DatastoreSync, brings: bool) -> Result<Answer, Failure> {
    let repository = context.repository()?;
    let partitions = partitions(&repository, &arguments.models)?;
    let session = Session::open(context, repository)?;
    let config = &session.repository.config;
    let Some(shared) = config.datastore.shared() else {
        let mut page = Page::default();
        page.line("the datastore is local: there is nothing to sync");
        return Ok(Answer::new(json!({ "sync": report_json(&SyncReport::default()) }), page));
    };
    let request = SyncRequest {
        hydration: config.hydration_strategy,
        partitions,
        lock_timeout: arguments.lock_timeout.unwrap_or(config.lock_timeout),
        lease_ttl: shared.lease_ttl,
        timeout: arguments.timeout,
    };
    let synced = run_async(async |interrupt| {
        let opening = session.shared_unless_interrupted(&interrupt);
        let Some(timeout) = request.timeout else {
            return Ok(carry(brings, &session.sync_ports(opening.await?), &request, &interrupt).await);
        };
        // The extension may have to be compiled first: that counts too.
        let began = Instant::now();
        let timed_out = |report| SyncError::TimedOut { report, timeout };
        let Ok(opened) = tokio::time::timeout(timeout, opening).await else {
            return Ok(Err(timed_out(SyncReport::default())));
        };
        let request = SyncRequest { timeout: Some(timeout.saturating_sub(began.elapsed())), ..request.clone() };
        let synced = carry(brings, &session.sync_ports(opened?), &request, &interrupt).await;
        Ok(synced.map_err(|error| match error {
            SyncError::TimedOut { report, .. } => timed_out(report),
            other => other,
        }))
    })?;
    session.close(context);
    answer(synced)
}

async fn carry(
    brings: bool,
    ports: &SyncPorts<'_>,
    request: &SyncRequest,
    interrupt: &Interrupt,
) -> Result<SyncReport, SyncError> {
    if brings {
        Box::pin(sync::sync(ports, request, interrupt)).await
    } else {
        Box::pin(sync::push(ports, request, interrupt)).await
    }
}

/// The partitions of models; none for all.
pub(in crate::commands) fn partitions(
    repository: &crate::composition::Repository,
    models: &[peat_core::identifiers::ModelName],
) -> Result<Option<Vec<PartitionName>>, Failure> {
    if models.is_empty() {
        return Ok(None);
    }
    let known = repository.model_finder()?;
    let mut partitions: Vec<PartitionName> =
        models.iter().map(|name| Ok(known.get(name)?.model.partition())).collect::<Result<_, Failure>>()?;
    partitions.sort();
    partitions.dedup();
    Ok(Some(partitions))
}

/// What was done, also where not all of it was.
pub(super) fn answer(synced: Result<SyncReport, SyncError>) -> Result<Answer, Failure> {
    let mut page = Page::default();
    let error = match synced {
        Ok(report) => {
            page.text_line(sentence(&report), Tone::Good);
            return Ok(Answer::new(json!({ "sync": report_json(&report) }), page));
        }
        Err(error) => error,
    };
    let (report, failures) = match &error {
        SyncError::Incomplete { report, failures } => (report, Some(failures)),
        SyncError::TimedOut { report, .. } | SyncError::Interrupted { report } => (report, None),
        SyncError::Stopped(_) => return Err(error.into()),
    };
    page.line(sentence(report));
    let (code, message) = (of_sync(&error), error.to_string());
    let mut json = json!({ "sync": report_json(report) });
    if let Some(failures) = failures {
        json["failures"] = failures.told.iter().map(failure_json).collect();
        json["failuresCount"] = failures.count.into();
    }
    json["error"] = error_json(code, &message)["error"].take();
    Ok(Answer::new(json, page).failing(code, message))
}

fn failure_json(failure: &TransferFailure) -> Value {
    let (name, version) = match &failure.lost {
        Lost::Content { name, version } => (Some(name), Some(version)),
        Lost::Commits | Lost::Index => (None, None),
    };
    let what = match failure.lost {
        Lost::Commits => "commits",
        Lost::Index => "index",
        Lost::Content { .. } => "content",
    };
    let message = failure.error.to_string();
    json!({ "partition": failure.partition, "what": what, "name": name, "version": version, "message": message })
}

fn report_json(report: &SyncReport) -> Value {
    json!({
        "commitsPushed": report.commits_pushed,
        "partitionsChanged": report.brought.partitions_changed,
        "entries": report.brought.entries,
        "contents": report.brought.contents,
        "bytes": report.brought.bytes,
        "unreadPartitions": report.unread,
        "missing": { "entries": report.missing.entries, "bytes": report.missing.bytes },
    })
}

fn sentence(report: &SyncReport) -> String {
    let brought = &report.brought;
    let count = |number: u64, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    let mut sentence = if report.commits_pushed == 0 && *brought == Default::default() {
        "in sync, nothing to send or bring".to_owned()
    } else {
        format!(
            "sent {}, brought {} in {} and {} of content",
            count(report.commits_pushed, "commit", "commits"),
            count(brought.entries, "entry", "entries"),
            count(brought.partitions_changed, "partition", "partitions"),
            short_size(brought.bytes),
        )
    };
    if report.unread > 0 {
        sentence.push_str(&format!(
            "; {} come with their first use",
            count(report.unread, "other partition", "other partitions")
        ));
    }
    if report.missing.entries > 0 {
        sentence.push_str(&format!(
            "; the content of {} ({}) is not here",
            count(report.missing.entries, "entry", "entries"),
            short_size(report.missing.bytes)
        ));
    }
    sentence
}

#[cfg(test)]
mod tests {
    use peat_core::ports::Missing;
    use peat_core::transfer::Hydrated;

    use super::*;

    #[test]
    fn the_sentence_counts_what_happened() {
        assert_eq!(sentence(&SyncReport::default()), "in sync, nothing to send or bring");
        let brought = Hydrated { partitions_changed: 1, entries: 2, contents: 2, bytes: 2048 };
        let full = SyncReport { commits_pushed: 1, brought, ..SyncReport::default() };
        assert_eq!(sentence(&full), "sent 1 commit, brought 2 entries in 1 partition and 2.0 KiB of content");
        let missing = Missing { entries: 3, bytes: 1024 };
        let lazy = SyncReport { unread: 2, missing, ..SyncReport::default() };
        assert_eq!(
            sentence(&lazy),
            "in sync, nothing to send or bring; 2 other partitions come with their first use; the content of 3 entries \
             (1.0 KiB) is not here"
        );
    }
}
