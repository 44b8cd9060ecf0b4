//! What is held, for the processes that its holder starts.
//!
//! A child is told a token in its environment. It names the partition, the holder (a process that must be alive), a file in
//! which the lease is passed on, and a queue of its own for the children, who exclude each other as others do. Both lie
//! beside the tickets of the partition and go with the hold. The file is locked by whoever calls the datastore for the
//! lease; the kernel frees it when that process dies.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cap_std::fs::Dir;
use peat_core::identifiers::{Epoch, PartitionName};
use peat_core::lease::{Holder, Lease};
use peat_core::ports::{HoldTurn, HolderIdentity, SharedHold};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::ticket::open;
use crate::random;

/// Random bytes of a name: nobody guesses it.
const NAME_BYTES: usize = 16;

/// How often a process looks whether the turn is its own: calls for one lease rarely meet.
const TURN_POLL: Duration = Duration::from_millis(5);

/// Longest lease that is read back, in bytes: its state is at most 256 KiB.
const LEASE_BYTES_MAX: u64 = 512 * 1024;

/// Holds of ancestors that a process may be told of: some of a hundred models each; deeper nesting is a loop.
pub(super) const HOLDS_MAX: usize = 256;

const LEASE_PREFIX: &str = "lease-";
const QUEUE_PREFIX: &str = "queue-";

/// One hold, as a child is told of it: `PARTITION/LEASE/QUEUE/PID/START`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HoldToken {
    pub(super) partition: PartitionName,
    /// Names the file of the lease: the same for all descendants of its holder.
    lease: String,
    /// Names the queue of the children of this process.
    queue: String,
    pub(super) pid: u32,
    start: u64,
}

impl HoldToken {
    pub(super) fn new(partition: &PartitionName, inherited: Option<&Self>, holder: &Holder) -> Self {
        let new_name = || random::hexadecimal(&random::bytes::<NAME_BYTES>());
        Self {
            partition: partition.clone(),
            lease: inherited.map_or_else(new_name, |token| token.lease.clone()),
            queue: new_name(),
            pid: holder.pid,
            start: holder.process_start,
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let partition = PartitionName::parse(parts.next()?).ok()?;
        let mut name = || parts.next().filter(|name| is_name(name)).map(str::to_owned);
        let (lease, queue) = (name()?, name()?);
        let pid = parts.next()?.parse().ok()?;
        let start = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Self { partition, lease, queue, pid, start })
    }

    /// Whether its process certainly is not any more.
    pub(super) fn is_dead(&self, identity: &dyn HolderIdentity) -> bool {
        let same_kernel = identity.current();
        identity.is_dead(&Holder { pid: self.pid, process_start: self.start, ..same_kernel })
    }

    /// The queue of the children.
    pub(super) fn queue_name(&self) -> String {
        format!("{QUEUE_PREFIX}{}", self.queue)
    }

    fn lease_name(&self) -> String {
        format!("{LEASE_PREFIX}{}", self.lease)
    }
}

impl std::fmt::Display for HoldToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { partition, lease, queue, pid, start } = self;
        write!(formatter, "{partition}/{lease}/{queue}/{pid}/{start}")
    }
}

fn is_name(text: &str) -> bool {
    text.len() == 2 * NAME_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The file in which a lease is passed on.
#[derive(Debug)]
pub(super) struct FileHold {
    directory: Arc<Dir>,
    name: String,
}

/// First line of the file; the state of the lease follows.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    partition: PartitionName,
    epoch: u64,
    nonce: String,
    ttl_ms: u64,
}

impl FileHold {
    /// Begins to share: with a lease, or without where there are none.
    pub(super) fn create(directory: &Arc<Dir>, token: &HoldToken, lease: Option<&Lease>) -> io::Result<Self> {
        let hold = Self { directory: Arc::clone(directory), name: token.lease_name() };
        write(&open(directory, &hold.name, true)?, lease)?;
        Ok(hold)
    }

