//! The calls of a datastore extension that look at leases, end them, or take that of the whole namespace.

use std::time::Duration;

use peat_core::identifiers::PartitionName;
use peat_core::lease::{Lease, LeasePage};
use peat_core::ports::DatastoreError;

use super::ComponentDatastore;
use super::calls::{answered, settled};
use crate::convert::lease::{self, millis};
use crate::deadline::Patience;
use crate::exports;

impl ComponentDatastore {
    pub(super) async fn call_acquire_structural(&self, ttl: Duration, wait: Duration) -> Result<Lease, DatastoreError> {
        let parameters = (self.namespace.clone(), millis(ttl), millis(wait));
        // The wait belongs to the caller; the deadline is for what the extension does beside waiting.
        let deadline = self.limits.datastore_deadline.saturating_add(wait);
        let called = self
            .call(Patience::Total(deadline))
            .run::<exports::AcquireStructural, _>(
                move |_| Ok(parameters),
                |_, (answer,)| answered(answer, |found| lease::from_guest(found, &PartitionName::structural())),
            )
            .await;
        settled(called)
    }

    pub(super) async fn call_inspect(&self, cursor: Option<&str>) -> Result<LeasePage, DatastoreError> {
        let parameters = (self.namespace.clone(), cursor.map(str::to_owned));
        let called = self
            .call(Patience::Idle(self.limits.datastore_deadline))
            .run::<exports::Inspect, _>(
                move |_| Ok(parameters),
                |_, (answer,)| answered(answer, lease::page_from_guest),
            )
            .await;
        settled(called)
    }

    pub(super) async fn call_break_lease(&self, partition: &PartitionName, nonce: &str) -> Result<(), DatastoreError> {
        let parameters = (self.namespace.clone(), partition.to_string(), nonce.to_owned());
        let called = self
            .call(Patience::Idle(self.limits.datastore_deadline))
            .run::<exports::BreakLease, _>(move |_| Ok(parameters), |_, (answer,)| Ok(answer))
            .await;
        settled(called)
    }
}
