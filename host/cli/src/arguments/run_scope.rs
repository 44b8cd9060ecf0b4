//! `peat run-scope`.

use std::time::Duration;

use clap::{Args, Subcommand};
use peat_core::identifiers::NamespaceName;

use super::duration;

/// What can be done with run scopes.
#[derive(Debug, Subcommand)]
pub(crate) enum RunScopeCommand {
    /// Open a run scope: a short-lived namespace that reads what its parent has and keeps what is written to itself
    #[command(after_help = "Example:\n  peat run-scope open --expires 2h\n\nFor the commands of a job:\n  \
                      export PEAT_NAMESPACE=$(peat run-scope open)\n  peat model method run web check\n  \
                      peat run-scope fold $PEAT_NAMESPACE")]
    Open {
        /// The namespace it reads and is folded into [default: that of the repository]
        #[arg(long, value_name = "NAMESPACE")]
        parent: Option<NamespaceName>,
        /// It is deleted when nobody has folded it by then
        #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1day")]
        expires: Duration,
    },
    /// List the run scopes of the datastore; those whose time is over are deleted
    #[command(after_help = "Example:\n  peat run-scope list")]
    List,
    /// Commit what was committed in a run scope into its parent, and delete it
    #[command(after_help = "Example:\n  peat run-scope fold default.scope-7h6g5f4e3d2c1b0a\n\n\
                      Interrupted, the same command goes on; nothing is committed twice.")]
    Fold(RunScopeClose),
    /// Delete a run scope and everything that was committed in it
    #[command(after_help = "Example:\n  peat run-scope discard default.scope-7h6g5f4e3d2c1b0a")]
    Discard(RunScopeClose),
}

/// `peat run-scope fold` and `discard`.
#[derive(Debug, Args)]
pub(crate) struct RunScopeClose {
    /// Which
    #[arg(value_name = "SCOPE")]
    pub(crate) scope: NamespaceName,
    /// How long to wait for runs that hold a lease [default: PEAT_LOCK_TIMEOUT, or lockTimeout of peat.yaml]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) lock_timeout: Option<Duration>,
}
