//! `peat run-scope`: short-lived namespaces that are committed into their parent as a whole, or not at all.

mod close;
mod open;

use std::time::Duration;

use peat_core::identifiers::NamespaceName;
use peat_core::interrupt::Interrupt;
use peat_core::namespace::{Namespace, carry_out};
use peat_core::ports::{Datastore, Observer};
use serde_json::{Value, json};

use super::datastore::namespace::{all_namespaces, namespace_json, state_words, with_namespaces};
use crate::arguments::RunScopeCommand;
use crate::composition::{Context, Session, run_async};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone, timestamp};

/// What stands between the name of a namespace and the id of a run scope of it.
pub(super) const SCOPE_MARK: &str = ".scope-";

/// What run scopes need of a datastore, for messages.
const WHAT: &str = "a run scope";

pub(super) fn dispatch(context: &Context, command: RunScopeCommand) -> Result<Answer, Failure> {
    match command {
        RunScopeCommand::Open { parent, expires } => open::open(context, parent, expires),
        RunScopeCommand::List => list(context),
        RunScopeCommand::Fold(arguments) => close::fold(context, &arguments),
        RunScopeCommand::Discard(arguments) => close::discard(context, &arguments),
    }
}

/// Shows the run scopes, after those whose time is over were deleted.
fn list(context: &Context) -> Result<Answer, Failure> {
    let session = Session::open(context, context.repository()?)?;
    let (scopes, collected) = run_async(async |interrupt| {
        let datastore = with_namespaces(&session, WHAT).await?;
        let mut scopes = all_namespaces(datastore).await?;
        scopes.retain(|namespace| namespace.parent.is_some());
        let collected = collect_expired(&session, datastore, &interrupt, &scopes).await;
        scopes.retain(|scope| !collected.contains(&scope.name));
        Ok((scopes, collected))
    })?;
    drop(session);
    let mut page = Page::default();
    if scopes.is_empty() {
        page.line("there are no run scopes");
    } else {
        let mut table = Table::new(&["RUN SCOPE", "PARENT", "STATE", "CREATED", "EXPIRES"]);
        for scope in &scopes {
            table.row(vec![
                Cell::plain(scope.name.as_str()),
                Cell::plain(scope.parent.as_ref().map_or("", NamespaceName::as_str)),
                Cell::plain(state_words(&scope.state)),
                Cell::plain(timestamp(scope.created_at_ms)),
                Cell::plain(scope.expires_at_ms.map(timestamp).unwrap_or_default()),
            ]);
        }
        page.table(table);
    }
    if !collected.is_empty() {
        page.text_line(format!("deleted {} whose time was over", collected.len()), Tone::Attention);
    }
    let json: Vec<Value> = scopes.iter().map(namespace_json).collect();
    Ok(Answer::new(json!({ "scopes": json, "collected": collected }), page))
}

/// Deletes the run scopes whose time is over. What cannot be deleted now is left to the next time.
pub(super) async fn collect_expired(
    session: &Session,
    datastore: &dyn Datastore,
    interrupt: &Interrupt,
    scopes: &[Namespace],
) -> Vec<NamespaceName> {
    let mut collected = Vec::new();
    for scope in scopes.iter().filter(|scope| scope.expired) {
        let world = (session.clock(), &*session.observer as &dyn Observer, interrupt);
        let deleting =
            carry_out(world, Duration::ZERO, async |state| datastore.delete_namespace(&scope.name, false, state).await);
        match Box::pin(deleting).await {
            Ok(_) => collected.push(scope.name.clone()),
            Err(error) => tracing::debug!(scope = scope.name.as_str(), %error, "an expired run scope stays"),
        }
    }
    collected
}
