//! Capabilities, and the way to new ones.

use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

/// Gives up every capability for good. Root among ordinary users' processes is an ordinary user afterwards.
pub(super) fn drop_all() -> Result<(), String> {
    set_no_new_privs(true).map_err(|error| format!("new privileges cannot be given up: {error}"))?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .map_err(|error| format!("capabilities cannot be given up: {error}"))
}
