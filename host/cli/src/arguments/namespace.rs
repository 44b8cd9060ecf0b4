//! `peat datastore namespace`.

use std::time::Duration;

use clap::{Args, Subcommand};
use peat_core::identifiers::NamespaceName;

use super::duration;

/// What can be done with the namespaces of a shared datastore.
#[derive(Debug, Subcommand)]
pub(crate) enum NamespaceCommand {
    /// List the namespaces of the datastore
    #[command(after_help = "Example:\n  peat datastore namespace list")]
    List,
    /// Make a namespace
    #[command(after_help = "Example:\n  peat datastore namespace create staging")]
    Create {
        /// Its name, which nobody has
        #[arg(value_name = "NAME")]
        name: NamespaceName,
    },
    /// Use another namespace in this repository: write it to peat.yaml
    #[command(after_help = "Example:\n  peat datastore namespace set staging\n\n\
                      After a move, on the other machines: what was not sent to the old name comes along.")]
    Set {
        /// Which
        #[arg(value_name = "NAME")]
        name: NamespaceName,
        /// Make it when it is not there
        #[arg(long)]
        create: bool,
    },
    /// Move the namespace of this repository to another name while others use it, then write that to peat.yaml
    #[command(after_help = "Example:\n  peat datastore namespace migrate inventory\n\n\
                      Interrupted, the same command goes on, on any machine. To give it up instead:\n  \
                      peat datastore namespace delete inventory")]
    Migrate(NamespaceMigrate),
    /// Delete a namespace, what a move left at its old name, or a target that is not filled yet
    #[command(after_help = "Example:\n  peat datastore namespace delete staging --force")]
    Delete(NamespaceDelete),
}

/// `peat datastore namespace migrate`.
#[derive(Debug, Args)]
pub(crate) struct NamespaceMigrate {
    /// The new name, which nobody has
    #[arg(value_name = "NAME")]
    pub(crate) name: NamespaceName,
    /// How long to wait for runs that hold a lease [default: PEAT_LOCK_TIMEOUT, or lockTimeout of peat.yaml]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) lock_timeout: Option<Duration>,
}

/// `peat datastore namespace delete`.
#[derive(Debug, Args)]
pub(crate) struct NamespaceDelete {
    /// Which
    #[arg(value_name = "NAME")]
    pub(crate) name: NamespaceName,
    /// Also one that is in use: everything in it is lost
    #[arg(long)]
    pub(crate) force: bool,
    /// How long to wait for runs that hold a lease [default: PEAT_LOCK_TIMEOUT, or lockTimeout of peat.yaml]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) lock_timeout: Option<Duration>,
}
