//! One file a command: from arguments to an [`Answer`]. Nothing is printed here.

mod audit;
mod cache;
mod collection;
mod completions;
mod data;
mod datastore;
mod doctor;
mod extension;
mod model;
mod recorded;
mod repo;
mod run;
mod run_scope;
mod stats;
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
        Command::RunScope(command) => run_scope::dispatch(&context()?, command),
        Command::Datastore(command) => datastore::dispatch(&context()?, command),
        Command::Extension(command) => extension::dispatch(&context()?, command),
        Command::Cache(command) => cache::dispatch(&context()?, &command),
        Command::Audit(command) => audit::dispatch(&context()?, command),
        Command::Stats(arguments) => stats::stats(&context()?, &arguments),
        Command::Doctor { online } => doctor::doctor(&context()?, online),
        Command::Completions { shell } => Ok(completions::print(shell)),
        Command::Version => Ok(version::show()),
    }
}
