//! Why the protocol refuses: leases that are gone, namespaces that take no commits. Each message says what to do.

use crate::error::{Error, ErrorKind, Result};
use crate::meta::State;
use crate::ports::Holder;
use crate::root::{Address, Root};

/// The error for a lease that is somebody else's or nobody's.
pub(crate) fn lease_lost(address: Address<'_>, root: &Root) -> Error {
    let now = match root.lease() {
        Some(lease) => format!("is held by {} now (epoch {})", described(&lease.holder), root.epoch()),
        None => format!("was broken or released (epoch {})", root.epoch()),
    };
    let message = format!(
        "the lease of {} {now}; nothing of this run was written to the store, run it or push its results again",
        address.partition
    );
    Error::new(ErrorKind::LeaseLost, address.partition, message)
}

pub(crate) fn lease_gone(address: Address<'_>) -> Error {
    let message = format!("{} does not exist any more; the namespace was deleted meanwhile", address.key());
    Error::new(ErrorKind::LeaseLost, address.partition, message)
}

/// The error for a namespace that nobody set up.
pub(crate) fn namespace_absent(namespace: &str) -> Error {
    let message = format!("namespace {namespace} does not exist in this store; make it with `peat datastore setup`");
    Error::new(ErrorKind::NotFound, namespace, message)
}

/// Whether the namespace may be written.
pub(crate) fn check_state(meta: &crate::meta::Meta) -> Result<()> {
    match &meta.state {
        State::Active => Ok(()),
        State::Sealed => Err(sealed_error(&meta.namespace, "")),
        State::Moved { to } => Err(sealed_error(&meta.namespace, to)),
    }
}

/// The error for a namespace that takes no commits any more.
pub(crate) fn sealed_error(namespace: &str, moved_to: &str) -> Error {
    let message = if moved_to.is_empty() {
        format!("namespace {namespace} is sealed: it is being moved or folded; try again when that is over")
    } else {
        let to: String = moved_to.chars().take(80).collect();
        format!("namespace {namespace} was moved to {to}; set `namespace: {to}` in peat.yaml")
    };
    Error::new(ErrorKind::Denied, namespace, message)
}

/// A holder for a person.
pub(crate) fn described(holder: &Holder) -> String {
    format!("{} (pid {}, {})", holder.host, holder.pid, holder.command)
}
