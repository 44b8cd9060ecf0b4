//! How far work has come, for whoever watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::hold::HoldRecord;

/// One report. Cheap to make and cheap to drop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What is being done, or what is being waited for and for whom.
    pub message: String,
    /// So much is done.
    pub done: u64,
    /// Of so much, where it is known.
    pub total: Option<u64>,
    /// Of what.
    pub unit: ProgressUnit,
    /// How many things the bytes belong to, where they are counted too.
    pub objects: Option<Objects>,
}

/// Things of which bytes are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Objects {
    /// So many are done.
    pub done: u64,
    /// Of so many.
    pub total: u64,
}

/// What progress counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressUnit {
    /// Things.
    Items,
    /// Bytes.
    Bytes,
}

/// Counts that bytes move, so that a transfer which takes long is told from one that stands still. Clones share the count.
#[derive(Debug, Clone, Default)]
pub struct Movement(Arc<AtomicU64>);

impl Movement {
    /// Some bytes have moved.
    pub fn moved(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Changes whenever bytes move.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Watches work. Never blocks, never fails.
pub trait Observer: Send + Sync {
    /// Takes a report.
    fn progress(&self, progress: Progress);

    /// A line that people should see even without progress: a fallback that was taken, a degraded extension.
    fn warn(&self, message: &str);

    /// A hold of this process is over.
    fn held(&self, _record: &HoldRecord) {}
}

/// Watches nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {
    fn progress(&self, _progress: Progress) {}
    fn warn(&self, _message: &str) {}
}
