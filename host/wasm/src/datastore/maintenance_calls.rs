//! The calls of a datastore extension that measure room and free it, and that look for damage and mend it.

use std::collections::BTreeSet;

use peat_core::ports::{
    CheckPage, CheckRequest, CollectRequest, Collected, DatastoreError, RepairRequest, Repaired, RoomPage,
};

use super::ComponentDatastore;
use super::calls::{answered, settled};
use crate::convert::{health, maintenance};
use crate::deadline::Patience;
use crate::exports;

impl ComponentDatastore {
    pub(super) async fn call_measure(&self, cursor: Option<&str>) -> Result<RoomPage, DatastoreError> {
        let parameters = (self.namespace.clone(), cursor.map(str::to_owned));
        let called = self
            .call(Patience::Idle(self.limits.datastore_deadline))
            .run::<exports::Measure, _>(
                move |_| Ok(parameters),
                |_, (answer,)| answered(answer, maintenance::page_from_guest),
            )
            .await;
        settled(called)
    }

    pub(super) async fn call_collect(&self, request: &CollectRequest) -> Result<Vec<Collected>, DatastoreError> {
        let parameters = maintenance::request_to_guest(request, &self.namespace);
        let partitions = request.partitions.clone();
        // The wait belongs to the caller; the deadline is for what the extension does beside waiting.
        let deadline = self.limits.datastore_deadline.saturating_add(request.wait);
        let called = self
            .call(Patience::Idle(deadline))
            .run::<exports::Collect, _>(
                move |_| Ok((parameters,)),
                move |_, (answer,)| {
                    answered(answer, |collected| maintenance::collected_from_guest(collected, &partitions))
                },
            )
            .await;
        settled(called)
    }

    pub(super) async fn call_check(&self, request: &CheckRequest) -> Result<CheckPage, DatastoreError> {
        let parameters = health::check_to_guest(request, &self.namespace);
        let asked: Option<BTreeSet<_>> = request.partitions.as_ref().map(|names| names.iter().cloned().collect());
        let called = self
            .call(Patience::Idle(self.limits.datastore_deadline))
            .run::<exports::Check, _>(
                move |_| Ok((parameters,)),
                move |_, (answer,)| answered(answer, |page| health::page_from_guest(page, asked.as_ref())),
            )
            .await;
        settled(called)
    }

    pub(super) async fn call_repair(&self, request: &RepairRequest) -> Result<Repaired, DatastoreError> {
        let (sent, namespace) = (request.clone(), self.namespace.clone());
        // The wait belongs to the caller; the deadline is for what the extension does beside waiting.
        let deadline = self.limits.datastore_deadline.saturating_add(request.wait);
        let called = self
            .call(Patience::Idle(deadline))
            .run::<exports::Repair, _>(
                move |state| Ok((health::repair_to_guest(state, &sent, namespace)?,)),
                |_, (answer,)| answered(answer, health::repaired_from_guest),
            )
            .await;
        settled(called)
    }
}
