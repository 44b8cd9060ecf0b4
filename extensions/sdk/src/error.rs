//! The one error that crosses the boundary, with constructors and conversions for `?`.

use crate::{Error, ErrorKind};

macro_rules! constructor {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        pub fn $name(subject: impl Into<String>, message: impl Into<String>) -> Self {
            Self::new($kind, subject, message)
        }
    };
}

impl Error {
    /// An error of `kind` about `subject` (a key, a name, a setting); `message` says what happened and what to do.
    pub fn new(kind: ErrorKind, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, subject: subject.into(), message: message.into() }
    }

    constructor!(
        /// Somebody else changed it first.
        conflict, ErrorKind::Conflict
    );
    constructor!(
        /// It does not exist.
        not_found, ErrorKind::NotFound
    );
    constructor!(
        /// Not reachable; whether a write was applied is unknown.
        unavailable, ErrorKind::Unavailable(None)
    );
    constructor!(
        /// Not allowed.
        denied, ErrorKind::Denied
    );
    constructor!(
        /// The lease is gone.
        lease_lost, ErrorKind::LeaseLost
    );
    constructor!(
        /// Another holder kept the lease.
        held, ErrorKind::Held
    );
    constructor!(
        /// Bytes are not what they must be.
        corrupt, ErrorKind::Corrupt
    );
    constructor!(
        /// This implementation does not do that.
        unsupported, ErrorKind::Unsupported
    );
    constructor!(
        /// The settings are wrong.
        invalid_config, ErrorKind::InvalidConfig
    );
    constructor!(
        /// An argument is wrong.
        invalid_input, ErrorKind::InvalidInput
    );
    constructor!(
        /// A limit is used up.
        exhausted, ErrorKind::Exhausted
    );
    constructor!(
        /// The operator or the host asked to stop.
        cancelled, ErrorKind::Cancelled
    );

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable(_) | ErrorKind::Conflict | ErrorKind::Held)
    }

    /// Subject and message as one line for a person.
    pub fn text(&self) -> String {
        match (self.subject.is_empty(), self.message.contains(&self.subject)) {
            (true, _) | (_, true) => self.message.clone(),
            (false, false) => format!("{}: {}", self.subject, self.message),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::invalid_input("JSON", error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_the_subject_once() {
        assert_eq!(Error::not_found("a/b", "it does not exist").text(), "a/b: it does not exist");
        assert_eq!(Error::not_found("a/b", "a/b does not exist").text(), "a/b does not exist");
    }

    #[test]
    fn only_what_may_pass_by_itself_is_transient() {
        assert!(Error::unavailable("store", "no answer").is_transient());
        assert!(!Error::denied("store", "not granted").is_transient());
    }
}
