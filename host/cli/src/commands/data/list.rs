//! `peat data list`.

use peat_core::identifiers::ModelName;
use peat_core::ports::{EntryFilter, LocalStore as _, StoredEntry};
use serde_json::json;

use super::{entry_json, note, version_word};
use crate::composition::{Context, Models, Session, run_interruptible};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone, short_size, timestamp};

/// Lists the newest versions this machine knows of.
pub(super) fn list(context: &Context, model: Option<&ModelName>) -> Result<Answer, Failure> {
    let repository = context.repository()?;
    let models = repository.models()?;
    let partition = model.map(|name| models.get(name).map(|file| file.model.partition())).transpose()?;
    let session = Session::open(context, repository)?;
    let unread = run_interruptible(session.know_shown(partition.as_ref()))?;
    let filter = EntryFilter { partition, latest_only: true, public_only: true, ..EntryFilter::default() };
    let entries = session.store.entries(&filter)?;
    session.close(context);
    let mut page = Page::default();
    if entries.is_empty() {
        page.hint("there is no data yet; methods produce it: peat model method run MODEL METHOD");
    } else {
        page.table(table(&entries, &models));
    }
    let json: Vec<_> = entries.iter().map(|stored| entry_json(stored, model_name(stored, &models))).collect();
    if !unread.is_empty() {
        page.hint(format!("the data of {} models is not known here; peat datastore sync", unread.len()));
    }
    Ok(Answer::new(json!({ "data": json, "unreadPartitions": unread }), page))
}

fn table(entries: &[StoredEntry], models: &Models) -> Table {
    let mut table = Table::new(&["MODEL", "DATA", "VERSION", "SIZE", "CREATED", ""]);
    for stored in entries {
        let description = &stored.entry.description;
        let model = match model_name(stored, models) {
            Some(name) => name.to_string(),
            None => stored.partition.model().map_or_else(|| stored.partition.to_string(), |(_, id)| format!("({id})")),
        };
        table.row(vec![
            Cell::plain(model),
            Cell::toned(description.name.as_str(), Tone::Strong),
            Cell::number(version_word(stored)),
            Cell::number(short_size(description.size)),
            Cell::plain(timestamp(description.created_at_ms)),
            Cell::toned(note(stored), Tone::Attention),
        ]);
    }
    table
}

fn model_name<'a>(stored: &StoredEntry, models: &'a Models) -> Option<&'a ModelName> {
    let (_, id) = stored.partition.model()?;
    models.by_id(&id).map(|file| &file.model.name)
}
