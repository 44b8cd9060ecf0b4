//! `peat data`.

mod gc;
mod get;
mod list;
mod prune;
mod versions;

use peat_core::entry::Lifetime;
use peat_core::identifiers::{DataName, ModelName, PartitionName};
use peat_core::ports::{EntryFilter, LocalStore as _, StoredEntry, StoredState};
use serde_json::{Value, json};

use crate::arguments::DataCommand;
use crate::composition::{Context, Session, nearest};
use crate::failure::Failure;
use crate::rendering::{Answer, timestamp};

pub(super) fn dispatch(context: &Context, command: DataCommand) -> Result<Answer, Failure> {
    match command {
        DataCommand::List { model } => list::list(context, model.as_ref()),
        DataCommand::Get { model, name, version, output } => {
            let wanted = get::Wanted { model, name, version };
            get::get(context, &wanted, output.as_deref())
        }
        DataCommand::Gc(arguments) => gc::gc(context, &arguments),
        DataCommand::Prune(arguments) => prune::prune(context, &arguments),
        DataCommand::Versions { model, name } => versions::versions(context, &model, &name),
    }
}

/// The JSON of a version.
pub(super) fn entry_json(stored: &StoredEntry, model: Option<&ModelName>) -> Value {
    let description = &stored.entry.description;
    let committed = stored.state != StoredState::Uncommitted;
    json!({
        "model": model,
        "modelId": stored.partition.model().map(|(_, id)| id),
        "name": description.name,
        "version": committed.then_some(stored.entry.version),
        "state": state_word(stored.state),
        "size": description.size,
        "sha256": description.digest,
        "contentType": description.content_type,
        "lifetime": lifetime_json(description.lifetime),
        "tags": description.tags,
        "createdAt": timestamp(description.created_at_ms),
        "run": description.run_id,
        "ofFailedRun": description.of_failed_run,
    })
}

fn lifetime_json(lifetime: Lifetime) -> Value {
    match lifetime {
        Lifetime::Infinite => json!("infinite"),
        Lifetime::Run => json!("run"),
        Lifetime::DurationMs(milliseconds) => json!({ "durationMs": milliseconds }),
    }
}

fn state_word(state: StoredState) -> &'static str {
    match state {
        StoredState::Here => "here",
        StoredState::Remote => "remote",
        StoredState::Uncommitted => "uncommitted",
    }
}

/// Version and state in one word.
fn version_word(stored: &StoredEntry) -> String {
    match stored.state {
        StoredState::Uncommitted => "–".to_owned(),
        _ => stored.entry.version.to_string(),
    }
}

/// What is worth saying of a version besides its number.
fn note(stored: &StoredEntry) -> String {
    let mut words = Vec::new();
    match stored.state {
        StoredState::Here => {}
        StoredState::Remote => words.push("not on this machine"),
        StoredState::Uncommitted => words.push("uncommitted"),
    }
    if stored.entry.description.of_failed_run {
        words.push("of a failed run");
    }
    words.join(", ")
}

/// Every version of a data item; a failure that suggests the nearest name when there is none.
fn versions_of(
    session: &Session,
    model: &ModelName,
    partition: &PartitionName,
    name: &DataName,
) -> Result<Vec<StoredEntry>, Failure> {
    let filter = EntryFilter { partition: Some(partition.clone()), name: Some(name.clone()), ..EntryFilter::default() };
    let versions = session.store.entries(&filter)?;
    if !versions.is_empty() {
        return Ok(versions);
    }
    let filter = EntryFilter {
        partition: Some(partition.clone()),
        latest_only: true,
        public_only: true,
        limit: Some(1000),
        ..EntryFilter::default()
    };
    let known = session.store.entries(&filter)?;
    let near = nearest(name.as_str(), known.iter().map(|stored| stored.entry.description.name.as_str()));
    let advice = match near {
        Some(near) => format!("did you mean {near}?"),
        None => format!("`peat data list {model}` shows what there is, `peat datastore sync` brings what others wrote"),
    };
    Err(Failure::NotFound(format!("model {model} has no data {name}; {advice}")))
}
