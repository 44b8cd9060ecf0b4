//! How a call of a guest ended when it did not answer: one named error each.

use std::time::Duration;

use peat_core::ports::ExtensionError;
use wasmtime::{Error, Trap};

use crate::convert::Invalid;
use crate::convert::lease::millis;
use crate::convert::text::line;
use crate::limits::{Accounting, GUEST_STACK_BYTES, Limits};
use crate::state::LimitReached;

/// What wasmtime says when a guest hands more to the host than one call may. It has no type that could be looked at.
const TOO_MANY_BYTES: &str = "fuel allocated for hostcalls has been exhausted";

/// What wasmtime says when its own handle tables are full.
const TOO_MANY_HANDLES: &str = "store handle limit exceeded";

/// What wasmtime says when a component is made of too many instances, memories or tables.
const TOO_MANY_INSTANCES: &str = "count too high at";

/// Which call of which extension.
#[derive(Debug, Clone)]
pub(crate) struct CallName {
    pub(crate) extension: String,
    pub(crate) call: &'static str,
}

impl CallName {
    /// A trap, a limit, or a failure of the host's own side.
    pub(crate) fn failed(
        &self,
        error: &Error,
        accounting: &Accounting,
        limits: &Limits,
        deadline: Duration,
    ) -> ExtensionError {
        if let Some(LimitReached(reached)) = error.downcast_ref() {
            return self.limit(reached.limit, reached.allowed);
        }
        let text = format!("{error:#}");
        for (said, limit, allowed) in [
            (TOO_MANY_BYTES, "bytes in one host call", limits.host_call_bytes),
            (TOO_MANY_HANDLES, "handles", u64::from(limits.handles)),
            (TOO_MANY_INSTANCES, "instances, memories or tables", u64::from(limits.instances)),
        ] {
            if text.contains(said) {
                return self.limit(limit, allowed);
            }
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => return self.deadline(deadline),
            Some(Trap::StackOverflow) => return self.limit("bytes of stack", GUEST_STACK_BYTES as u64),
            _ => {}
        }
        // A guest that could not grow mostly traps on the spot.
        if let Some(reached) = accounting.reached() {
            return self.limit(reached.limit, reached.allowed);
        }
        if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
            return self.trapped(format!("it exited with status {} instead of answering", exit.0));
        }
        self.trapped(one_line(error))
    }

    pub(crate) fn deadline(&self, deadline: Duration) -> ExtensionError {
        ExtensionError::Deadline {
            extension: self.extension.clone(),
            call: self.call.to_owned(),
            deadline_ms: millis(deadline),
        }
    }

    pub(crate) fn malformed(&self, invalid: Invalid) -> ExtensionError {
        ExtensionError::Malformed {
            extension: self.extension.clone(),
            call: self.call.to_owned(),
            reason: line(&invalid.0),
        }
    }

    pub(crate) fn cancelled(&self) -> ExtensionError {
        ExtensionError::Cancelled { extension: self.extension.clone(), call: self.call.to_owned() }
    }

    pub(crate) fn host(&self, reason: impl ToString) -> ExtensionError {
        ExtensionError::Host {
            extension: self.extension.clone(),
            call: self.call.to_owned(),
            reason: reason.to_string(),
        }
    }

    /// What runs the guest outside of this process failed, not the guest.
    pub(crate) fn runner(&self, driver: &str, reason: impl ToString) -> ExtensionError {
        ExtensionError::Runner {
            extension: self.extension.clone(),
            call: self.call.to_owned(),
            driver: driver.to_owned(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn limit(&self, limit: &str, allowed: u64) -> ExtensionError {
        ExtensionError::Limit {
            extension: self.extension.clone(),
            call: self.call.to_owned(),
            limit: limit.to_owned(),
            allowed,
        }
    }

    pub(crate) fn trapped(&self, reason: String) -> ExtensionError {
        ExtensionError::Trapped { extension: self.extension.clone(), call: self.call.to_owned(), reason }
    }
}

/// The innermost reason and what it was about, on one bounded line.
pub(crate) fn one_line(error: &Error) -> String {
    line(&format!("{error:#}"))
}
