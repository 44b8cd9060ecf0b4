//! `peat extension`.

mod add;
mod inspect;
mod list;
mod remove;

use peat_core::metadata::{Kind, Metadata};
use peat_core::repository::{ExtensionGrants, LockedExtension};
use serde_json::{Value, json};

use crate::arguments::ExtensionCommand;
use crate::composition::Context;
use crate::failure::Failure;
use crate::rendering::Answer;

pub(super) fn dispatch(context: &Context, command: ExtensionCommand) -> Result<Answer, Failure> {
    match command {
        ExtensionCommand::Add(arguments) => add::add(context, &arguments),
        ExtensionCommand::List => list::list(context),
        ExtensionCommand::Inspect { extension } => inspect::inspect(context, &extension),
        ExtensionCommand::Remove { extension } => remove::remove(context, &extension),
    }
}

/// What an extension provides, in one word.
fn kind_word(metadata: &Metadata) -> &'static str {
    match metadata.kind {
        Kind::Models(_) => "models",
        Kind::Datastore(_) => "datastore",
    }
}

/// What an extension provides, in one line.
fn provides(metadata: &Metadata) -> String {
    match &metadata.kind {
        Kind::Models(types) => types.iter().map(|known| known.name.as_str()).collect::<Vec<_>>().join(", "),
        Kind::Datastore(_) => "datastore".to_owned(),
    }
}

fn extension_json(locked: &LockedExtension, metadata: &Metadata, grants: &ExtensionGrants) -> Value {
    json!({
        "name": locked.name,
        "version": locked.version,
        "sha256": locked.digest,
        "size": locked.size,
        "source": locked.source,
        "kind": kind_word(metadata),
        "summary": metadata.summary,
        "types": metadata.model_types().iter().map(|known| &known.name).collect::<Vec<_>>(),
        "wants": metadata.wants,
        "grants": grants,
    })
}
