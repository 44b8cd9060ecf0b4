//! How far work has come, for whoever watches.

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
}

/// What progress counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressUnit {
    /// Things.
    Items,
    /// Bytes.
    Bytes,
}

/// Watches work. Never blocks, never fails.
pub trait Observer: Send + Sync {
    /// Takes a report.
    fn progress(&self, progress: Progress);

    /// A line that people should see even without progress: a fallback that was taken, a degraded extension.
    fn warn(&self, message: &str);
}

/// Watches nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {
    fn progress(&self, _progress: Progress) {}
    fn warn(&self, _message: &str) {}
}
