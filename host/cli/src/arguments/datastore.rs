//! `peat datastore`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{Assignment, duration};

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
    /// Push what is only here and bring what others wrote
    #[command(after_help = "Example:\n  peat datastore sync")]
    Sync {
        /// How long to wait for a lease [default: PEAT_LOCK_TIMEOUT, or lockTimeout of peat.yaml]
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        lock_timeout: Option<Duration>,
    },
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
}
