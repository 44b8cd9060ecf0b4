//! The command line as types: one file a noun. Nothing is done here.

mod audit;
mod cache;
mod data;
mod datastore;
mod extension;
mod lock;
mod model;
mod namespace;
mod repo;
mod run;
mod run_scope;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use audit::{AuditCommand, AuditList, Stats};
pub(crate) use cache::{CacheCommand, CacheCompile};
pub(crate) use data::{DataCommand, DataGc, DataPrune};
pub(crate) use datastore::{
    DatastoreCheck, DatastoreCommand, DatastoreCompact, DatastoreExport, DatastoreHydrate, DatastoreImport,
    DatastoreRepair, DatastoreSetup, DatastoreStatus, DatastoreSync, Hydration,
};
pub(crate) use extension::{ExtensionAdd, ExtensionCommand, GrantArgument};
pub(crate) use lock::{LockCommand, LockHistory, LockRelease, LockRun, LockStatus};
pub(crate) use model::{MethodCommand, MethodRun, ModelCommand, ModelCreate, TypeCommand};
pub(crate) use namespace::{NamespaceCommand, NamespaceDelete, NamespaceMigrate};
pub(crate) use repo::RepoCommand;
pub(crate) use run::RunCommand;
pub(crate) use run_scope::{RunScopeClose, RunScopeCommand};

/// Shown below the help of `peat` itself.
const AFTER_HELP: &str = "\
Example:
  peat repo init inventory && cd inventory
  peat model create hello --type command/shell --argument run='echo hello'
  peat model method run hello execute
  peat data get hello stdout

Environment:
  PEAT_REPO          the repository, as --repo
  PEAT_HOME          local stores and installed extensions [$XDG_DATA_HOME/peat or ~/.local/share/peat]
  PEAT_CACHE_DIR     compiled extensions [$XDG_CACHE_HOME/peat or ~/.cache/peat]
  PEAT_CACHE_SIZE    most room that compiled extensions take (500MB, 4GiB) [2GiB]
  PEAT_DATASTORE     `local`, or a JSON object as the datastore block of peat.yaml; overrides it
  PEAT_NAMESPACE     overrides the namespace of peat.yaml; a run scope is used by it
  PEAT_LOCK_TIMEOUT  how long to wait for a lease, as --lock-timeout (90s, 10m)
  PEAT_BACKGROUND    off: no command leaves a process behind, for what nobody waits for
  PEAT_RUNNER        executable for the drivers process and container [peat-runner beside peat]
  PEAT_USER          who is named in the audit [the user's name]
  PEAT_LOG           filter of the trace on stderr, such as `peat_core=debug`
  NO_COLOR           any value: no colour, as --color never

Exit codes:
  0 ok, 1 method failed, 2 invalid input, 3 not found, 4 lock timeout, 5 lease lost,
  6 datastore unavailable, 7 denied, 8 corrupt, 70 internal error, 130 interrupted";

/// Runs methods on models and keeps what they produce in a shared datastore.
#[derive(Debug, Parser)]
#[command(name = "peat", after_help = AFTER_HELP, disable_version_flag = true, disable_help_subcommand = true)]
#[command(max_term_width = 120)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArguments,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArguments {
    /// Print exactly one JSON document on stdout, for errors too
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The repository, or a directory inside it [default: PEAT_REPO, or the current directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) repo: Option<PathBuf>,
    /// Trace to stderr; twice for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Print results and errors only
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(crate) color: ColorChoice,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What can be asked of Peat.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a repository
    #[command(subcommand)]
    Repo(RepoCommand),
    /// Work with models, their types and methods
    #[command(subcommand)]
    Model(ModelCommand),
    /// Read what method runs produced
    #[command(subcommand)]
    Data(DataCommand),
    /// Look at method runs
    #[command(subcommand)]
    Run(RunCommand),
    /// Write into a short-lived namespace, and commit it as a whole or not at all
    #[command(subcommand)]
    RunScope(RunScopeCommand),
    /// Choose, examine and synchronise the datastore
    #[command(subcommand)]
    Datastore(DatastoreCommand),
    /// Install and remove extensions
    #[command(subcommand)]
    Extension(ExtensionCommand),
    /// Look after the compiled extensions of this user
    #[command(subcommand)]
    Cache(CacheCommand),
    /// See who changed what
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Show what recent commands on this machine cost: requests, bytes, waits, holds
    #[command(after_help = "Example:\n  peat stats\n  peat stats --last 100 --since 1h")]
    Stats(Stats),
    /// Look at this machine and the repository: what is missing, what is broken, and what helps
    #[command(after_help = "Example:\n  peat doctor\n  peat doctor --online")]
    Doctor {
        /// Ask the datastore too: whether it can be reached, read, written and deleted from, and its clock
        #[arg(long)]
        online: bool,
    },
    /// Print completions for a shell
    #[command(after_help = "Example:\n  peat completions bash > ~/.local/share/bash-completion/completions/peat")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the version
    #[command(after_help = "Example:\n  peat version --json")]
    Version,
}

/// A name and a value of the command line: `name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl std::str::FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self { name: name.to_owned(), value: value.to_owned() }),
            _ => Err("write it name=value".to_owned()),
        }
    }
}

/// A duration of the command line.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write 90s, 10m or 1h"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        fn walk(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            if command.has_subcommands() {
                command.get_subcommands().for_each(|inner| walk(inner, &path));
            } else {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("Example:\n  peat "), "{path} has no example");
            }
        }
        walk(&Cli::command(), "");
    }

    #[test]
    fn an_assignment_is_split_at_its_first_equals_sign() {
        let assignment: Assignment = "url=a=b".parse().unwrap();
        assert_eq!((assignment.name.as_str(), assignment.value.as_str()), ("url", "a=b"));
        assert!("url".parse::<Assignment>().is_err());
        assert!("=x".parse::<Assignment>().is_err());
    }
}