    /// The one that a token names; none when it is over.
    pub(super) fn find(directory: &Arc<Dir>, token: &HoldToken) -> Option<Self> {
        let hold = Self { directory: Arc::clone(directory), name: token.lease_name() };
        directory.exists(&hold.name).then_some(hold)
    }

    /// Ends it: children cannot commit any more.
    pub(super) fn end(&self) {
        let _ = self.directory.remove_file(&self.name);
    }
}

/// Removes what holders that are gone left behind. Only for whoever holds the partition.
pub(super) fn sweep(directory: &Dir) {
    let Ok(entries) = directory.entries() else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.starts_with(LEASE_PREFIX) {
            let _ = directory.remove_file(name);
        } else if name.starts_with(QUEUE_PREFIX) {
            let _ = directory.remove_dir_all(name);
        }
    }
}

#[async_trait]
impl SharedHold for FileHold {
    async fn turn(&self) -> io::Result<Box<dyn HoldTurn>> {
        let file = open(&self.directory, &self.name, false)?;
        while let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK && error != rustix::io::Errno::INTR {
                return Err(error.into());
            }
            tokio::time::sleep(TURN_POLL).await;
        }
        if !self.directory.exists(&self.name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let lease = read(&file)?;
        Ok(Box::new(FileTurn { directory: Arc::clone(&self.directory), name: self.name.clone(), file, lease }))
    }
}

/// Locked until it is dropped.
struct FileTurn {
    directory: Arc<Dir>,
    name: String,
    file: File,
    lease: Option<Lease>,
}

impl HoldTurn for FileTurn {
    fn lease(&self) -> Option<Lease> {
        self.lease.clone()
    }

    fn leave(&mut self, lease: Option<&Lease>) -> io::Result<()> {
        match lease {
            Some(_) => write(&self.file, lease),
            None => self.directory.remove_file(&self.name),
        }
    }
}

impl Drop for FileTurn {
    fn drop(&mut self) {
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

fn write(file: &File, lease: Option<&Lease>) -> io::Result<()> {
    let mut bytes = Vec::new();
    if let Some(lease) = lease {
        let ttl_ms = u64::try_from(lease.ttl.as_millis()).unwrap_or(u64::MAX);
        let header =
            Header { partition: lease.partition.clone(), epoch: lease.epoch.0, nonce: lease.nonce.clone(), ttl_ms };
        serde_json::to_writer(&mut bytes, &header)?;
        bytes.write_all(b"\n")?;
        bytes.write_all(&lease.state)?;
    }
    file.set_len(0)?;
    file.write_all_at(&bytes, 0)
}

/// None where there is no lease, or a writer died in the middle: then the owner writes it anew with its next renewal.
fn read(file: &File) -> io::Result<Option<Lease>> {
    let mut bytes = Vec::new();
    let mut from_start = File::try_clone(file)?;
    io::Seek::rewind(&mut from_start)?;
    from_start.take(LEASE_BYTES_MAX).read_to_end(&mut bytes)?;
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let Ok(header) = serde_json::from_slice::<Header>(&bytes[..end]) else { return Ok(None) };
    Ok(Some(Lease {
        partition: header.partition,
        epoch: Epoch(header.epoch),
        nonce: header.nonce,
        ttl: Duration::from_millis(header.ttl_ms),
        state: bytes.split_off(end + 1),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_a_forged_one_is_not() {
        let text = format!("model--a--b/{}/{}/7/42", "0a".repeat(16), "1b".repeat(16));
        let token = HoldToken::parse(&text).unwrap();
        assert_eq!((token.to_string(), token.pid), (text.clone(), 7));
        for wrong in
            ["", "model--a--b", "../x/y/1/2", &format!("{text}/9"), &text.replace("0a", ".."), &format!("/{text}")]
        {
            assert_eq!(HoldToken::parse(wrong), None, "{wrong}");
        }
    }
}
