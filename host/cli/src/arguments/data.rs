//! `peat data`.

use std::path::PathBuf;

use clap::Subcommand;
use peat_core::identifiers::ModelName;

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
    /// List every version of a data item
    #[command(after_help = "Example:\n  peat data versions hello stdout")]
    Versions {
        /// The model
        model: ModelName,
        /// The data item
        name: String,
    },
}
