//! The bodies of the frames that are not calls of functions.

use super::GuestFailure;
use super::codec::{choice, record};
use crate::bindings::datastore::exports::peat::datastore::capabilities::Features;
use crate::runner::Confinement;

/// Both ends must speak the same. Raised with every change of a frame, of a value or of what they mean.
pub(crate) const PROTOCOL_VERSION: u32 = 1;

/// The first frame: everything a runner is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    /// First, so that any version can read it.
    pub(crate) version: u32,
    /// For messages.
    pub(crate) extension: String,
    /// Models, else a datastore.
    pub(crate) is_models: bool,
    /// By the names of the capabilities.
    pub(crate) granted: Vec<String>,
    /// Where the bundle lies, as the runner sees it.
    pub(crate) bundle: String,
    /// SHA-256 of its native code, hexadecimal.
    pub(crate) digest: String,
    /// Bytes of its native code.
    pub(crate) length: u64,
    /// Directories that guests of a standard library see, by name, as the runner sees them.
    pub(crate) directories: Vec<(String, String)>,
    /// What the guest may use.
    pub(crate) limits: GuestLimits,
    /// What the runner gives up.
    pub(crate) confinement: Confinement,
}

/// The limits that a runner enforces, because the host cannot see what is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GuestLimits {
    pub(crate) memory_bytes: u64,
    pub(crate) table_elements: u64,
    pub(crate) instances: u32,
    pub(crate) handles: u32,
    pub(crate) host_call_bytes: u64,
    pub(crate) log_lines: u64,
    pub(crate) log_bytes: u64,
    pub(crate) log_line_bytes: u64,
}

/// The runner has loaded the component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ready {
    /// The version it speaks.
    pub(crate) version: u32,
    /// What it gave up, in words.
    pub(crate) confined: Vec<String>,
    /// Optional interfaces that the component exports.
    pub(crate) exported: Features,
}

/// Call an exported function; its parameters follow in the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallBegin {
    /// The function.
    pub(crate) name: String,
    /// The host's clocks now: the guest's run on from there.
    pub(crate) now_ms: u64,
    pub(crate) elapsed_ms: u64,
    /// The parameters.
    pub(crate) parameters: Vec<u8>,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answered {
    /// Its results, or why there are none.
    pub(crate) results: Result<Vec<u8>, GuestFailure>,
    /// Lines and bytes of log that were more than allowed.
    pub(crate) dropped_lines: u64,
    pub(crate) dropped_bytes: u64,
}

record! {
    Hello { version, extension, is_models, granted, bundle, digest, length, directories, limits, confinement }
    GuestLimits {
        memory_bytes, table_elements, instances, handles, host_call_bytes, log_lines, log_bytes, log_line_bytes,
    }
    Confinement { namespaces, landlock, seccomp, writable_bytes, open_files, processor_seconds }
    Ready { version, confined, exported }
    CallBegin { name, now_ms, elapsed_ms, parameters }
    Answered { results, dropped_lines, dropped_bytes }
}

choice! {
    GuestFailure {
        0 => Trapped(reason), 1 => Limit(limit), 2 => Unusable(reason), 3 => Malformed(reason), 4 => Cancelled,
        5 => Host(reason),
    }
}
