//! The exported functions of a datastore extension, one method each: arguments in, answer validated.

use std::collections::BTreeSet;
use std::time::Duration;

use peat_core::content::SharedContent;
use peat_core::lease::Lease;
use peat_core::ports::{
    AcquireRequest, ContentRequest, DatastoreError, ExtensionError, PullPage, PullRequest, PushReceipt, PushRequest,
    StoreProfile,
};

use super::ComponentDatastore;
use crate::bindings::datastore::exports::peat::datastore::capabilities;
use crate::bindings::imports::interfaces::errors::Error;
use crate::bindings::locks::exports::peat::datastore::locks;
use crate::convert::errors::refused;
use crate::convert::lease::{self, millis};
use crate::convert::{Invalid, Validated, exchange, profile};
use crate::deadline::Patience;
use crate::exports;

/// What the guest answered, validated when it is not an error.
pub(super) fn answered<G, A>(
    answer: Result<G, Error>,
    validate: impl FnOnce(G) -> Validated<A>,
) -> Result<Result<A, Error>, Invalid> {
    Ok(match answer {
        Ok(answer) => Ok(validate(answer)?),
        Err(error) => Err(error),
    })
}

/// The three ends of a call as one error.
pub(super) fn settled<A>(called: Result<Result<A, Error>, ExtensionError>) -> Result<A, DatastoreError> {
    called?.map_err(refused)
}

impl ComponentDatastore {
    pub(super) async fn describe(&self) -> Result<capabilities::Description, DatastoreError> {
        let called = self
            .call(Patience::Total(self.limits.local_deadline))
            .run::<exports::Describe, _>(|_| Ok(()), |_, (answer,)| Ok(answer))
            .await;
        settled(called)
    }

    pub(super) async fn call_setup(&self) -> Result<StoreProfile, DatastoreError> {
        let namespace = self.namespace.clone();
        let called = self
            .call(Patience::Idle(self.limits.datastore_deadline))
            .run::<exports::Setup, _>(move |_| Ok((namespace,)), |_, (answer,)| answered(answer, profile::from_guest))
            .await;
        settled(called)
    }

    pub(super) async fn call_verify(&self) -> Result<StoreProfile, DatastoreError> {
        let namespace = self.namespace.clone();
        let called = self
            .call(Patience::Idle(self.limits.datastore_deadline))
            .run::<exports::Verify, _>(move |_| Ok((namespace,)), |_, (answer,)| answered(answer, profile::from_guest))
            .await;
        settled(called)
    }

    pub(super) async fn call_acquire(&self, request: &AcquireRequest) -> Result<Vec<Lease>, DatastoreError> {
        let partitions = request.partitions.clone();
        let parameters = locks::AcquireRequest {
            namespace: self.namespace.clone(),
            partitions: partitions.iter().map(ToString::to_string).collect(),
            ttl_ms: millis(request.ttl),
            wait_ms: millis(request.wait),
            holds_others: request.holds_others,
        };
        // The wait belongs to the caller; the deadline is for what the extension does beside waiting.
        let deadline = self.limits.datastore_deadline.saturating_add(request.wait);
        let called = self
            .call(Patience::Total(deadline))
            .run::<exports::Acquire, _>(
                move |_| Ok((parameters,)),
                move |_, (answer,)| answered(answer, |leases| exchange::leases_from_guest(leases, &partitions)),
            )
            .await;
        settled(called)
    }

    pub(super) async fn call_renew(&self, held: &Lease) -> Result<Lease, DatastoreError> {
        let parameters = (self.namespace.clone(), lease::to_guest(held));
        let held_now = held.clone();
        let called = self
            .call(Patience::Total(self.within(held.ttl)))
            .run::<exports::Renew, _>(
                move |_| Ok(parameters),
                move |_, (answer,)| answered(answer, |renewed| lease::renewed_from_guest(renewed, &held_now)),
            )
            .await;
        settled(called)
    }

    pub(super) async fn call_release(&self, held: &Lease) -> Result<(), DatastoreError> {
        let parameters = (self.namespace.clone(), lease::to_guest(held));
        let called = self
            .call(Patience::Total(self.within(held.ttl)))
            .run::<exports::Release, _>(move |_| Ok(parameters), |_, (answer,)| Ok(answer))
            .await;
        settled(called)
    }

    pub(super) async fn call_pull(&self, request: &PullRequest) -> Result<PullPage, DatastoreError> {
        let parameters = exchange::pull_to_guest(request, &self.namespace);
        let asked: Option<BTreeSet<_>> = request.partitions.as_ref().map(|names| names.iter().cloned().collect());
        let called = self
            .call(Patience::Idle(self.limits.datastore_deadline))
            .run::<exports::Pull, _>(
                move |_| Ok((parameters,)),
                move |state, (answer,)| answered(answer, |page| exchange::page_from_guest(state, page, asked.as_ref())),
            )
            .await;
        settled(called)
    }

    pub(super) async fn call_push(&self, request: &PushRequest) -> Result<PushReceipt, DatastoreError> {
        let (sent, namespace, received) = (request.clone(), self.namespace.clone(), request.clone());
        let called = self
            .call(Patience::Idle(self.limits.datastore_deadline))
            .run::<exports::Push, _>(
                move |state| Ok((exchange::push_to_guest(state, &sent, namespace)?,)),
                move |_, (answer,)| answered(answer, |receipt| exchange::receipt_from_guest(receipt, &received)),
            )
            .await;
        settled(called)
    }

    pub(super) async fn call_fetch(
        &self,
        wanted: &[ContentRequest],
    ) -> Result<Vec<Result<SharedContent, DatastoreError>>, DatastoreError> {
        let parameters = (self.namespace.clone(), wanted.iter().map(exchange::wanted_to_guest).collect());
        let count = wanted.len();
        let called = self
            .call(Patience::Idle(self.limits.datastore_deadline))
            .run::<exports::Fetch, _>(
                move |_| Ok(parameters),
                move |state, (answer,)| {
                    answered(answer, |contents| exchange::contents_from_guest(state, contents, count))
                },
            )
            .await;
        settled(called)
    }

    /// A deadline for what must be done while a lease lasts.
    fn within(&self, ttl: Duration) -> Duration {
        ttl.min(self.limits.datastore_deadline)
    }
}
