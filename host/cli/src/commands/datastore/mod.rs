//! `peat datastore`.

mod hydrate;
mod lock;
mod profile;
mod setup;
mod status;
mod sync;
mod verify;

use crate::arguments::DatastoreCommand;
use crate::composition::Context;
use crate::failure::Failure;
use crate::rendering::Answer;

pub(super) fn dispatch(context: &Context, command: DatastoreCommand) -> Result<Answer, Failure> {
    match command {
        DatastoreCommand::Setup(arguments) => setup::setup(context, &arguments),
        DatastoreCommand::Status => status::status(context),
        DatastoreCommand::Lock(command) => lock::dispatch(context, command),
        DatastoreCommand::Verify => verify::verify(context),
        DatastoreCommand::Sync(arguments) => sync::sync(context, &arguments),
        DatastoreCommand::Hydrate(arguments) => hydrate::hydrate(context, &arguments),
    }
}
