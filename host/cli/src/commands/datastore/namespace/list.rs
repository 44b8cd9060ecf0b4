//! `peat datastore namespace list`.

use peat_core::namespace::NamespaceState;
use serde_json::{Value, json};

use super::{all_namespaces, namespace_json, state_words, with_namespaces};
use crate::composition::{Context, Session, run_interruptible};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone, timestamp};

/// Shows every namespace of the datastore. Takes no lock.
pub(super) fn list(context: &Context) -> Result<Answer, Failure> {
    let session = Session::open(context, context.repository()?)?;
    let mut namespaces =
        run_interruptible(async { all_namespaces(with_namespaces(&session, "this command").await?).await })?;
    namespaces.retain(|namespace| namespace.parent.is_none());
    let current = session.repository.namespace().clone();
    drop(session);
    let mut page = Page::default();
    let mut table = Table::new(&["NAMESPACE", "STATE", "CREATED", ""]);
    for namespace in &namespaces {
        let tone = if namespace.state == NamespaceState::Active { Tone::Good } else { Tone::Attention };
        table.row(vec![
            Cell::plain(namespace.name.as_str()),
            Cell::toned(state_words(&namespace.state), tone),
            Cell::plain(timestamp(namespace.created_at_ms)),
            Cell::plain(if namespace.name == current { "this repository's" } else { "" }),
        ]);
    }
    page.table(table);
    let json: Vec<Value> = namespaces.iter().map(namespace_json).collect();
    Ok(Answer::new(json!({ "namespaces": json, "current": current }), page))
}
