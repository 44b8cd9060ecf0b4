//! Object stores with conditional writes: the ground under datastore extensions.

use async_trait::async_trait;

use crate::content::SharedContent;

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Relative to the store's scope. Ends with `/` where a listing folded deeper keys.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Opaque. Writes of different bytes never share one; those of equal bytes may.
    pub etag: String,
    /// By the store's clock, milliseconds since the Unix epoch.
    pub modified_ms: u64,
}

/// An object and its content.
#[derive(Debug, Clone)]
pub struct Found {
    /// What it is.
    pub object: ObjectInfo,
    /// Its bytes as of that ETag.
    pub content: SharedContent,
    /// The store's clock at this answer.
    pub store_time_ms: u64,
}

/// Answer of a conditional read.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// Here it is.
    Found(Found),
    /// It still has the ETag that was asked against.
    NotModified,
}

/// When a write may happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Whatever is there.
    Always,
    /// Nothing is there.
    Absent,
    /// The object has this ETag.
    Matches(String),
}

/// Part of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// A page of keys, sorted.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// At most 1,000.
    pub objects: Vec<ObjectInfo>,
    /// To go on, when there is more.
    pub cursor: Option<String>,
    /// The store's clock at this answer.
    pub store_time_ms: u64,
}

/// Why an object store refused.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The key cannot name an object of this scope.
    #[error("{key:?} cannot name an object: {reason}")]
    InvalidKey {
        /// As given, bounded.
        key: String,
        /// The rule.
        reason: &'static str,
    },
    /// No such object.
    #[error("there is no object {key}")]
    NotFound {
        /// The key.
        key: String,
    },
    /// The condition did not hold; nothing was written by this request.
    #[error("object {key} was changed by somebody else")]
    Conflict {
        /// The key.
        key: String,
    },
    /// Access refused.
    #[error("{key}: access was refused: {reason}")]
    Denied {
        /// The key.
        key: String,
        /// What the store said.
        reason: String,
    },
    /// No room, or a quota.
    #[error("{key}: there is no room left: {reason}")]
    Exhausted {
        /// The key.
        key: String,
        /// What the store said.
        reason: String,
    },
    /// The object is not what was written.
    #[error("object {key} is damaged: {reason}")]
    Corrupt {
        /// The key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such store, or not as the settings say; nothing was written.
    #[error("{key}: the settings of the store do not fit: {reason}")]
    Misconfigured {
        /// The key or the setting.
        key: String,
        /// What does not fit, and what would.
        reason: String,
    },
    /// Not reachable, or no answer; whether a write was applied is unknown.
    #[error("{key}: the store is not available: {reason}")]
    Unavailable {
        /// The key.
        key: String,
        /// What happened.
        reason: String,
        /// When the store said to come back.
        retry_after_ms: Option<u64>,
    },
}

/// An object store, scoped: no key leaves it. Reads and listings see every write answered before they began; of several
/// conditional writes with one condition exactly one succeeds; nothing is seen half-written.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// What it is and where, for a person.
    fn description(&self) -> String;

    /// Reads an object, unless it still has `unless_etag`.
    async fn get(&self, key: &str, unless_etag: Option<&str>) -> Result<Lookup, ObjectError>;

    /// Reads parts of an object, in the order asked.
    async fn get_ranges(&self, key: &str, ranges: &[Range]) -> Result<Vec<SharedContent>, ObjectError>;

    /// Writes an object and answers its ETag. Not cancel safe: dropped, it may or may not have been applied.
    async fn put(&self, key: &str, content: SharedContent, condition: Condition) -> Result<String, ObjectError>;

    /// Copies inside the store; `Conflict` when the target exists.
    async fn copy(&self, source: &str, target: &str) -> Result<String, ObjectError>;

    /// Keys that begin with `prefix`. With `delimiter`, what lies deeper is folded into `…/` keys.
    async fn list(&self, prefix: &str, delimiter: bool, cursor: Option<&str>) -> Result<Listing, ObjectError>;

    /// Deletes; a missing key is no failure. Answers the keys that could not be deleted, and why.
    async fn delete(&self, keys: &[String]) -> Result<Vec<(String, ObjectError)>, ObjectError>;
}
