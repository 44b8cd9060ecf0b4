//! `peat datastore`.

mod archive;
mod check;
mod compact;
mod hydrate;
pub(super) mod lock;
mod migration;
pub(super) mod namespace;
pub(super) mod profile;
mod repair;
mod setup;
mod status;
mod sync;
mod verify;

pub(super) use sync::partitions as partitions_of;

use crate::arguments::DatastoreCommand;
use crate::composition::Context;
use crate::failure::Failure;
use crate::rendering::Answer;

pub(super) fn dispatch(context: &Context, command: DatastoreCommand) -> Result<Answer, Failure> {
    match command {
        DatastoreCommand::Setup(arguments) => setup::setup(context, &arguments),
        DatastoreCommand::Status(arguments) => status::status(context, &arguments),
        DatastoreCommand::Lock(command) => lock::dispatch(context, command),
        DatastoreCommand::Namespace(command) => namespace::dispatch(context, command),
        DatastoreCommand::Verify => verify::verify(context),
        DatastoreCommand::Compact(arguments) => compact::compact(context, &arguments),
        DatastoreCommand::Check(arguments) => check::check(context, &arguments),
        DatastoreCommand::Repair(arguments) => repair::repair(context, &arguments),
        DatastoreCommand::Sync(arguments) => sync::sync(context, &arguments),
        DatastoreCommand::Push(arguments) => sync::push(context, &arguments),
        DatastoreCommand::Export(arguments) => archive::export(context, &arguments),
        DatastoreCommand::Import(arguments) => archive::import(context, &arguments),
        DatastoreCommand::Hydrate(arguments) => hydrate::hydrate(context, &arguments),
    }
}
