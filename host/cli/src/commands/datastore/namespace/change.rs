//! `peat datastore namespace create`, `set` and `migrate`: which namespace a repository has.

use peat_core::identifiers::NamespaceName;
use peat_core::namespace::{Namespace, NamespaceState, carry_out};
use peat_core::ports::{LocalStore as _, Observer};
use serde_json::json;

use super::{
    all_namespaces, amount_json, amount_words, audit_in, namespace_json, nothing_uncommitted, refused, state_words,
    unfinished, with_namespaces,
};
use crate::arguments::NamespaceMigrate;
use crate::composition::{Context, Session, departure, run_async, run_interruptible};
use crate::failure::Failure;
use crate::rendering::{Answer, Page, Tone};

/// What sends results that are on this machine alone.
const SYNC: &str = "send them first, with `peat datastore sync`";

/// Makes a namespace. Nobody uses it yet.
pub(super) fn create(context: &Context, name: &NamespaceName) -> Result<Answer, Failure> {
    let session = Session::open(context, context.repository()?)?;
    let made = run_interruptible(async {
        let datastore = with_namespaces(&session, "this command").await?;
        let made = datastore.create_namespace(name, None, None).await.map_err(refused)?;
        session.audit(&format!("made namespace {name}"), &[]).await;
        Ok(made)
    })?;
    drop(session);
    let mut page = Page::default();
    page.text_line(format!("made namespace {name}"), Tone::Good);
    page.hint(format!("next: peat datastore namespace set {name}"));
    Ok(Answer::new(json!({ "namespace": namespace_json(&made) }), page))
}

/// Chooses the namespace of the repository.
pub(super) fn set(context: &Context, name: &NamespaceName, create: bool) -> Result<Answer, Failure> {
    not_overridden(context)?;
    let mut session = Session::open(context, context.repository_for_change()?)?;
    let before = session.repository.namespace().clone();
    let mut carried = 0;
    if session.repository.shared_datastore().is_some() && before != *name {
        let namespaces = run_interruptible(async {
            let datastore = with_namespaces(&session, "this command").await?;
            let namespaces = all_namespaces(datastore).await?;
            if !create || namespaces.iter().any(|namespace| namespace.name == *name) {
                return Ok(namespaces);
            }
            datastore.create_namespace(name, None, None).await.map_err(refused)?;
            all_namespaces(datastore).await
        })?;
        usable(&namespaces, name)?;
        if leads_to(&namespaces, &before, name) {
            carried = leave(context, &session, name)?;
        } else {
            nothing_uncommitted(&session, SYNC)?;
            Session::in_namespace(context, name)?.store.enter()?;
        }
    }
    session.repository.write_namespace(name)?;
    drop(session);
    let mut page = Page::default();
    page.text_line(format!("the namespace is {name}"), Tone::Good);
    carried_on(&mut page, carried, &before, name);
    page.hint("next: peat datastore sync");
    Ok(Answer::new(json!({ "namespace": name, "before": before, "carriedCommits": carried }), page))
}

/// Moves the namespace of the repository to another name.
pub(super) fn migrate(context: &Context, arguments: &NamespaceMigrate) -> Result<Answer, Failure> {
    not_overridden(context)?;
    let name = &arguments.name;
    let mut session = Session::open(context, context.repository_for_change()?)?;
    let before = session.repository.namespace().clone();
    nothing_uncommitted(&session, SYNC)?;
    let wait = arguments.lock_timeout.unwrap_or(session.repository.config.lock_timeout);
    let report = run_async(async |interrupt| {
        let datastore = with_namespaces(&session, "this command").await?;
        let world = (session.clock(), &*session.observer as &dyn Observer, &interrupt);
        let moving = carry_out(world, wait, async |state| datastore.migrate_namespace(&before, name, state).await);
        Box::pin(moving).await.map_err(unfinished)
    })?;
    let carried = leave(context, &session, name)?;
    session.repository.write_namespace(name)?;
    drop(session);
    audit_in(context, name, &format!("moved namespace {before} to {name}: {}", amount_words(report.completed)));
    let mut page = Page::default();
    page.text_line(format!("moved {before} to {name}: {}", amount_words(report.completed)), Tone::Good);
    carried_on(&mut page, carried, &before, name);
    page.line(format!("peat.yaml says {name} now; whoever still uses {before} is told so"));
    page.hint(format!("what is left of it takes as much room as before: peat datastore namespace delete {before}"));
    let json = json!({ "migrated": { "from": before, "to": name, "moved": amount_json(report.completed) }, "carriedCommits": carried });
    Ok(Answer::new(json, page))
}

/// What would hide what is written to peat.yaml.
fn not_overridden(context: &Context) -> Result<(), Failure> {
    if context.environment.namespace.is_none() {
        return Ok(());
    }
    let message = "PEAT_NAMESPACE is set and would hide what is written into peat.yaml; unset it first";
    Err(Failure::InvalidInput(message.to_owned()))
}

/// The namespace is there and may be used.
fn usable(namespaces: &[Namespace], name: &NamespaceName) -> Result<(), Failure> {
    let found = namespaces.iter().find(|namespace| namespace.name == *name).ok_or_else(|| {
        Failure::NotFound(format!(
            "there is no namespace {name} in this datastore; `peat datastore namespace list` shows what there is, --create \
             makes it"
        ))
    })?;
    if found.parent.is_some() {
        return Err(Failure::InvalidInput(format!("{name} is a run scope: use it with PEAT_NAMESPACE={name}")));
    }
    if found.state != NamespaceState::Active {
        return Err(Failure::InvalidInput(format!(
            "namespace {name} cannot be used: it is {}",
            state_words(&found.state)
        )));
    }
    Ok(())
}

/// Whether `from` was moved to `to`, perhaps in several moves.
fn leads_to(namespaces: &[Namespace], from: &NamespaceName, to: &NamespaceName) -> bool {
    let mut place = from;
    for _ in 0..=namespaces.len() {
        let Some(NamespaceState::Moved(next)) =
            namespaces.iter().find(|namespace| namespace.name == *place).map(|namespace| &namespace.state)
        else {
            return false;
        };
        if next == to {
            return true;
        }
        place = next;
    }
    false
}

fn carried_on(page: &mut Page, carried: usize, before: &NamespaceName, name: &NamespaceName) {
    if carried > 0 {
        page.line(format!("{carried} uncommitted results of {before} are for {name} now"));
    }
}

/// Results for the old name, which takes none any more, are staged for the new one: with their commit ids, so that one that
/// did arrive before the move is not done twice. Each is staged there before it is given up here. From then on nothing is
/// staged for the old name: whoever still works for it is told so.
fn leave(context: &Context, session: &Session, name: &NamespaceName) -> Result<usize, Failure> {
    let target = Session::in_namespace(context, name)?;
    target.store.enter()?;
    let departure = departure(&session.repository, &format!("namespace {name}"));
    let mut carried = 0;
    loop {
        let there = target.store.pending(None)?;
        for commit in session.store.pending(None)? {
            if !there.iter().any(|other| other.changes.commit_id == commit.changes.commit_id) {
                target.store.stage(&commit.changes, commit.staged_at_ms)?;
            }
            session.store.discard(&commit.changes.commit_id)?;
            carried += 1;
        }
        if session.store.leave(&departure)? {
            return Ok(carried);
        }
    }
}
