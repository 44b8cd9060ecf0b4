//! `peat data versions`.

use peat_core::identifiers::{DataName, ModelName};
use serde_json::json;

use super::{entry_json, note, version_word, versions_of};
use crate::composition::{Context, Session, run_interruptible};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, short_size, timestamp};

/// Lists every version of a data item, newest first.
pub(super) fn versions(context: &Context, model: &ModelName, name: &str) -> Result<Answer, Failure> {
    let name = DataName::parse(name)?;
    let repository = context.repository()?;
    let partition = repository.model_finder()?.get(model)?.model.partition();
    let session = Session::open(context, repository)?;
    if session.repository.shared_datastore().is_some() {
        run_interruptible(session.know(&partition))?;
    }
    let versions = versions_of(&session, model, &partition, &name)?;
    session.close(context);
    let mut page = Page::default();
    let mut table = Table::new(&["VERSION", "SIZE", "CREATED", "RUN", ""]);
    for stored in &versions {
        let description = &stored.entry.description;
        table.row(vec![
            Cell::number(version_word(stored)),
            Cell::number(short_size(description.size)),
            Cell::plain(timestamp(description.created_at_ms)),
            Cell::plain(description.run_id.as_str()),
            Cell::plain(note(stored)),
        ]);
    }
    page.table(table);
    let json: Vec<_> = versions.iter().map(|stored| entry_json(stored, Some(model))).collect();
    Ok(Answer::new(json!({ "versions": json }), page))
}
