//! Why a guest in a runner did not answer.

use peat_core::ports::ExtensionError;

use crate::convert::text::line;
use crate::failure::CallName;

/// The ends of a call that a runner sees. Deadlines are the host's: it ends the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GuestFailure {
    /// The trap.
    Trapped(String),
    /// What is limited, and how much is allowed.
    Limit((String, u64)),
    /// It cannot be instantiated or has no such function.
    Unusable(String),
    /// The host said something that does not parse.
    Malformed(String),
    /// The host gave the call up.
    Cancelled,
    /// The runner itself failed.
    Host(String),
}

impl From<ExtensionError> for GuestFailure {
    fn from(error: ExtensionError) -> Self {
        match error {
            ExtensionError::Trapped { reason, .. } => Self::Trapped(reason),
            ExtensionError::Limit { limit, allowed, .. } => Self::Limit((limit, allowed)),
            ExtensionError::Unusable { reason, .. } => Self::Unusable(reason),
            ExtensionError::Malformed { reason, .. } => Self::Malformed(reason),
            ExtensionError::Cancelled { .. } => Self::Cancelled,
            other => Self::Host(other.to_string()),
        }
    }
}

impl GuestFailure {
    /// As the host reports it: what a runner says is only text, and bounded.
    pub(crate) fn of(self, name: &CallName) -> ExtensionError {
        match self {
            Self::Trapped(reason) => name.trapped(line(&reason)),
            Self::Limit((limit, allowed)) => name.limit(&line(&limit), allowed),
            Self::Unusable(reason) => {
                ExtensionError::Unusable { extension: name.extension.clone(), reason: line(&reason) }
            }
            Self::Malformed(reason) => name.host(line(&reason)),
            Self::Cancelled => name.cancelled(),
            Self::Host(reason) => name.host(line(&reason)),
        }
    }
}
