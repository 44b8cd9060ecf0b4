//! Putting Peat together for one command: environment, repository, extensions, stores. Everything is lazy: a command that
//! needs no component, no store or no runtime makes none.

mod audit;
mod background;
mod bucket;
mod catalogue;
mod change_lock;
mod command_line;
mod components;
mod config_text;
mod datastore;
mod departure;
mod extension_index;
mod file_access;
mod grants;
mod home;
mod hydration;
mod index_file;
mod installation;
mod listed;
mod model_index;
mod models;
mod nearest;
mod optimising;
mod recorder;
mod repository;
mod session;
mod signals;
mod traffic;

use std::path::PathBuf;

pub(crate) use background::become_background;
pub(crate) use catalogue::{Catalogue, CatalogueEntry, Provider};
pub(crate) use command_line::command_line;
pub(crate) use components::{ArtifactCache, COMPONENT_BYTES_MAX, Components};
pub(crate) use datastore::{DatastoreChoice, PROFILE_NOTE, resolve_settings};
pub(crate) use departure::departure;
pub(crate) use file_access::{create_private_directory, read_bounded, read_text_if_there, write_atomically, write_new};
pub(crate) use grants::{add_grants, lacking};
pub(crate) use home::Home;
pub(crate) use hydration::{GiveWay, Hydrating, HydrationNote, holder as hydration_holder, wait_for_stop};
pub(crate) use installation::{Extensions, Installed};
pub(crate) use listed::ListedType;
pub(crate) use models::{MODELS_DIRECTORY, ModelFile, Models};
pub(crate) use nearest::nearest;
pub(crate) use optimising::{Optimising, optimise_later};
pub(crate) use recorder::Recorder;
pub(crate) use repository::{CONFIG_FILE, Repository, STATE_DIRECTORY};
pub(crate) use session::{Session, new_id, run_async, run_interruptible};

use crate::environment::Environment;
use crate::failure::Failure;
use crate::isolation::Isolation;
use crate::rendering::Screen;

/// What every command starts from.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where warnings and progress go.
    pub(crate) screen: Screen,
    /// The environment.
    pub(crate) environment: Environment,
    /// `--repo`.
    pub(crate) chosen: Option<PathBuf>,
    /// What runs, for people who wait for it: no values, which may be secret.
    pub(crate) command: String,
    /// What the command costs.
    pub(crate) recorder: Recorder,
}

impl Context {
    /// The same without progress and hints.
    pub(crate) fn quiet(&self) -> Self {
        Self {
            screen: self.screen.quiet(),
            environment: self.environment.clone(),
            chosen: self.chosen.clone(),
            command: self.command.clone(),
            recorder: self.recorder.clone(),
        }
    }

    /// Finds and reads the repository.
    pub(crate) fn repository(&self) -> Result<Repository, Failure> {
        Repository::open(self.chosen.as_deref(), &self.environment)
    }

    /// The same, to change its `peat.yaml` and `peat.lock`.
    pub(crate) fn repository_for_change(&self) -> Result<Repository, Failure> {
        Repository::open_for_change(self.chosen.as_deref(), &self.environment, &self.command)
    }

    /// The places of this machine.
    pub(crate) fn home(&self) -> Result<Home, Failure> {
        Home::new(&self.environment)
    }

    /// The drivers of this machine.
    pub(crate) fn isolation(&self) -> Result<Isolation, Failure> {
        Ok(Isolation::new(self.environment.runner.clone(), self.home()?.containers_file()))
    }
}
