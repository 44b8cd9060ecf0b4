//! `peat datastore lock`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use peat_core::identifiers::{ModelName, PartitionName};

use super::duration;

/// What can be done with leases from outside.
#[derive(Debug, Subcommand)]
pub(crate) enum LockCommand {
    /// Show who holds and who waits for what; takes no lock
    #[command(
        after_help = "Example:\n  peat datastore lock status\n  peat datastore lock status --watch --interval 5s"
    )]
    Status(LockStatus),
    /// Show who held what when, and how long was waited for it
    #[command(after_help = "Example:\n  peat datastore lock history --since 2h\n  \
                      peat datastore lock history --model web --plot holds.svg\n\n\
                      Holds of this machine are its own records; those of others came with the last sync.")]
    History(LockHistory),
    /// End a lease whose holder is gone, or by force one of a living holder
    #[command(
        after_help = "Example:\n  peat datastore lock release model--command+shell--7h6g5f4e3d2c1b0a --holder 5f0c…\n\n\
                      Partition and holder are as `peat datastore lock status` shows them."
    )]
    Release(LockRelease),
    /// Run a command while nobody writes: waits until all running methods have ended, lets none begin meanwhile
    #[command(after_help = "Example:\n  peat datastore lock run -- rsync -a /srv/peat/ /backup/peat/\n  \
                      peat datastore lock run --model web --model db -- ./migrate.sh")]
    Run(LockRun),
}

/// `peat datastore lock status`.
#[derive(Debug, Args)]
pub(crate) struct LockStatus {
    /// Show it again and again, until Ctrl-C; with --json one document a line
    #[arg(long)]
    pub(crate) watch: bool,
    /// How often
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "2s", requires = "watch")]
    pub(crate) interval: Duration,
}

/// `peat datastore lock history`.
#[derive(Debug, Args)]
pub(crate) struct LockHistory {
    /// Only of this model
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<ModelName>,
    /// How far back
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "24h")]
    pub(crate) since: Duration,
    /// Draw it, too: a picture (.svg) or a page with a table (.html)
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
}

/// `peat datastore lock release`.
#[derive(Debug, Args)]
pub(crate) struct LockRelease {
    /// What is held
    #[arg(value_name = "PARTITION")]
    pub(crate) partition: PartitionName,
    /// Whose lease to end; another one is left alone
    #[arg(long, value_name = "NONCE")]
    pub(crate) holder: String,
    /// End it although its holder lives: what that one does is lost to the datastore
    #[arg(long)]
    pub(crate) force: bool,
}

/// `peat datastore lock run`.
#[derive(Debug, Args)]
pub(crate) struct LockRun {
    /// Hold only this model, which the command may run methods of; may be repeated [default: the whole namespace]
    #[arg(long = "model", value_name = "MODEL")]
    pub(crate) models: Vec<ModelName>,
    /// How long to wait for holders [default: PEAT_LOCK_TIMEOUT, or lockTimeout of peat.yaml]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) lock_timeout: Option<Duration>,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, last = true)]
    pub(crate) command: Vec<std::ffi::OsString>,
}
