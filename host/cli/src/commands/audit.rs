//! `peat audit list`: who changed what, from the records of runs and of other commands.

use peat_core::audit::Actor;
use peat_core::ports::StoredEntry;
use serde_json::{Value, json};

use super::recorded::{Recorded, Wanted, recorded};
use super::run::{is_committed, status_tone, status_word};
use crate::arguments::{AuditCommand, AuditList};
use crate::composition::{Context, Models, Session, run_interruptible};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone, timestamp};

pub(super) fn dispatch(context: &Context, command: AuditCommand) -> Result<Answer, Failure> {
    match command {
        AuditCommand::List(arguments) => list(context, &arguments),
    }
}

/// Lists what changed something, newest first. Reads no more records than it shows.
fn list(context: &Context, arguments: &AuditList) -> Result<Answer, Failure> {
    let repository = context.repository()?;
    let models = repository.models()?;
    let partition = arguments.model.as_ref().map(|name| Ok::<_, Failure>(models.get(name)?.model.partition()));
    let session = Session::open(context, repository)?;
    let since_ms = arguments
        .since
        .map_or(0, |since| session.now_ms().saturating_sub(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)));
    let wanted = Wanted { partition: partition.transpose()?, since_ms, limit: arguments.limit };
    let found = run_interruptible(recorded(&session, &wanted))?;
    session.close(context);
    let mut page = Page::default();
    if found.is_empty() {
        page.hint("nothing was changed yet, or not by anybody this machine has heard of: peat datastore sync");
    } else {
        page.table(table(&found, &models));
    }
    let list: Vec<Value> = found.iter().map(|(stored, recorded)| entry_json(stored, recorded)).collect();
    Ok(Answer::new(json!({ "entries": list }), page))
}

fn table(found: &[(StoredEntry, Recorded)], models: &Models) -> Table {
    let mut table = Table::new(&["AT", "USER", "HOST", "PROCESS", "COMMAND", "WHAT", ""]);
    for (stored, recorded) in found {
        let (by, at_ms) = of(recorded);
        let (what, state, tone) = match recorded {
            Recorded::Run(record) => {
                let name = models.by_id(&record.model_id).map_or(&record.model_name, |file| &file.model.name);
                let what = format!("{name} {}: {}", record.method, record.summary);
                (what, status_word(record.status), status_tone(record.status))
            }
            Recorded::Command(entry) => (entry.summary.clone(), "", Tone::Plain),
        };
        let state = match (state, is_committed(stored)) {
            (state, true) => state.to_owned(),
            ("", false) => "uncommitted".to_owned(),
            (state, false) => format!("{state}, uncommitted"),
        };
        table.row(vec![
            Cell::plain(timestamp(at_ms)),
            Cell::toned(&by.user, Tone::Strong),
            Cell::plain(&by.host),
            Cell::number(by.pid.to_string()),
            Cell::plain(&by.command),
            Cell::plain(what),
            Cell::toned(state, tone),
        ]);
    }
    table
}

fn of(recorded: &Recorded) -> (&Actor, u64) {
    match recorded {
        Recorded::Run(record) => (&record.by, record.started_at_ms),
        Recorded::Command(entry) => (&entry.by, entry.at_ms),
    }
}

fn entry_json(stored: &StoredEntry, recorded: &Recorded) -> Value {
    let (by, at_ms) = of(recorded);
    let mut json = json!({
        "id": stored.entry.description.run_id,
        "at": timestamp(at_ms),
        "user": by.user,
        "host": by.host,
        "pid": by.pid,
        "command": by.command,
        "committed": is_committed(stored),
    });
    match recorded {
        Recorded::Run(record) => {
            json["kind"] = json!("run");
            json["model"] = json!(record.model_name);
            json["modelId"] = json!(record.model_id);
            json["method"] = json!(record.method);
            json["status"] = json!(record.status);
            json["summary"] = json!(record.summary);
            json["partitions"] = json!([stored.partition]);
            json["partitionsCount"] = json!(1);
            json["waitedMs"] = json!(record.waited_ms);
            json["heldMs"] = json!(record.hold.map(|hold| hold.held_ms));
        }
        Recorded::Command(entry) => {
            json["kind"] = json!("command");
            json["summary"] = json!(entry.summary);
            json["partitions"] = json!(entry.partitions);
            json["partitionsCount"] = json!(entry.partitions_count);
            json["waitedMs"] = json!(entry.holds.iter().map(|hold| hold.waited_ms).max());
            json["heldMs"] = json!(entry.holds.iter().map(|hold| hold.held_ms).max());
        }
    }
    json
}
