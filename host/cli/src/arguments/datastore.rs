//! `peat datastore`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use peat_core::identifiers::ModelName;
use peat_core::repository::Driver;

use super::{Assignment, LockCommand, NamespaceCommand, duration};

/// What can be asked of the datastore.
#[derive(Debug, Subcommand)]
pub(crate) enum DatastoreCommand {
    /// Choose the datastore: create what is missing, examine it, copy all data there, write it to peat.yaml
    #[command(
        after_help = "Example:\n  peat datastore setup @peat/directory --setting path=/srv/peat\n  peat datastore setup local"
    )]
    Setup(DatastoreSetup),
    /// Show which datastore is used and what is known of it; asks nobody
    #[command(after_help = "Example:\n  peat datastore status\n  peat datastore status --measure")]
    Status(DatastoreStatus),
    /// Examine the datastore again
    #[command(after_help = "Example:\n  peat datastore verify")]
    Verify,
    /// See and end leases, or run a command while nobody writes
    #[command(subcommand)]
    Lock(LockCommand),
    /// See, make, move and delete namespaces, and choose the one of this repository
    #[command(subcommand)]
    Namespace(NamespaceCommand),
    /// Push what is only here and bring what others wrote
    #[command(after_help = "Example:\n  peat datastore sync\n  peat datastore sync --model web --timeout 10m")]
    Sync(DatastoreSync),
    /// Send what is only here, and bring nothing
    #[command(after_help = "Example:\n  peat datastore push")]
    Push(DatastoreSync),
    /// Write everything in the namespace into one file
    #[command(
        after_help = "Example:\n  peat datastore export inventory.tar\n  peat datastore export - | zstd > backup.tar.zst"
    )]
    Export(DatastoreExport),
    /// Bring everything from a file that `export` wrote into the namespace
    #[command(
        after_help = "Example:\n  peat datastore import inventory.tar --dry-run\n  peat datastore import inventory.tar"
    )]
    Import(DatastoreImport),
    /// Free the room of everything that no index names, and write anew what takes more than it must
    #[command(after_help = "Example:\n  peat datastore compact\n  peat datastore compact --grace 12h")]
    Compact(DatastoreCompact),
    /// Look whether everything in the datastore and on this machine is there and is what was written
    #[command(after_help = "Example:\n  peat datastore check\n  peat datastore check --model web --read-data")]
    Check(DatastoreCheck),
    /// Make again what is damaged in the datastore, with what this machine has; say what is lost
    #[command(after_help = "Example:\n  peat datastore repair --dry-run\n  peat datastore repair --read-data --yes")]
    Repair(DatastoreRepair),
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

/// `peat datastore check`.
#[derive(Debug, Args)]
pub(crate) struct DatastoreCheck {
    /// Only this model; may be repeated [default: everything]
    #[arg(long = "model", value_name = "MODEL")]
    pub(crate) models: Vec<ModelName>,
    /// Read all content, too, and compare it with its digest
    #[arg(long)]
    pub(crate) read_data: bool,
}

/// `peat datastore repair`.
#[derive(Debug, Args)]
pub(crate) struct DatastoreRepair {
    /// Only this model; may be repeated [default: everything]
    #[arg(long = "model", value_name = "MODEL")]
    pub(crate) models: Vec<ModelName>,
    /// Look for damage by reading all content, too
    #[arg(long)]
    pub(crate) read_data: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask where something will be lost
    #[arg(long)]
    pub(crate) yes: bool,
    /// How long to wait for what others hold [default: PEAT_LOCK_TIMEOUT, or lockTimeout of peat.yaml]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) lock_timeout: Option<Duration>,
}

/// `peat datastore compact`.
#[derive(Debug, Args)]
pub(crate) struct DatastoreCompact {
    /// How long content stays after it left the index, and an upload that no index names after it was made [default: 1d]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) grace: Option<Duration>,
    /// How long to wait for what others hold [default: PEAT_LOCK_TIMEOUT, or lockTimeout of peat.yaml]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) lock_timeout: Option<Duration>,
}

/// `peat datastore status`.
#[derive(Debug, Args)]
pub(crate) struct DatastoreStatus {
    /// Ask the datastore how much room it takes, and who holds what
    #[arg(long)]
    pub(crate) measure: bool,
}

/// `peat datastore export`.
#[derive(Debug, Args)]
pub(crate) struct DatastoreExport {
    /// The archive; `-` is stdout
    #[arg(value_name = "FILE|-")]
    pub(crate) file: PathBuf,
}

/// `peat datastore import`.
#[derive(Debug, Args)]
pub(crate) struct DatastoreImport {
    /// The archive; `-` is stdin
    #[arg(value_name = "FILE|-")]
    pub(crate) file: PathBuf,
    /// Only check the archive, and say what would be imported
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How long to wait for a lease [default: PEAT_LOCK_TIMEOUT, or lockTimeout of peat.yaml]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) lock_timeout: Option<Duration>,
}

/// `peat datastore sync` and `peat datastore push`.
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
    /// Leave the data where it is
    #[arg(long)]
    pub(crate) no_migrate: bool,
    /// Only say what would be copied; asks the new datastore nothing
    #[arg(long, conflicts_with = "no_migrate")]
    pub(crate) dry_run: bool,
    /// How long to wait for those who write to the datastore that is left [default: PEAT_LOCK_TIMEOUT, or lockTimeout of
    /// peat.yaml]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) lock_timeout: Option<Duration>,
}

/// What a sync brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Hydration {
    /// Index and content
    Full,
    /// What there is; index and content with their first use
    Lazy,
}
