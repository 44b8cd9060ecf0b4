//! `peat datastore namespace`: the namespaces of a shared datastore.

mod change;
mod delete;
mod list;

use peat_core::identifiers::NamespaceName;
use peat_core::namespace::{Namespace, NamespaceAmount, NamespaceError, NamespaceState};
use peat_core::ports::{Datastore, DatastoreError, ErrorKind, LocalStore as _};
use serde_json::{Value, json};

use crate::arguments::NamespaceCommand;
use crate::composition::{Context, Session, run_interruptible};
use crate::failure::Failure;
use crate::rendering::{Answer, short_size, timestamp};

/// Pages of namespaces that are read: more than any store has, fewer than one that repeats itself would make endless.
const PAGES_MAX: usize = 10_000;

pub(super) fn dispatch(context: &Context, command: NamespaceCommand) -> Result<Answer, Failure> {
    match command {
        NamespaceCommand::List => list::list(context),
        NamespaceCommand::Create { name } => change::create(context, &name),
        NamespaceCommand::Set { name, create } => change::set(context, &name, create),
        NamespaceCommand::Migrate(arguments) => change::migrate(context, &arguments),
        NamespaceCommand::Delete(arguments) => delete::delete(context, &arguments),
    }
}

/// The shared datastore, which must be one with namespaces.
pub(crate) async fn with_namespaces<'a>(session: &'a Session, what: &str) -> Result<&'a dyn Datastore, Failure> {
    let datastore = session.datastore().await?.ok_or_else(|| {
        Failure::InvalidInput(format!(
            "the datastore is local: {what} needs a shared one; choose one with `peat datastore setup`"
        ))
    })?;
    if !datastore.features().namespaces {
        return Err(Failure::InvalidInput(format!(
            "the datastore extension cannot manage namespaces: {what} needs one that can"
        )));
    }
    Ok(datastore)
}

/// Keeps in another namespace than the repository's that this command changed something. Nothing fails because of it.
pub(crate) fn audit_in(context: &Context, namespace: &NamespaceName, summary: &str) {
    let audit = || {
        let session = Session::in_namespace(context, namespace)?;
        run_interruptible(async {
            session.datastore().await?;
            session.audit(summary, &[]).await;
            Ok(())
        })
    };
    if let Err(error) = audit() {
        tracing::debug!(%error, "there is no audit entry of it");
    }
}

/// Every namespace of the store, run scopes too.
pub(crate) async fn all_namespaces(datastore: &dyn Datastore) -> Result<Vec<Namespace>, Failure> {
    let mut namespaces = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let page = datastore.list_namespaces(cursor.as_deref()).await?;
        namespaces.extend(page.namespaces);
        if page.cursor.is_none() || page.cursor == cursor {
            return Ok(namespaces);
        }
        cursor = page.cursor;
    }
    Err(Failure::Corrupt("the datastore extension never comes to the end of its namespaces".to_owned()))
}

/// What a datastore refused because of what the user named is the user's to change.
pub(crate) fn refused(error: DatastoreError) -> Failure {
    match error {
        DatastoreError::Refused { kind: ErrorKind::Conflict, message, .. } => Failure::InvalidInput(message),
        error => error.into(),
    }
}

/// Why a long operation did not end, and that the same command goes on with it.
pub(crate) fn unfinished(error: NamespaceError) -> Failure {
    match error {
        NamespaceError::Datastore(error) => refused(error),
        NamespaceError::Held { .. } => Failure::Locked(format!(
            "{error}. Run the same command again when that one is over: it goes on where it is; --lock-timeout waits longer"
        )),
        NamespaceError::Interrupted => Failure::Interrupted,
    }
}

/// Refuses while results for this namespace are on this machine alone.
pub(crate) fn nothing_uncommitted(session: &Session, remedy: &str) -> Result<(), Failure> {
    match session.store.pending(None)?.len() {
        0 => Ok(()),
        count => Err(Failure::InvalidInput(format!(
            "{count} {} of namespace {} {} not in the datastore yet; {remedy}",
            if count == 1 { "commit" } else { "commits" },
            session.repository.namespace(),
            if count == 1 { "is" } else { "are" },
        ))),
    }
}

pub(crate) fn namespace_json(namespace: &Namespace) -> Value {
    let (state, other) = state(&namespace.state);
    json!({
        "name": namespace.name,
        "state": state,
        "other": other,
        "parent": namespace.parent,
        "createdAt": timestamp(namespace.created_at_ms),
        "expiresAt": namespace.expires_at_ms.map(timestamp),
        "expired": namespace.expired,
    })
}

/// The word for a state, and the namespace it is about.
pub(crate) fn state(state: &NamespaceState) -> (&'static str, Option<&NamespaceName>) {
    match state {
        NamespaceState::Active => ("active", None),
        NamespaceState::Filling(from) => ("filling", Some(from)),
        NamespaceState::Moving(to) => ("moving", Some(to)),
        NamespaceState::Moved(to) => ("moved", Some(to)),
        NamespaceState::Folding => ("folding", None),
        NamespaceState::Deleting => ("deleting", None),
    }
}

/// The same for people.
pub(crate) fn state_words(found: &NamespaceState) -> String {
    match found {
        NamespaceState::Active => "in use".to_owned(),
        NamespaceState::Filling(from) => format!("being filled from {from}"),
        NamespaceState::Moving(to) => format!("on its way to {to}"),
        NamespaceState::Moved(to) => format!("moved to {to}"),
        NamespaceState::Folding => "being folded".to_owned(),
        NamespaceState::Deleting => "being deleted".to_owned(),
    }
}

pub(crate) fn amount_json(amount: NamespaceAmount) -> Value {
    json!({ "partitions": amount.partitions, "items": amount.items, "bytes": amount.bytes })
}

/// `3 partitions with 12 data items (4.0 KiB)`.
pub(crate) fn amount_words(amount: NamespaceAmount) -> String {
    let count = |number: u64, one: &str| if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") };
    format!(
        "{} with {} ({})",
        count(amount.partitions, "partition"),
        count(amount.items, "data item"),
        short_size(amount.bytes)
    )
}
