//! `peat run-scope fold` and `peat run-scope discard`.

use peat_core::identifiers::NamespaceName;
use peat_core::namespace::{FoldConflict, carry_out};
use peat_core::ports::Observer;
use serde_json::{Value, json};

use super::{SCOPE_MARK, WHAT};
use crate::arguments::RunScopeClose;
use crate::commands::datastore::namespace::{
    amount_json, amount_words, audit_in, nothing_uncommitted, unfinished, with_namespaces,
};
use crate::composition::{Context, Session, run_async};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone, short_size};

/// Commits what a scope has into its parent.
pub(super) fn fold(context: &Context, arguments: &RunScopeClose) -> Result<Answer, Failure> {
    let scope = &arguments.scope;
    let session = of_scope(context, arguments)?;
    nothing_uncommitted(&session, &format!("send them first, with `PEAT_NAMESPACE={scope} peat datastore sync`"))?;
    let wait = arguments.lock_timeout.unwrap_or(session.repository.config.lock_timeout);
    let report = run_async(async |interrupt| {
        let datastore = with_namespaces(&session, WHAT).await?;
        let world = (session.clock(), &*session.observer as &dyn Observer, &interrupt);
        let folding = carry_out(world, wait, async |state| datastore.fold_namespace(scope, state).await);
        Box::pin(folding).await.map_err(unfinished)
    })?;
    forget(session);
    let folded = amount_words(report.completed);
    audit_in_parent(context, arguments, &format!("folded run scope {scope}: {folded}"));
    let mut page = Page::default();
    page.text_line(format!("folded {scope}: {}", amount_words(report.completed)), Tone::Good);
    if !report.conflicts.is_empty() {
        page.text_line("others committed the same names meanwhile; these come after theirs:", Tone::Attention);
        page.table(conflicts(&report.conflicts));
    }
    page.hint("next: peat datastore sync");
    let conflicts: Vec<Value> = report.conflicts.iter().map(conflict_json).collect();
    let folded = json!({ "scope": scope, "folded": amount_json(report.completed), "conflicts": conflicts });
    Ok(Answer::new(json!({ "fold": folded }), page))
}

/// Deletes a scope with everything in it.
pub(super) fn discard(context: &Context, arguments: &RunScopeClose) -> Result<Answer, Failure> {
    let scope = &arguments.scope;
    let session = of_scope(context, arguments)?;
    let wait = arguments.lock_timeout.unwrap_or(session.repository.config.lock_timeout);
    let report = run_async(async |interrupt| {
        let datastore = with_namespaces(&session, WHAT).await?;
        let world = (session.clock(), &*session.observer as &dyn Observer, &interrupt);
        let deleting = carry_out(world, wait, async |state| datastore.delete_namespace(scope, false, state).await);
        Box::pin(deleting).await.map_err(unfinished)
    })?;
    forget(session);
    audit_in_parent(context, arguments, &format!("discarded run scope {scope}"));
    let mut page = Page::default();
    page.text_line(format!("discarded {scope}: {}", short_size(report.completed.bytes)), Tone::Good);
    Ok(Answer::new(json!({ "discarded": { "scope": scope, "freed": amount_json(report.completed) } }), page))
}

/// The repository as the processes in the scope see it.
fn of_scope(context: &Context, arguments: &RunScopeClose) -> Result<Session, Failure> {
    let scope = &arguments.scope;
    if !scope.as_str().contains(SCOPE_MARK) {
        return Err(Failure::InvalidInput(format!(
            "{scope} is no run scope; `peat run-scope list` shows those that are open"
        )));
    }
    Session::in_namespace(context, scope)
}

/// The scope is gone: what was done with it is told in its parent.
fn audit_in_parent(context: &Context, arguments: &RunScopeClose, summary: &str) {
    let parent =
        arguments.scope.as_str().rsplit_once(SCOPE_MARK).and_then(|(parent, _)| NamespaceName::parse(parent).ok());
    if let Some(parent) = parent {
        audit_in(context, &parent, summary);
    }
}

/// The scope is gone, and its local store on this machine with it. What cannot be deleted is only room.
fn forget(session: Session) {
    let path = session.store_path();
    drop(session);
    if let Err(error) = std::fs::remove_dir_all(&path) {
        tracing::debug!(path = %path.display(), %error, "the local store of a run scope stays");
    }
}

fn conflicts(conflicts: &[FoldConflict]) -> Table {
    let mut table = Table::new(&["PARTITION", "DATA", "IN THE SCOPE", "NOW"]);
    for conflict in conflicts {
        table.row(vec![
            Cell::plain(conflict.partition.as_str()),
            Cell::plain(conflict.name.as_str()),
            Cell::number(conflict.version.to_string()),
            Cell::number(conflict.folded_as.to_string()),
        ]);
    }
    table
}

fn conflict_json(conflict: &FoldConflict) -> Value {
    json!({
        "partition": conflict.partition,
        "name": conflict.name,
        "version": conflict.version,
        "foldedAs": conflict.folded_as,
    })
}
