//! What is remembered of a hold when it is over: how long was waited for it, how long it lasted, and how it ended. A wait that
//! timed out is remembered as a hold that lasted no time.

use serde::{Deserialize, Serialize};

use crate::identifiers::PartitionName;

/// How a hold ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldEnding {
    /// Something was committed under it.
    Committed,
    /// It was given up, and nothing was committed.
    GivenUp,
    /// Its holder could not renew it in time.
    Lost,
    /// The datastore said that it is over: somebody took it over, or ended it.
    TakenOver,
    /// It was never had: the wait for it timed out.
    TimedOut,
}

/// A hold that is over, of a partition or of the lock of the namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldRecord {
    /// What was held.
    pub partition: PartitionName,
    /// Since when, by the wall clock of the holder, milliseconds since the Unix epoch. If the wait timed out: when it did.
    pub acquired_at_ms: u64,
    /// How long was waited for it before.
    pub waited_ms: u64,
    /// How long it lasted.
    pub held_ms: u64,
    /// How it ended.
    pub ending: HoldEnding,
}
