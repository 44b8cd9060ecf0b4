//! The record of a run: what is kept of it for good, as data of its model.

use serde::{Deserialize, Serialize};

use crate::audit::Actor;
use crate::digest::Digest;
use crate::identifiers::{DataName, MethodName, ModelId, ModelName, ModelTypeName, RunId};
use crate::repository::Driver;

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

/// Longest summary that is kept, in characters: one line of a listing, not a second log.
pub(super) const SUMMARY_CHARACTERS_MAX: usize = 500;

/// What a method says of itself, as one bounded line.
pub(super) fn summary_line(text: &str) -> String {
    let mut characters = text.trim().chars().map(|shown| if shown.is_control() { ' ' } else { shown });
    let mut line: String = characters.by_ref().take(SUMMARY_CHARACTERS_MAX).collect();
    if characters.next().is_some() {
        line.push('…');
    }
    line
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

/// When the model's partition was held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldTimes {
    /// Since when, by the wall clock of the host, milliseconds since the Unix epoch.
    pub acquired_at_ms: u64,
    /// How long, until the record was written: the commit comes after it.
    pub held_ms: u64,
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
    /// The hold; none where the process that started this one holds the partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldTimes>,
    /// Who ran it.
    #[serde(default)]
    pub by: Actor,
    /// What the method wrote.
    pub data: Vec<WrittenData>,
    /// Bytes of log that were produced but not kept.
    pub log_bytes_dropped: u64,
    /// Where the method ran. Left out where that is in the process of the host, as it always was once.
    #[serde(default, skip_serializing_if = "Driver::is_in_process")]
    pub driver: Driver,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_one_bounded_line() {
        assert_eq!(summary_line(" done\nwell "), "done well");
        let line = summary_line(&"é".repeat(1_000_000));
        assert_eq!(line.chars().count(), SUMMARY_CHARACTERS_MAX + 1);
        assert!(line.ends_with('…'));
    }
}
