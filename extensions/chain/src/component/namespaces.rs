//! Namespaces in the types of the SDK.

use peat_sdk::datastore as wit;

use super::convert::to_host_error;
use super::shared::Shared;
use crate::types;

/// Result in the terms of the SDK.
type Result<T> = std::result::Result<T, peat_sdk::Error>;

impl Shared {
    /// One page of namespaces.
    pub async fn list_namespaces(&self, cursor: Option<&str>) -> Result<wit::NamespacePage> {
        let page = self.chain.list_namespaces(cursor).await.map_err(to_host_error)?;
        Ok(wit::NamespacePage {
            namespaces: page.namespaces.into_iter().map(to_namespace).collect(),
            cursor: page.cursor,
        })
    }

    /// Makes one.
    pub async fn create_namespace(
        &self,
        name: &str,
        parent: Option<&str>,
        expires_at_ms: Option<u64>,
    ) -> Result<wit::Namespace> {
        self.chain.create_namespace(name, parent, expires_at_ms).await.map(to_namespace).map_err(to_host_error)
    }

    /// One step of a move.
    pub async fn migrate(&self, source: &str, target: &str, state: Option<&str>) -> Result<wit::Step> {
        self.chain.migrate(source, target, state).await.map(to_step).map_err(to_host_error)
    }

    /// One step of a fold.
    pub async fn fold(&self, name: &str, state: Option<&str>) -> Result<wit::Step> {
        self.chain.fold(name, state).await.map(to_step).map_err(to_host_error)
    }

    /// One step of a deletion.
    pub async fn delete_namespace(&self, name: &str, in_use: bool, state: Option<&str>) -> Result<wit::Step> {
        self.chain.delete_namespace(name, in_use, state).await.map(to_step).map_err(to_host_error)
    }
}

fn to_namespace(namespace: types::Namespace) -> wit::Namespace {
    wit::Namespace {
        name: namespace.name,
        state: match namespace.state {
            types::NamespaceState::Active => wit::NamespaceState::Active,
            types::NamespaceState::Filling(from) => wit::NamespaceState::Filling(from),
            types::NamespaceState::Moving(to) => wit::NamespaceState::Moving(to),
            types::NamespaceState::Moved(to) => wit::NamespaceState::Moved(to),
            types::NamespaceState::Folding => wit::NamespaceState::Folding,
            types::NamespaceState::Deleting => wit::NamespaceState::Deleting,
        },
        created_at_ms: namespace.created_at_ms,
        parent: namespace.parent,
        expires_at_ms: namespace.expires_at_ms,
        expired: namespace.expired,
    }
}

fn to_step(step: types::Step) -> wit::Step {
    let conflict = |conflict: types::FoldConflict| wit::FoldConflict {
        partition: conflict.partition,
        name: conflict.name,
        version: conflict.version,
        folded_as: conflict.folded_as,
    };
    wit::Step {
        state: step.state,
        done: step.done,
        message: step.message,
        waiting: step.waiting,
        completed: to_amount(step.completed),
        total: step.total.map(to_amount),
        conflicts: step.conflicts.into_iter().map(conflict).collect(),
    }
}

fn to_amount(amount: types::Amount) -> wit::Amount {
    wit::Amount { partitions: amount.partitions, items: amount.items, bytes: amount.bytes }
}
