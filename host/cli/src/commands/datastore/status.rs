//! `peat datastore status`: what this machine knows. Asks nobody, takes no lock.

use peat_core::ports::{LocalStore as _, Replica as _};
use serde_json::{Value, json};

use super::profile::{remembered, remembered_findings_on};
use crate::composition::{Context, DatastoreChoice, HydrationNote, Session, hydration_holder};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone, short_size, timestamp};

/// What is not here, and who brings it.
fn hydration(session: &Session, fields: &mut Table) -> Result<Value, Failure> {
    let (unread, missing) = (session.store.unread()?, session.store.missing_total(None)?);
    let (note, holder) = (HydrationNote::of(&session.store)?, hydration_holder(&session.store_path())?);
    let strategy = session.repository.config.hydration_strategy;
    let state = match (holder, note.stopped, &note.failure) {
        (Some(_), ..) => "running",
        (None, true, _) => "stopped",
        (None, false, Some(_)) => "failed",
        (None, false, None) => "idle",
    };
    if !unread.is_empty() {
        fields.field("not read yet", format!("{} partitions", unread.len()));
    }
    if missing.entries > 0 {
        let size = short_size(missing.bytes);
        fields.field("not here", format!("the content of {} entries, {size}", missing.entries));
    }
    match (holder, &note.failure) {
        (Some(process), _) => fields.field("hydration", format!("running in the background, process {process}")),
        (None, Some(failure)) => fields.field("hydration", format!("failed: {failure}")),
        (None, None) if note.stopped => fields.field("hydration", "stopped; peat datastore hydrate goes on"),
        (None, None) => {}
    }
    Ok(json!({
        "strategy": strategy,
        "unreadPartitions": unread,
        "missing": { "entries": missing.entries, "bytes": missing.bytes },
        "background": {
            "state": state,
            "process": holder,
            "endedAt": note.ended_at_ms.map(timestamp),
            "failure": note.failure,
        },
    }))
}

/// Shows which datastore is used and what is known of it.
pub(super) fn status(context: &Context) -> Result<Answer, Failure> {
    let session = Session::open(context, context.repository()?)?;
    let partitions = session.store.partitions()?;
    let known = session.store.known(&partitions)?;
    let pending = session.store.pending(None)?;
    let profile = remembered(&session)?;
    let mut page = Page::default();
    let mut fields = Table::fields();
    let mut json = json!({
        "namespace": session.repository.namespace(),
        "localStore": session.store_path(),
        "partitions": partitions.len(),
        "profile": profile,
    });
    match &session.choice {
        DatastoreChoice::Local { .. } => {
            json["kind"] = json!("local");
            fields.field("datastore", "local");
        }
        DatastoreChoice::Shared { configured, settings, .. } => {
            json["kind"] = json!("shared");
            json["extension"] = json!(configured.extension);
            json["settings"] = settings.clone();
            json["leaseTtlMs"] = json!(u64::try_from(configured.lease_ttl.as_millis()).unwrap_or(u64::MAX));
            fields.field("datastore", configured.extension.as_str());
            for (name, value) in settings.as_object().into_iter().flatten() {
                fields.field(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            }
        }
    }
    if let Some(store_id) = profile.as_ref().and_then(|profile| profile["storeId"].as_str()) {
        fields.field("store id", store_id);
    }
    fields.field("namespace", session.repository.namespace().as_str());
    fields.field("local store", session.store_path().display().to_string());
    fields.field("partitions", partitions.len().to_string());
    fields.field("uncommitted", pending.len().to_string());
    if let DatastoreChoice::Shared { .. } = &session.choice {
        json["hydration"] = hydration(&session, &mut fields)?;
    }
    page.table(fields);
    remembered_findings_on(&mut page, profile.as_ref());
    if !pending.is_empty() {
        page.heading("Uncommitted");
        let mut table = Table::new(&["COMMIT", "PARTITION", "SINCE"]);
        for commit in &pending {
            table.row(vec![
                Cell::toned(commit.changes.commit_id.as_str(), Tone::Attention),
                Cell::plain(commit.changes.partition.as_str()),
                Cell::plain(timestamp(commit.staged_at_ms)),
            ]);
        }
        page.table(table);
        page.hint("next: peat datastore sync");
    }
    json["uncommitted"] = pending
        .iter()
        .map(|commit| {
            json!({
                "commit": commit.changes.commit_id,
                "partition": commit.changes.partition,
                "stagedAt": timestamp(commit.staged_at_ms),
            })
        })
        .collect();
    json["knownPartitions"] = partitions
        .iter()
        .zip(known)
        .map(|(partition, version)| json!({ "partition": partition, "version": version }))
        .collect::<Value>();
    Ok(Answer::new(json!({ "datastore": json }), page))
}
