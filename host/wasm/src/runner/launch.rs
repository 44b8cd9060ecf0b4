//! How a runner is started: the port that the drivers implement.
//!
//! A launcher starts a process that speaks the runner protocol over its standard streams, and takes it away again. What
//! is said over the streams is no concern of a launcher.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use peat_core::identifiers::GrantName;
use tokio::io::{AsyncRead, AsyncWrite};

use super::confinement::Confinement;
use crate::artifacts::Bundle;

/// What a runner is started for.
#[derive(Debug, Clone)]
pub struct LaunchRequest {
    /// Name of the extension, for messages.
    pub extension: String,
    /// What it will load.
    pub bundle: Bundle,
    /// Directories it may read, by the names they were granted under; absolute.
    pub directories: BTreeMap<GrantName, PathBuf>,
    /// Bytes that the guest's memory may grow to. The process needs more than these.
    pub memory_bytes: u64,
}

/// A runner that was started.
pub struct LaunchedRunner {
    /// Its standard input.
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its standard output.
    pub output: Box<dyn AsyncRead + Send + Unpin>,
    /// The process.
    pub process: Box<dyn RunnerProcess>,
    /// The bundle's directory as the runner sees it.
    pub bundle: PathBuf,
    /// The granted directories as the runner sees them.
    pub directories: BTreeMap<GrantName, PathBuf>,
    /// What the runner is to do to itself before it loads anything.
    pub confinement: Confinement,
}

impl fmt::Debug for LaunchedRunner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LaunchedRunner").field("bundle", &self.bundle).finish_non_exhaustive()
    }
}

/// A process, or a container, that is a runner. Dropped, it is killed with everything it started, at once, and nothing
/// of it stays.
#[async_trait]
pub trait RunnerProcess: Send {
    /// Waits until it has ended, and says how in a few words: its exit status or signal, and the end of what it printed
    /// on its standard error. Cancel safe.
    async fn ended(&mut self) -> String;
}

/// Starts runners.
#[async_trait]
pub trait Launcher: Send + Sync + fmt::Debug {
    /// The driver, for messages: `process` or `container`.
    fn name(&self) -> &'static str;

    /// Starts one. Dropping the future gives it up and leaves nothing behind.
    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchedRunner, LaunchError>;
}

/// Why a runner was not started: what, where and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LaunchError(pub String);
