//! What goes on while things are brought: what came, what did not, and when it is time to give up.
//!
//! One thing that cannot be had stops nothing else: it is noted with its partition and name. A datastore that cannot be
//! had at all is given up after a few tries, so that nobody waits for every single entry of it.

use std::fmt;

use crate::hold::HoldError;
use crate::identifiers::{DataName, PartitionName, Version};
use crate::ports::{DatastoreError, ErrorKind, ExtensionError};

/// Failures that are told one by one; further ones are counted.
const FAILURES_TOLD_MAX: usize = 20;

/// Calls in a row that failed as if the datastore were away, before it is believed.
const STRIKES_MAX: u32 = 3;

/// What was brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hydrated {
    /// Partitions whose news came.
    pub partitions_changed: u64,
    /// Entries taken over.
    pub entries: u64,
    /// Contents brought.
    pub contents: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// Commits of this machine did not reach the datastore.
    Commits,
    /// News of the partition did not come.
    Index,
    /// The content of one version did not come.
    Content {
        /// Its name.
        name: DataName,
        /// Its version.
        version: Version,
    },
}

/// One thing that did not arrive, and why.
#[derive(Debug)]
pub struct TransferFailure {
    /// Where it belongs.
    pub partition: PartitionName,
    /// What it is.
    pub lost: Lost,
    /// Why.
    pub error: HoldError,
}

impl fmt::Display for TransferFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.lost {
            Lost::Commits => write!(formatter, "{}: its uncommitted results: {}", self.partition, self.error),
            Lost::Index => write!(formatter, "{}: its index: {}", self.partition, self.error),
            Lost::Content { name, version } => {
                write!(formatter, "{}: {name} version {version}: {}", self.partition, self.error)
            }
        }
    }
}

/// Everything that did not arrive.
#[derive(Debug, Default)]
pub struct Failures {
    /// The first ones.
    pub told: Vec<TransferFailure>,
    /// How many there were.
    pub count: u64,
    /// The rest was not tried: the datastore seems to be away.
    pub gave_up: bool,
    strikes: u32,
}

impl Failures {
    /// Whether all went well.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Notes what did not arrive. Fails with what concerns more than this one thing: the local store, an interrupt.
    pub fn note(&mut self, partition: &PartitionName, lost: Lost, error: HoldError) -> Result<(), HoldError> {
        match error {
            HoldError::Store(_) | HoldError::Lane(_) | HoldError::Interrupted => return Err(error),
            HoldError::Local(_) | HoldError::Inherited(_) | HoldError::Datastore(_) => {}
        }
        self.count += 1;
        if self.told.len() < FAILURES_TOLD_MAX {
            self.told.push(TransferFailure { partition: partition.clone(), lost, error });
        }
        Ok(())
    }

    /// A call failed with this. Answers whether to go on.
    pub fn strike(&mut self, error: &DatastoreError) -> bool {
        if is_away(error) {
            self.strikes += 1;
            self.gave_up |= self.strikes >= STRIKES_MAX;
        }
        !self.gave_up
    }

    /// Something came.
    pub fn came(&mut self) {
        self.strikes = 0;
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, failure) in self.told.iter().enumerate() {
            write!(formatter, "{}{failure}", if index == 0 { "" } else { "; " })?;
        }
        let others = self.count.saturating_sub(self.told.len() as u64);
        if others > 0 {
            write!(formatter, "; and {others} more")?;
        }
        if self.gave_up {
            write!(formatter, "; the rest was not tried")?;
        }
        Ok(())
    }
}

/// The datastore as a whole seems to be out of reach, not one thing in it.
fn is_away(error: &DatastoreError) -> bool {
    match error {
        DatastoreError::Refused { kind, .. } => matches!(kind, ErrorKind::Unavailable { .. } | ErrorKind::Denied),
        DatastoreError::Extension(error) => matches!(error, ExtensionError::Deadline { .. }),
    }
}
