//! One file a command: from arguments to an [`Answer`]. Nothing is printed here.

mod cache;
mod completions;
mod data;
mod datastore;
mod doctor;
mod extension;
mod model;
mod repo;
mod run;
mod version;

use crate::arguments::Command;
use crate::composition::Context;
use crate::failure::Failure;
use crate::rendering::Answer;

/// Does what was asked. `context` is made only where a command needs one: `peat version` works in a broken environment.
pub(crate) fn dispatch(
    command: Command,
    context: impl FnOnce() -> Result<Context, Failure>,
) -> Result<Answer, Failure> {
    match command {
        Command::Repo(command) => repo::dispatch(&context()?, command),
        Command::Model(command) => model::dispatch(&context()?, command),
        Command::Data(command) => data::dispatch(&context()?, command),
        Command::Run(command) => run::dispatch(&context()?, command),
        Command::Datastore(command) => datastore::dispatch(&context()?, command),
        Command::Extension(command) => extension::dispatch(&context()?, command),
        Command::Cache(command) => cache::dispatch(&context()?, &command),
        Command::Doctor => doctor::doctor(&context()?),
        Command::Completions { shell } => Ok(completions::print(shell)),
        Command::Version => Ok(version::show()),
    }
}
