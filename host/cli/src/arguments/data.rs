//! `peat data`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use peat_core::identifiers::ModelName;

use super::duration;

/// What can be asked of data.
#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// List the newest version of every data item
    #[command(after_help = "Example:\n  peat data list hello")]
    List {
        /// Only of this model
        model: Option<ModelName>,
    },
    /// Print or save the content of a data item
    #[command(after_help = "Example:\n  peat data get hello stdout --output hello.txt")]
    Get {
        /// The model
        model: ModelName,
        /// The data item
        name: String,
        /// A version other than the newest
        #[arg(long = "version", value_name = "N")]
        version: Option<u64>,
        /// Where to put the content; `-` is stdout, also where that is a terminal
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Let data whose lifetime is over go, and free the room of what has gone
    #[command(after_help = "Example:\n  peat data gc --dry-run\n  peat data gc --model web")]
    Gc(DataGc),
    /// Let the data go of models that are not defined any more
    #[command(after_help = "Example:\n  peat data prune --dry-run\n  peat data prune --yes")]
    Prune(DataPrune),
    /// List every version of a data item
    #[command(after_help = "Example:\n  peat data versions hello stdout")]
    Versions {
        /// The model
        model: ModelName,
        /// The data item
        name: String,
    },
}

/// `peat data gc`.
#[derive(Debug, Args)]
pub(crate) struct DataGc {
    /// Only say what would go
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Only this model; may be repeated [default: everything]
    #[arg(long = "model", value_name = "MODEL")]
    pub(crate) models: Vec<ModelName>,
    /// How long content stays after it left the index [default: 1d]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) grace: Option<Duration>,
    /// How long to wait for what others hold [default: PEAT_LOCK_TIMEOUT, or lockTimeout of peat.yaml]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) lock_timeout: Option<Duration>,
}

/// `peat data prune`.
#[derive(Debug, Args)]
pub(crate) struct DataPrune {
    /// Only say what would go
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// How long to wait for what others hold [default: PEAT_LOCK_TIMEOUT, or lockTimeout of peat.yaml]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) lock_timeout: Option<Duration>,
}
