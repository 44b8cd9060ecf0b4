//! `peat run`.

use clap::Subcommand;
use peat_core::identifiers::{ModelName, RunId};

/// What can be asked of runs.
#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// List method runs, newest first
    #[command(after_help = "Example:\n  peat run list --model hello --limit 5")]
    List {
        /// Only of this model
        #[arg(long, value_name = "MODEL")]
        model: Option<ModelName>,
        /// At most so many
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
    },
    /// Show one run
    #[command(after_help = "Example:\n  peat run show $(peat run list --limit 1 --json | jq -r .runs[0].id)")]
    Show {
        /// The run
        run: RunId,
    },
    /// Print the log of one run
    #[command(after_help = "Example:\n  peat run logs $(peat run list --limit 1 --json | jq -r .runs[0].id)")]
    Logs {
        /// The run
        run: RunId,
    },
}
