//! `peat repo`.

use std::path::PathBuf;

use clap::Subcommand;
use peat_core::identifiers::NamespaceName;

/// What can be asked of repositories.
#[derive(Debug, Subcommand)]
pub(crate) enum RepoCommand {
    /// Make a repository in a new or existing directory
    #[command(after_help = "Example:\n  peat repo init inventory")]
    Init {
        /// Where [default: --repo, or the current directory]
        #[arg(value_name = "DIR", conflicts_with = "repo")]
        directory: Option<PathBuf>,
        /// The namespace of this repository in a shared datastore
        #[arg(long, value_name = "NAME")]
        namespace: Option<NamespaceName>,
    },
}
