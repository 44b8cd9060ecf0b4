//! What was found to run containers on this machine, and remembered.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use peat_core::repository::ContainerRuntime;
use serde::{Deserialize, Serialize};

/// A runtime that ran a container here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Which.
    pub(crate) runtime: ContainerRuntime,
    /// Its program.
    pub(crate) program: PathBuf,
    /// The OCI runtime it was told to use; its own choice where none is.
    pub(crate) oci: Option<Oci>,
    /// What it can limit.
    pub(crate) limits: LimitsHere,
    /// The image of the runner.
    pub(crate) image: String,
}

/// What makes containers for Podman.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Oci {
    /// Needs cgroups of version 2.
    Crun,
    /// Does without.
    Runc,
}

impl Oci {
    /// Every one that is tried, when Podman's own choice does not work.
    pub(super) const ALL: [Self; 2] = [Self::Crun, Self::Runc];

    /// Its program.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Crun => "crun",
            Self::Runc => "runc",
        }
    }
}

/// What of a container can be limited here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsHere {
    pub(crate) memory: bool,
    pub(crate) cpus: bool,
    pub(crate) pids: bool,
}

impl LimitsHere {
    /// Everything.
    pub(super) const ALL: Self = Self { memory: true, cpus: true, pids: true };

    /// Nothing: no cgroup controllers.
    pub(super) const NONE: Self = Self { memory: false, cpus: false, pids: false };
}

impl Found {
    /// The program, told to use the right OCI runtime.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(oci) = self.oci {
            command.args(["--runtime", oci.as_str()]);
        }
        command
    }

    /// The words that take a container away, whatever state it is in.
    pub(super) fn removal(&self, container: &str) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![self.program.clone().into()];
        if let Some(oci) = self.oci {
            words.extend(["--runtime", oci.as_str()].map(OsString::from));
        }
        words.extend(["rm", "--force", "--volumes"].map(OsString::from));
        if self.runtime == ContainerRuntime::Podman {
            words.extend(["--time", "0"].map(OsString::from));
        }
        words.push(container.into());
        words
    }
}
