//! `peat datastore`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use peat_core::identifiers::ModelName;
use peat_core::repository::Driver;

use super::{Assignment, LockCommand, duration};

/// What can be asked of the datastore.
#[derive(Debug, Subcommand)]
pub(crate) enum DatastoreCommand {
    /// Choose the datastore: create what is missing, examine it, write it to peat.yaml
    #[command(after_help = "Example:\n  peat datastore setup @peat/directory --setting path=/srv/peat")]
    Setup(DatastoreSetup),
    /// Show which datastore is used and what is known of it; asks nobody
    #[command(after_help = "Example:\n  peat datastore status")]
    Status,
    /// Examine the datastore again
    #[command(after_help = "Example:\n  peat datastore verify")]
    Verify,
    /// See and end leases, or run a command while nobody writes
    #[command(subcommand)]
    Lock(LockCommand),
    /// Push what is only here and bring what others wrote
    #[command(after_help = "Example:\n  peat datastore sync\n  peat datastore sync --model web --timeout 10m")]
    Sync(DatastoreSync),
    /// Bring everything that is not on this machine yet
    #[command(after_help = "Example:\n  peat datastore hydrate web\n  peat datastore hydrate --stop")]
    Hydrate(DatastoreHydrate),
}

/// `peat datastore hydrate`.
#[derive(Debug, Args)]
pub(crate) struct DatastoreHydrate {
    /// Only these models [default: everything]
    #[arg(value_name = "MODEL")]
    pub(crate) models: Vec<ModelName>,
    /// Stop bringing it in the background, until `peat datastore hydrate` is run again
    #[arg(long, conflicts_with = "models")]
    pub(crate) stop: bool,
    /// As the process that a command leaves behind
    #[arg(long, hide = true, conflicts_with_all = ["models", "stop"])]
    pub(crate) in_background: bool,
}

/// `peat datastore sync`.
#[derive(Debug, Args)]
pub(crate) struct DatastoreSync {
    /// Only this model; may be repeated [default: everything]
    #[arg(long = "model", value_name = "MODEL")]
    pub(crate) models: Vec<ModelName>,
    /// How long it may take altogether; what came by then is kept [default: as long as something moves]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// How long to wait for a lease [default: PEAT_LOCK_TIMEOUT, or lockTimeout of peat.yaml]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) lock_timeout: Option<Duration>,
}

/// `peat datastore setup`.
#[derive(Debug, Args)]
pub(crate) struct DatastoreSetup {
    /// A datastore extension, or `local`
    #[arg(value_name = "EXTENSION|local")]
    pub(crate) datastore: String,
    /// A setting of the extension
    #[arg(long = "setting", value_name = "NAME=VALUE")]
    pub(crate) settings: Vec<Assignment>,
    /// How long a lease lasts after each renewal
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) lease_ttl: Option<Duration>,
    /// Where the extension runs: in-process, process or container [default: as peat.yaml says, or in-process]
    #[arg(long, value_name = "DRIVER")]
    pub(crate) isolation: Option<Driver>,
    /// What a sync brings: everything, or the index with content on first use [default: as peat.yaml says, or full]
    #[arg(long, value_enum, value_name = "full|lazy")]
    pub(crate) hydration: Option<Hydration>,
}

/// What a sync brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Hydration {
    /// Index and content
    Full,
    /// What there is; index and content with their first use
    Lazy,
}
