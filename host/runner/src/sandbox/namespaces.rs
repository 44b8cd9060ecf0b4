//! Namespaces: a network without devices, no shared memory or host name of others.

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Moves this process, which has one thread, into namespaces of its own.
pub(super) fn leave() -> Result<(), String> {
    let own = UnshareFlags::NEWNET | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    // SAFETY: none of these flags unshares the table of file descriptors, which is what other threads could be surprised by.
    let leave = |flags| unsafe { unshare_unsafe(flags) };
    // Root can do without a user namespace where those are switched off.
    leave(own | UnshareFlags::NEWUSER).or_else(|_| leave(own)).map_err(|error| {
        format!("this kernel gives a process of this user no namespaces of its own (user.max_user_namespaces): {error}")
    })
}
