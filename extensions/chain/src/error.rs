//! The one error of this crate. Its kinds mirror `peat:host/errors`: each says what the caller does next.

/// Result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

/// What to do about a damaged object.
const DAMAGE_REMEDY: &str =
    "; `peat datastore check` says what else is damaged, and `peat datastore repair` mends what can be mended";

/// What the caller does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Somebody else changed it first.
    Conflict,
    /// It does not exist.
    NotFound,
    /// Not reachable; whether a write was applied is unknown. Retry after so many milliseconds, where that was said.
    Unavailable(Option<u64>),
    /// Not granted or refused. Retrying is useless.
    Denied,
    /// The lease was taken over, broken or expired.
    LeaseLost,
    /// Another holder kept the lease until the wait was over.
    Held,
    /// Bytes are not what they must be.
    Corrupt,
    /// This build does not do or know that.
    Unsupported,
    /// The settings are wrong.
    InvalidConfig,
    /// An argument of this call is wrong.
    InvalidInput,
    /// A limit or quota is used up.
    Exhausted,
    /// Asked to stop.
    Cancelled,
}

/// What happened, to which thing, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What the caller does next.
    pub kind: ErrorKind,
    /// The thing it is about: a key, a partition, a data name.
    pub subject: String,
    /// One sentence for a person.
    pub message: String,
}

impl Error {
    /// An error of `kind` about `subject`.
    pub fn new(kind: ErrorKind, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, subject: subject.into(), message: message.into() }
    }

    /// An object that is not what was written.
    pub(crate) fn corrupt(key: &str, what: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::Corrupt, key, format!("object {key} is damaged: {what}{DAMAGE_REMEDY}"))
    }

    /// What is wrong with a damaged object, without its key and the remedy.
    pub(crate) fn damage(&self) -> &str {
        let text = self.message.strip_suffix(DAMAGE_REMEDY).unwrap_or(&self.message);
        let named = text.strip_prefix("object ").and_then(|text| text.strip_prefix(self.subject.as_str()));
        named.and_then(|text| text.strip_prefix(" is damaged: ")).unwrap_or(text)
    }

    /// It says something about an object itself: it is not there, or is not what was written.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self.kind, ErrorKind::Corrupt | ErrorKind::NotFound)
    }

    /// An argument of this call that breaks a rule.
    pub(crate) fn input(subject: impl Into<String>, rule: impl std::fmt::Display) -> Self {
        let subject = subject.into();
        let message = format!("{subject:?} is not valid: {rule}");
        Self::new(ErrorKind::InvalidInput, subject, message)
    }

    /// The condition of a write did not hold, or nobody knows whether it was applied: read back and decide.
    pub(crate) fn is_ambiguous(&self) -> bool {
        matches!(self.kind, ErrorKind::Conflict | ErrorKind::Unavailable(_))
    }

    pub(crate) fn is_unavailable(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable(_))
    }

    /// A segment that a head names is not there: a collector ran since the head was read, or the store has lost it.
    pub(crate) fn segment_missing(key: &str) -> Self {
        Self::new(ErrorKind::NotFound, key, format!("object {key} does not exist any more; read the head again"))
    }

    /// See [`Self::segment_missing`]. No other subject looks like the key of a segment.
    pub(crate) fn is_segment_missing(&self) -> bool {
        self.kind == ErrorKind::NotFound && self.subject.contains("/_segments/")
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.kind == ErrorKind::NotFound
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
