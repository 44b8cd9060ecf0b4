//! `peat audit` and `peat stats`.

use std::time::Duration;

use clap::{Args, Subcommand};
use peat_core::identifiers::ModelName;

use super::duration;

/// What can be asked of the audit.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List what changed something: who, when, and what, newest first
    #[command(after_help = "Example:\n  peat audit list --since 7d\n  peat audit list --model web --limit 5\n\n\
                            Users are who they say they are: nobody proves it.")]
    List(AuditList),
}

/// `peat audit list`.
#[derive(Debug, Args)]
pub(crate) struct AuditList {
    /// Only what changed this model's data
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<ModelName>,
    /// How far back [default: as far as it is kept]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) since: Option<Duration>,
    /// At most so many
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) limit: usize,
}

/// `peat stats`.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// The last commands, at most so many
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) last: u32,
    /// Only those that began so long ago at most
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) since: Option<Duration>,
}
