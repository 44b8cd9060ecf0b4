//! The exit codes of `peat`: one table, here and in `docs/cli.md`.

/// How a command ended, as a script sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// It did what it was asked to, durably where the datastore promises it.
    Ok,
    /// The method ran and failed; what it wrote is kept, marked as of a failed run.
    MethodFailed,
    /// An argument, a file of the repository or an extension is wrong.
    InvalidInput,
    /// What was named does not exist.
    NotFound,
    /// Somebody else kept the lease or lock for the whole wait.
    LockTimeout,
    /// The lease was lost; nothing of the run was written to the datastore.
    LeaseLost,
    /// The datastore or the local store cannot be used now (not reachable, full, read-only, newer format).
    DatastoreUnavailable,
    /// Not granted, or refused by access rules.
    Denied,
    /// Stored bytes are not what was written.
    Corrupt,
    /// A defect of peat or a failure of the machine.
    Internal,
    /// Stopped by SIGINT or SIGTERM.
    Interrupted,
}

impl ExitCode {
    /// The number the process ends with.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::MethodFailed => 1,
            Self::InvalidInput => 2,
            Self::NotFound => 3,
            Self::LockTimeout => 4,
            Self::LeaseLost => 5,
            Self::DatastoreUnavailable => 6,
            Self::Denied => 7,
            Self::Corrupt => 8,
            Self::Internal => 70,
            Self::Interrupted => 130,
        }
    }

    /// The word in the `kind` of a JSON error.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::MethodFailed => "method-failed",
            Self::InvalidInput => "invalid-input",
            Self::NotFound => "not-found",
            Self::LockTimeout => "lock-timeout",
            Self::LeaseLost => "lease-lost",
            Self::DatastoreUnavailable => "datastore-unavailable",
            Self::Denied => "denied",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
            Self::Interrupted => "interrupted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In order of their numbers.
    const ALL: [ExitCode; 11] = [
        ExitCode::Ok,
        ExitCode::MethodFailed,
        ExitCode::InvalidInput,
        ExitCode::NotFound,
        ExitCode::LockTimeout,
        ExitCode::LeaseLost,
        ExitCode::DatastoreUnavailable,
        ExitCode::Denied,
        ExitCode::Corrupt,
        ExitCode::Internal,
        ExitCode::Interrupted,
    ];

    #[test]
    fn numbers_are_unique_and_rise() {
        assert!(ALL.windows(2).all(|pair| pair[0].number() < pair[1].number()));
    }

    #[test]
    fn the_documentation_has_the_same_table() {
        let document = include_str!("../../../docs/cli.md");
        for code in ALL {
            let row = format!("| {} | `{}` |", code.number(), code.kind());
            assert!(document.contains(&row), "docs/cli.md lacks {row}");
        }
    }
}
