//! What a guest may use up, and the accounting of it.
//!
//! Every limit has a default here and a reason; `docs/limits.md` repeats them for operators. What a guest hits ends its
//! call with an error that names the limit; it never ends the host.

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// Largest component that is accepted, in bytes: the largest toolchains (Python) make some 40 MB.
pub const COMPONENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A component of so many bytes is compiled quickly first, and optimised later: on two cores that is some two seconds of
/// waiting instead of one for each of them.
pub const QUICK_COMPONENT_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes that one host call may take from or hand to a guest: larger content goes through handles.
pub(crate) const CALL_BYTES_MAX: u64 = 1024 * 1024;

/// Random bytes of one call: keys and nonces need far fewer.
pub(crate) const RANDOM_BYTES_MAX: u32 = 4096;

/// Entries of one directory listing page and of one data listing page.
pub(crate) const PAGE_ENTRIES_MAX: u32 = 1000;

/// Largest content that `replica.cache` keeps, in bytes.
pub(crate) const CACHED_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Longest text field that a guest answers or passes (a message, a subject, a key), in bytes. Longer ones are cut where
/// they are for people and refused where they are not.
pub(crate) const TEXT_BYTES_MAX: usize = 4096;

/// Largest opaque state of a lease, in bytes (the contract's figure).
pub(crate) const LEASE_STATE_BYTES_MAX: usize = 256 * 1024;

/// Longest location of an entry, in bytes (the contract's figure).
pub(crate) const LOCATION_BYTES_MAX: usize = 512;

/// Longest partition version, in bytes (the contract's figure).
pub(crate) const PARTITION_VERSION_BYTES_MAX: usize = 4096;

/// Shortest time between two progress reports that are passed on: faster is nothing an eye can follow.
pub(crate) const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);

/// Stack of a guest, in bytes: deep recursion of interpreters fits, a runaway recursion ends soon.
pub(crate) const GUEST_STACK_BYTES: usize = 1024 * 1024;

/// Stack that guest and host functions share on a fibre, in bytes.
pub(crate) const FIBRE_STACK_BYTES: usize = 2 * 1024 * 1024;

/// How often running guests look whether they must yield or end. Also the longest a guest keeps a thread to itself.
pub(crate) const EPOCH_TICK: Duration = Duration::from_millis(10);

/// What one call of a guest may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all its linear memories together.
    pub memory_bytes: u64,
    /// Elements of all its tables together.
    pub table_elements: u64,
    /// Core instances, memories and tables, each: a component made of many modules needs tens.
    pub instances: u32,
    /// Handles (blobs, writers, folders, stores, streams) alive at once. A commit of as many items as a run may write
    /// (10,000) hands all their contents to the datastore in one call.
    pub handles: u32,
    /// Bytes a guest passes to the host in one call, all arguments or results together.
    pub host_call_bytes: u64,
    /// Bytes of small contents alive at once: of the guest's own bytes (up to 1 MiB each), of small files, and of contents
    /// in the making.
    pub resident_bytes: u64,
    /// Bytes of all contents that one call makes of a guest's bytes and of granted files.
    pub content_bytes: u64,
    /// Bytes of one file of a granted folder.
    pub file_bytes: u64,
    /// Lines of log per call.
    pub log_lines: u64,
    /// Bytes of log per call.
    pub log_bytes: u64,
    /// Bytes of one log line; the rest is cut.
    pub log_line_bytes: u64,
    /// How long a call of a datastore extension may take, waiting for leases not counted.
    pub datastore_deadline: Duration,
    /// How long an answer to something that needs no request (describe, instantiation) may take.
    pub local_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 256 * 1024 * 1024,
            table_elements: 1_000_000,
            instances: 256,
            handles: 32_768,
            host_call_bytes: 16 * 1024 * 1024,
            resident_bytes: 256 * 1024 * 1024,
            content_bytes: 8 * 1024 * 1024 * 1024,
            file_bytes: 1024 * 1024 * 1024,
            log_lines: 10_000,
            log_bytes: 4 * 1024 * 1024,
            log_line_bytes: 8 * 1024,
            datastore_deadline: Duration::from_secs(600),
            local_deadline: Duration::from_secs(30),
        }
    }
}

/// A limit that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reached {
    /// What is limited, with its unit.
    pub(crate) limit: &'static str,
    /// How much is allowed.
    pub(crate) allowed: u64,
}

/// Accounts memory and tables of one `Store`. Growth beyond the limit is refused; the guest sees a failed growth, and a
/// call that ends in a trap after one is reported as having hit the limit.
#[derive(Debug)]
pub(crate) struct Accounting {
    memory_bytes: u64,
    memory_bytes_max: u64,
    table_elements: u64,
    table_elements_max: u64,
    instances_max: usize,
    reached: Option<Reached>,
}

impl Accounting {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory_bytes: 0,
            memory_bytes_max: limits.memory_bytes,
            table_elements: 0,
            table_elements_max: limits.table_elements,
            instances_max: limits.instances as usize,
            reached: None,
        }
    }

    /// The limit that was refused last.
    pub(crate) fn reached(&self) -> Option<&Reached> {
        self.reached.as_ref()
    }

    /// Notes a limit that the host's own side of a call found reached.
    pub(crate) fn reach(&mut self, limit: &'static str, allowed: u64) {
        self.reached = Some(Reached { limit, allowed });
    }
}

impl ResourceLimiter for Accounting {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let grown = self.memory_bytes.saturating_add(desired.saturating_sub(current) as u64);
        if grown > self.memory_bytes_max {
            self.reach("bytes of memory", self.memory_bytes_max);
            return Ok(false);
        }
        self.memory_bytes = grown;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let grown = self.table_elements.saturating_add(desired.saturating_sub(current) as u64);
        if grown > self.table_elements_max {
            self.reach("table elements", self.table_elements_max);
            return Ok(false);
        }
        self.table_elements = grown;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instances_max
    }

    fn tables(&self) -> usize {
        self.instances_max
    }

    fn memories(&self) -> usize {
        self.instances_max
    }
}
