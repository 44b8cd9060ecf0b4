//! Namespaces, and steps of what is done with them.

use peat_core::identifiers::{DataName, NamespaceName, PartitionName, Version};
use peat_core::namespace::{FoldConflict, Namespace, NamespaceAmount, NamespacePage, NamespaceState, NamespaceStep};

use super::text::{line, within};
use super::{Invalid, Validated};
use crate::bindings::namespaces::exports::peat::datastore::namespaces;
use crate::limits::LEASE_STATE_BYTES_MAX;

/// Longest state of a step that is carried to the next one, in bytes: what a page's cursor may have.
const STATE_BYTES_MAX: usize = 64 * 1024;

pub(crate) fn page_from_guest(page: namespaces::Page) -> Validated<NamespacePage> {
    let namespaces = page.namespaces.into_iter().map(from_guest).collect::<Validated<_>>()?;
    let cursor = page.cursor.map(|cursor| within("cursor", cursor, LEASE_STATE_BYTES_MAX)).transpose()?;
    Ok(NamespacePage { namespaces, cursor })
}

pub(crate) fn from_guest(namespace: namespaces::Namespace) -> Validated<Namespace> {
    Ok(Namespace {
        name: name("name", &namespace.name)?,
        state: match namespace.state {
            namespaces::State::Active => NamespaceState::Active,
            namespaces::State::Filling(from) => NamespaceState::Filling(name("state", &from)?),
            namespaces::State::Moving(to) => NamespaceState::Moving(name("state", &to)?),
            namespaces::State::Moved(to) => NamespaceState::Moved(name("state", &to)?),
            namespaces::State::Folding => NamespaceState::Folding,
            namespaces::State::Deleting => NamespaceState::Deleting,
        },
        created_at_ms: namespace.created_at_ms,
        parent: namespace.parent.map(|parent| name("parent", &parent)).transpose()?,
        expires_at_ms: namespace.expires_at_ms,
        expired: namespace.expired,
    })
}

pub(crate) fn step_from_guest(step: namespaces::Step) -> Validated<NamespaceStep> {
    Ok(NamespaceStep {
        state: within("state", step.state, STATE_BYTES_MAX)?,
        done: step.done,
        message: line(&step.message),
        waiting: step.waiting,
        completed: amount(step.completed),
        total: step.total.map(amount),
        conflicts: step.conflicts.into_iter().map(conflict).collect::<Validated<_>>()?,
    })
}

fn conflict(conflict: namespaces::FoldConflict) -> Validated<FoldConflict> {
    let invalid = |field, error: peat_core::identifiers::InvalidName| Invalid::field(field, error.to_string());
    Ok(FoldConflict {
        partition: PartitionName::parse(&conflict.partition).map_err(|error| invalid("conflict.partition", error))?,
        name: DataName::parse(&conflict.name).map_err(|error| invalid("conflict.name", error))?,
        version: Version(conflict.version),
        folded_as: Version(conflict.folded_as),
    })
}

fn amount(amount: namespaces::Amount) -> NamespaceAmount {
    NamespaceAmount { partitions: amount.partitions, items: amount.items, bytes: amount.bytes }
}

fn name(field: &str, name: &str) -> Validated<NamespaceName> {
    NamespaceName::parse(name).map_err(|error| Invalid::field(field, error.to_string()))
}
