//! What can go wrong between the host and a guest, apart from what the guest itself reports.

/// An extension misbehaved, hit a limit or cannot be used. The call ended, its instance is gone, the host goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    /// The file of the extension is not there any more.
    #[error(
        "extension {extension}: its component {path} is not there; install it again with `peat extension add FILE`"
    )]
    Missing {
        /// Name of the extension.
        extension: String,
        /// Where it should be.
        path: String,
    },
    /// The file is not what was installed, or not a component, or does not fit the contract.
    #[error("extension {extension} cannot be used: {reason}")]
    Unusable {
        /// Name of the extension, its file, or both.
        extension: String,
        /// What is wrong and what to do about it.
        reason: String,
    },
    /// It wants something nobody granted.
    #[error("extension {extension} imports {import}, which is not granted; {remedy}")]
    NotGranted {
        /// Name of the extension.
        extension: String,
        /// The import.
        import: String,
        /// How the operator grants it, or that it cannot be granted.
        remedy: String,
    },
    /// Native code could not be made of it.
    #[error("extension {extension} does not compile: {reason}")]
    Compile {
        /// Name of the extension.
        extension: String,
        /// What the compiler said.
        reason: String,
    },
    /// The guest trapped.
    #[error("extension {extension} trapped in {call}: {reason}")]
    Trapped {
        /// Name of the extension.
        extension: String,
        /// The exported function.
        call: String,
        /// The trap, first line.
        reason: String,
    },
    /// The guest hit a limit of the host.
    #[error("extension {extension} hit its limit of {allowed} {limit} in {call}")]
    Limit {
        /// Name of the extension.
        extension: String,
        /// The exported function.
        call: String,
        /// What is limited, with its unit.
        limit: String,
        /// How much is allowed.
        allowed: u64,
    },
    /// The call took longer than its deadline.
    #[error("extension {extension} did not finish {call} within {deadline_ms} ms")]
    Deadline {
        /// Name of the extension.
        extension: String,
        /// The exported function.
        call: String,
        /// The deadline.
        deadline_ms: u64,
    },
    /// The guest answered something that is not valid.
    #[error("extension {extension} answered {call} with something invalid: {reason}")]
    Malformed {
        /// Name of the extension.
        extension: String,
        /// The exported function.
        call: String,
        /// Field and rule.
        reason: String,
    },
    /// The operator or the host asked to stop.
    #[error("extension {extension} was cancelled in {call}")]
    Cancelled {
        /// Name of the extension.
        extension: String,
        /// The exported function.
        call: String,
    },
    /// What runs it outside of this process could not be started, ended early, or said what it must not say.
    #[error("extension {extension}: the driver `{driver}` failed in {call}: {reason}")]
    Runner {
        /// Name of the extension.
        extension: String,
        /// The exported function.
        call: String,
        /// The driver.
        driver: String,
        /// What failed, and the remedy where there is one.
        reason: String,
    },
    /// The host itself failed (disk, memory), not the guest.
    #[error("extension {extension}: the host failed in {call}: {reason}")]
    Host {
        /// Name of the extension.
        extension: String,
        /// What was under way.
        call: String,
        /// What failed.
        reason: String,
    },
}
