//! Why the protocol refuses: leases that are gone, namespaces that take no commits. Each message says what to do.

use crate::error::{Error, ErrorKind, Result};
use crate::meta::{Meta, State};
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
pub(crate) fn check_state(meta: &Meta) -> Result<()> {
    let name = &meta.namespace;
    let message = match &meta.state {
        State::Active => return Ok(()),
        State::Filling { from, .. } => format!(
            "namespace {name} is not in use yet: {from} is on its way to it; try again when `peat datastore namespace \
             migrate` is done"
        ),
        State::Moving { to, .. } => format!(
            "namespace {name} is on its way to {to} and takes no commits; when that is done, run `peat datastore namespace \
             set {to}` and the command again"
        ),
        State::Moved { to, .. } => {
            format!("namespace {name} was moved to {to}; run `peat datastore namespace set {to}` and the command again")
        }
        State::Folding { .. } => {
            let parent = meta.parent.as_deref().unwrap_or("its parent");
            format!("run scope {name} is being folded into {parent} and takes no commits; open another one")
        }
        State::Deleting { .. } => format!(
            "namespace {name} is being deleted; choose another one, or finish that first: `peat datastore namespace delete \
             {name}`"
        ),
        State::Deleted => return Err(namespace_absent(name)),
    };
    Err(Error::new(ErrorKind::Denied, name, message))
}

/// Whether the namespace may be read.
pub(crate) fn check_readable(meta: &Meta) -> Result<()> {
    match &meta.state {
        State::Active | State::Moving { .. } | State::Folding { .. } => Ok(()),
        State::Filling { .. } | State::Moved { .. } | State::Deleting { .. } | State::Deleted => check_state(meta),
    }
}

/// A holder for a person.
pub(crate) fn described(holder: &Holder) -> String {
    format!("{} (pid {}, {})", holder.host, holder.pid, holder.command)
}
