//! `peat model`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use peat_core::identifiers::{MethodName, ModelName, ModelTypeName};
use peat_core::repository::Driver;

use super::{Assignment, duration};

/// What can be asked of models.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Find and read about model types
    #[command(subcommand)]
    Type(TypeCommand),
    /// Make a model of a type
    #[command(after_help = "Example:\n  peat model create hello --type command/shell --argument run='echo hello'")]
    Create(ModelCreate),
    /// List the models of the repository
    #[command(after_help = "Example:\n  peat model list --json")]
    List,
    /// Show a model, its type and its methods
    #[command(after_help = "Example:\n  peat model get hello")]
    Get {
        /// The model
        model: ModelName,
    },
    /// Check the definitions of one or all models
    #[command(after_help = "Example:\n  peat model validate")]
    Validate {
        /// Only this model
        model: Option<ModelName>,
    },
    /// Delete the definition of a model; its data stays
    #[command(after_help = "Example:\n  peat model delete hello")]
    Delete {
        /// The model
        model: ModelName,
    },
    /// Run methods
    #[command(subcommand)]
    Method(MethodCommand),
}

/// What can be asked of model types.
#[derive(Debug, Subcommand)]
pub(crate) enum TypeCommand {
    /// List model types, all or those that contain every word
    #[command(after_help = "Example:\n  peat model type search shell")]
    Search {
        /// Words of the name, the summary or the methods
        words: Vec<String>,
    },
    /// Show a model type, its arguments and its methods
    #[command(after_help = "Example:\n  peat model type describe command/shell")]
    Describe {
        /// The type
        #[arg(value_name = "TYPE")]
        model_type: ModelTypeName,
    },
}

/// `peat model create`.
#[derive(Debug, Args)]
pub(crate) struct ModelCreate {
    /// Its name
    pub(crate) name: ModelName,
    /// Its type
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) model_type: ModelTypeName,
    /// An argument of every run of this model
    #[arg(long = "argument", value_name = "NAME=VALUE")]
    pub(crate) arguments: Vec<Assignment>,
    /// Another model whose data its methods may read
    #[arg(long = "reads", value_name = "MODEL")]
    pub(crate) reads: Vec<ModelName>,
}

/// What can be asked of methods.
#[derive(Debug, Subcommand)]
pub(crate) enum MethodCommand {
    /// Run a method of a model and keep what it produces
    #[command(after_help = "Example:\n  peat model method run hello execute --input run='echo good morning'\n\n\
        A value is read as JSON where the schema wants a number, a boolean, a list or an object; otherwise as text.")]
    Run(MethodRun),
}

/// `peat model method run`.
#[derive(Debug, Args)]
pub(crate) struct MethodRun {
    /// The model
    pub(crate) model: ModelName,
    /// The method
    pub(crate) method: MethodName,
    /// An argument of this run
    #[arg(long = "input", short = 'i', value_name = "NAME=VALUE")]
    pub(crate) inputs: Vec<Assignment>,
    /// The arguments of this run as a JSON or YAML object; `-` reads stdin. --input goes before it
    #[arg(long, value_name = "FILE")]
    pub(crate) input_file: Option<PathBuf>,
    /// How long the method may take [default: timeout of the driver, or methodTimeout of peat.yaml]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// Where it runs: in-process, process or container [default: by the model, its type, peat.yaml, or in-process]
    #[arg(long, value_name = "DRIVER")]
    pub(crate) driver: Option<Driver>,
    /// How long to wait for the lease [default: PEAT_LOCK_TIMEOUT, or lockTimeout of peat.yaml]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) lock_timeout: Option<Duration>,
}
