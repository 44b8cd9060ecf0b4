//! `peat datastore status`: what this machine knows. Takes no lock, and asks nobody unless it is to measure.

use peat_core::lease::LeaseStatus;
use peat_core::ports::{LocalStore as _, Replica as _, Room, RoomPage};
use peat_store::PartitionSize;
use serde_json::{Value, json};

use super::lock::{all_leases, lease_json, named, state};
use super::profile::{remembered, remembered_findings_on};
use crate::arguments::DatastoreStatus;
use crate::composition::{Context, DatastoreChoice, HydrationNote, Session, hydration_holder, run_interruptible};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone, short_size, timestamp};

/// Pages of a measurement that are read: a hundred million partitions, or an extension that answers for ever.
const PAGES_MAX: usize = 100_000;

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

/// What the shared datastore itself says.
struct Measured {
    rooms: Vec<Room>,
    leases: Vec<LeaseStatus>,
}

/// Asks a shared datastore for its room and leases, as far as it tells.
fn measure(session: &Session) -> Result<Measured, Failure> {
    run_interruptible(async {
        let (mut rooms, mut leases) = (Vec::new(), Vec::new());
        let Some(datastore) = session.datastore().await? else { return Ok(Measured { rooms, leases }) };
        if datastore.features().maintenance {
            let mut cursor: Option<String> = None;
            for _ in 0..PAGES_MAX {
                let RoomPage { rooms: page, cursor: next, .. } = datastore.measure(cursor.as_deref()).await?;
                rooms.extend(page);
                if next.is_none() || next == cursor {
                    break;
                }
                cursor = next;
            }
        }
        if datastore.features().locks {
            leases = all_leases(datastore).await?;
        }
        Ok(Measured { rooms, leases })
    })
}

impl Measured {
    fn json(&self) -> Value {
        let rooms: Vec<Value> = self
            .rooms
            .iter()
            .map(|room| {
                json!({
                    "partition": room.partition,
                    "versions": room.entries,
                    "bytes": room.bytes,
                    "tombstones": room.tombstones,
                    "tombstoneBytes": room.tombstone_bytes,
                })
            })
            .collect();
        json!({ "partitions": rooms, "leases": self.leases.iter().map(lease_json).collect::<Vec<_>>() })
    }

    fn show(&self, page: &mut Page) {
        page.heading("In the datastore");
        let mut table = Table::new(&["PARTITION", "VERSIONS", "SIZE", "GONE, NOT DELETED YET"]);
        for room in &self.rooms {
            table.row(vec![
                Cell::plain(room.partition.as_str()),
                Cell::number(room.entries.to_string()),
                Cell::number(short_size(room.bytes)),
                Cell::number(short_size(room.tombstone_bytes)),
            ]);
        }
        page.table(table);
        for lease in &self.leases {
            page.line(format!("{} is held by {} ({})", lease.partition, named(&lease.holder), state(lease)));
        }
    }
}

fn totals(sizes: &[PartitionSize]) -> (u64, u64) {
    sizes.iter().fold((0, 0), |(versions, bytes), size| (versions + size.versions, bytes.saturating_add(size.bytes)))
}

fn size_json(size: &PartitionSize) -> Value {
    json!({
        "partition": size.partition,
        "versions": size.versions,
        "bytes": size.bytes,
        "missingBytes": size.missing_bytes,
    })
}

/// Shows which datastore is used and what is known of it.
pub(super) fn status(context: &Context, arguments: &DatastoreStatus) -> Result<Answer, Failure> {
    let session = Session::open(context, context.repository()?)?;
    let measured = if arguments.measure { Some(measure(&session)?) } else { None };
    let partitions = session.store.partitions()?;
    let sizes = session.store.sizes()?;
    let held = session.local_queues()?;
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
    let (versions, bytes) = totals(&sizes);
    fields.field("versions", format!("{versions}, {}", short_size(bytes)));
    fields.field("uncommitted", pending.len().to_string());
    if let DatastoreChoice::Shared { .. } = &session.choice {
        json["hydration"] = hydration(&session, &mut fields)?;
    }
    page.table(fields);
    remembered_findings_on(&mut page, profile.as_ref());
    json["sizes"] = sizes.iter().map(size_json).collect();
    if !sizes.is_empty() {
        page.heading("Partitions");
        let mut table = Table::new(&["PARTITION", "VERSIONS", "SIZE", "NOT HERE"]);
        for size in &sizes {
            table.row(vec![
                Cell::plain(size.partition.as_str()),
                Cell::number(size.versions.to_string()),
                Cell::number(short_size(size.bytes)),
                Cell::number(short_size(size.missing_bytes)),
            ]);
        }
        page.table(table);
    }
    json["heldHere"] = held
        .iter()
        .map(|(partition, queue)| {
            json!({ "partition": partition, "pid": queue.holder.pid, "command": queue.holder.command, "waiting": queue.waiting.len() })
        })
        .collect();
    if !held.is_empty() {
        page.heading("Held on this machine");
        for (partition, queue) in &held {
            page.line(format!("{partition} by process {} ({})", queue.holder.pid, queue.holder.command));
        }
    }
    if let Some(measured) = &measured {
        measured.show(&mut page);
        json["measured"] = measured.json();
    }
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
