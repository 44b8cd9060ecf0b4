//! What a runner gives up before it loads a guest.

/// What the runner is to do to itself. Where the kernel lacks something, the runner goes on without it and says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Confinement {
    /// Give up the network, other processes' memory and what else has a namespace of its own.
    pub namespaces: bool,
    /// Give up every file but the granted directories (Landlock).
    pub landlock: bool,
    /// Give up every system call that a runner does not need (seccomp).
    pub seccomp: bool,
    /// Most bytes of memory that can be written to (`RLIMIT_DATA`). Not of address space: the memory of a guest is reserved
    /// in gigabytes, whatever it uses of them.
    pub writable_bytes: Option<u64>,
    /// Most open files (`RLIMIT_NOFILE`).
    pub open_files: Option<u64>,
    /// Most processor time in seconds (`RLIMIT_CPU`).
    pub processor_seconds: Option<u64>,
}
