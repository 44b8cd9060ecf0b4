//! `peat extension`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use peat_core::identifiers::{ExtensionName, GrantName};

/// What can be asked of extensions.
#[derive(Debug, Subcommand)]
pub(crate) enum ExtensionCommand {
    /// Check and install extensions, and note them in peat.lock
    #[command(after_help = "Example:\n  peat extension add lockfile.wasm --grant files:project=.")]
    Add(ExtensionAdd),
    /// List the extensions of the repository
    #[command(after_help = "Example:\n  peat extension list")]
    List,
    /// Show what an installed extension or a component file provides and wants
    #[command(after_help = "Example:\n  peat extension inspect @peat/directory")]
    Inspect {
        /// The name of an extension of the repository, or a file
        #[arg(value_name = "EXTENSION|FILE")]
        extension: String,
    },
    /// Remove an extension from the repository, with its grants
    #[command(after_help = "Example:\n  peat extension remove @examples/lockfile")]
    Remove {
        /// The extension
        extension: ExtensionName,
    },
}

/// `peat extension add`.
#[derive(Debug, Args)]
pub(crate) struct ExtensionAdd {
    /// Components
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Allow something: files:NAME=DIR a directory to read (relative to the repository), secrets:NAME=VARIABLE an
    /// environment variable
    #[arg(long = "grant", value_name = "GRANT")]
    pub(crate) grants: Vec<GrantArgument>,
}

/// A grant of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GrantArgument {
    /// A directory to read.
    Files { name: GrantName, directory: String },
    /// An environment variable of the host that holds a secret.
    Secrets { name: GrantName, variable: String },
}

impl std::str::FromStr for GrantArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "write files:NAME=DIR or secrets:NAME=VARIABLE".to_owned();
        let (capability, rest) = text.split_once(':').ok_or_else(form)?;
        let (name, value) = rest.split_once('=').filter(|(_, value)| !value.is_empty()).ok_or_else(form)?;
        let name = GrantName::parse(name).map_err(|error| error.to_string())?;
        match capability {
            "files" => Ok(Self::Files { name, directory: value.to_owned() }),
            "secrets" => Ok(Self::Secrets { name, variable: value.to_owned() }),
            _ => Err(form()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_names_capability_name_and_value() {
        let name = GrantName::parse("project").unwrap();
        assert_eq!("files:project=../x=y".parse(), Ok(GrantArgument::Files { name, directory: "../x=y".to_owned() }));
        for bad in ["files", "files:project", "files:project=", "files:=x", "bucket:a=b", "files:../a=b"] {
            assert!(bad.parse::<GrantArgument>().is_err(), "{bad}");
        }
    }
}
