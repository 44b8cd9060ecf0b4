//! `peat datastore namespace delete`.

use peat_core::namespace::carry_out;
use peat_core::ports::Observer;
use serde_json::json;

use super::{amount_json, unfinished, with_namespaces};
use crate::arguments::NamespaceDelete;
use crate::composition::{Context, Session, run_async};
use crate::failure::Failure;
use crate::rendering::{Answer, Page, Tone, short_size};

/// Deletes a namespace. One that is in use only by force, and never the one of this repository.
pub(super) fn delete(context: &Context, arguments: &NamespaceDelete) -> Result<Answer, Failure> {
    let name = &arguments.name;
    let session = Session::open(context, context.repository()?)?;
    if session.repository.namespace() == name {
        return Err(Failure::InvalidInput(format!(
            "{name} is the namespace of this repository; choose another one first, with `peat datastore namespace set`"
        )));
    }
    let wait = arguments.lock_timeout.unwrap_or(session.repository.config.lock_timeout);
    let report = run_async(async |interrupt| {
        let datastore = with_namespaces(&session, "this command").await?;
        let world = (session.clock(), &*session.observer as &dyn Observer, &interrupt);
        let deleting =
            carry_out(world, wait, async |state| datastore.delete_namespace(name, arguments.force, state).await);
        let report = Box::pin(deleting).await.map_err(unfinished)?;
        session.audit(&format!("deleted namespace {name}: {} objects", report.completed.items), &[]).await;
        Ok(report)
    })?;
    drop(session);
    let (objects, freed) = (report.completed.items, short_size(report.completed.bytes));
    let mut page = Page::default();
    page.text_line(format!("deleted {name}: {objects} objects, {freed}"), Tone::Good);
    Ok(Answer::new(json!({ "deleted": { "namespace": name, "freed": amount_json(report.completed) } }), page))
}
