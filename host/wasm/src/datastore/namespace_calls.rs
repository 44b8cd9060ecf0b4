//! The calls of a datastore extension about namespaces.

use peat_core::identifiers::NamespaceName;
use peat_core::namespace::{Namespace, NamespacePage, NamespaceStep};
use peat_core::ports::DatastoreError;

use super::ComponentDatastore;
use super::calls::{answered, settled};
use crate::convert::namespace;
use crate::deadline::Patience;
use crate::exports;

impl ComponentDatastore {
    pub(super) async fn call_list_namespaces(&self, cursor: Option<&str>) -> Result<NamespacePage, DatastoreError> {
        let cursor = cursor.map(str::to_owned);
        let called = self
            .call(Patience::Idle(self.limits.datastore_deadline))
            .run::<exports::ListNamespaces, _>(
                move |_| Ok((cursor,)),
                |_, (answer,)| answered(answer, namespace::page_from_guest),
            )
            .await;
        settled(called)
    }

    pub(super) async fn call_create_namespace(
        &self,
        name: &NamespaceName,
        parent: Option<&NamespaceName>,
        expires_at_ms: Option<u64>,
    ) -> Result<Namespace, DatastoreError> {
        let parameters = (name.to_string(), parent.map(ToString::to_string), expires_at_ms);
        let called = self
            .call(Patience::Idle(self.limits.datastore_deadline))
            .run::<exports::CreateNamespace, _>(
                move |_| Ok(parameters),
                |_, (answer,)| answered(answer, namespace::from_guest),
            )
            .await;
        settled(called)
    }

    pub(super) async fn call_migrate_namespace(
        &self,
        source: &NamespaceName,
        target: &NamespaceName,
        state: Option<String>,
    ) -> Result<NamespaceStep, DatastoreError> {
        let parameters = (source.to_string(), target.to_string(), state);
        let called = self
            .call(Patience::Idle(self.limits.datastore_deadline))
            .run::<exports::MigrateNamespace, _>(
                move |_| Ok(parameters),
                |_, (answer,)| answered(answer, namespace::step_from_guest),
            )
            .await;
        settled(called)
    }

    pub(super) async fn call_fold_namespace(
        &self,
        name: &NamespaceName,
        state: Option<String>,
    ) -> Result<NamespaceStep, DatastoreError> {
        let parameters = (name.to_string(), state);
        let called = self
            .call(Patience::Idle(self.limits.datastore_deadline))
            .run::<exports::FoldNamespace, _>(
                move |_| Ok(parameters),
                |_, (answer,)| answered(answer, namespace::step_from_guest),
            )
            .await;
        settled(called)
    }

    pub(super) async fn call_delete_namespace(
        &self,
        name: &NamespaceName,
        in_use: bool,
        state: Option<String>,
    ) -> Result<NamespaceStep, DatastoreError> {
        let parameters = (name.to_string(), in_use, state);
        let called = self
            .call(Patience::Idle(self.limits.datastore_deadline))
            .run::<exports::DeleteNamespace, _>(
                move |_| Ok(parameters),
                |_, (answer,)| answered(answer, namespace::step_from_guest),
            )
            .await;
        settled(called)
    }
}
