//! What a replica knows of a partition, as one line of text: `{sequence}:{lineage}:{etag}`.

use crate::head::Head;
use crate::limits::ETAG_BYTES_MAX;

/// A parsed version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// Everything up to this sequence.
    pub(crate) sequence: u64,
    /// Of this head.
    pub(crate) lineage: String,
    /// The head had this ETag; empty when more is in it than the replica took over.
    pub(crate) etag: String,
}

impl Known {
    /// Everything a head holds.
    pub(crate) fn all_of(head: &Head, etag: &str) -> Self {
        Self { sequence: head.sequence, lineage: head.lineage.clone(), etag: etag.to_owned() }
    }

    /// Nothing of a head.
    pub(crate) fn nothing_of(head: &Head) -> Self {
        Self { sequence: 0, lineage: head.lineage.clone(), etag: String::new() }
    }

    /// Reads the written form; what is not one is known as nothing.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let sequence = parts.next()?.parse().ok()?;
        let lineage = parts.next()?.to_owned();
        let etag = parts.next().filter(|etag| etag.len() <= ETAG_BYTES_MAX)?.to_owned();
        Some(Self { sequence, lineage, etag })
    }

    /// The same commits, whoever has leased the head since.
    pub(crate) fn is_same_history(&self, other: &Self) -> bool {
        self.sequence == other.sequence && self.lineage == other.lineage
    }

    /// A replica that knows this can be extended to what the head holds.
    pub(crate) fn leads_to(&self, head: &Head) -> bool {
        self.lineage == head.lineage && self.sequence <= head.sequence && self.sequence >= head.horizon
    }

    /// The written form.
    pub(crate) fn to_text(&self) -> String {
        format!("{}:{}:{}", self.sequence, self.lineage, self.etag)
    }
}
