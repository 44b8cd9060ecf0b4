//! The record of a run: what is kept of it for good, as data of its model.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::identifiers::{DataName, MethodName, ModelId, ModelName, ModelTypeName, RunId};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunStatus {
    /// The method did what it was asked to.
    Succeeded,
    /// The method failed, trapped or hit a limit.
    Failed,
    /// The operator stopped it.
    Interrupted,
    /// The lease was lost while it ran.
    LeaseLost,
}

/// A data item that a run wrote. The version is the index's to say, not the record's: it is assigned by the commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenData {
    /// Its name.
    pub name: DataName,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content.
    pub digest: Digest,
}

/// One method run. JSON; unknown keys are ignored, because a newer Peat may have written it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// The run.
    pub run_id: RunId,
    /// Its model.
    pub model_id: ModelId,
    /// The model's name at that time.
    pub model_name: ModelName,
    /// The model's type.
    pub model_type: ModelTypeName,
    /// What was run.
    pub method: MethodName,
    /// How it ended.
    pub status: RunStatus,
    /// One line: what came of it, or why it failed.
    pub summary: String,
    /// Wall clock of the host, milliseconds since the Unix epoch.
    pub started_at_ms: u64,
    /// Wall clock of the host at the end of the method.
    pub finished_at_ms: u64,
    /// How long was waited for the lease.
    pub waited_ms: u64,
    /// What the method wrote.
    pub data: Vec<WrittenData>,
    /// Bytes of log that were produced but not kept.
    pub log_bytes_dropped: u64,
}
