//! The datastore port over the protocol. A call is a task of its process, as a call of an extension is work of its own; a
//! call that is dropped ends where it is, and what it had sent goes on.

use std::future::pending;
use std::sync::Arc;

use async_trait::async_trait;
use peat_chain::Chain;
use peat_core::content::SharedContent;
use peat_core::lease::Lease;
use peat_core::ports::{
    AcquireRequest, CollectRequest, Collected, ContentRequest, Datastore, DatastoreError, DatastoreFeatures, PullPage,
    PullRequest, PushReceipt, PushRequest, RoomPage, StoreProfile,
};
use peat_test_support::chain_values as convert;

use super::scheduler::Answer;
use super::world::ProcessWorld;

type Outcome<T> = Result<T, DatastoreError>;

/// The shared datastore as one process has it open.
#[derive(Debug, Clone)]
pub(super) struct ProcessDatastore {
    chain: Chain<ProcessWorld>,
}

impl ProcessDatastore {
    pub(super) fn new(world: &ProcessWorld) -> Self {
        Self { chain: Chain::new(world.clone()) }
    }

    fn namespace(&self) -> Arc<str> {
        Arc::clone(&self.chain.world().namespace)
    }

    fn begin<T: 'static>(&self, call: impl AsyncFnOnce(Chain<ProcessWorld>) -> T + 'static) -> Answer<T> {
        let world = self.chain.world();
        world.simulation.scheduler.spawn(world.process, call(self.chain.clone()))
    }
}

/// The answer of a call; a process that was stopped gets none.
async fn answer<T>(call: Answer<peat_chain::Result<T>>) -> Outcome<T> {
    match call.await {
        Ok(answer) => answer.map_err(convert::refused),
        Err(_) => pending().await,
    }
}

#[async_trait]
impl Datastore for ProcessDatastore {
    fn name(&self) -> String {
        "simulated".to_owned()
    }

    fn summary(&self) -> String {
        "simulated".to_owned()
    }

    fn features(&self) -> DatastoreFeatures {
        let locks = self.chain.world().simulation.scenario.locks;
        DatastoreFeatures { locks, hydration: true, maintenance: locks, ..DatastoreFeatures::default() }
    }

    async fn setup(&self) -> Outcome<StoreProfile> {
        let namespace = self.namespace();
        answer(self.begin(async move |chain| chain.setup(&namespace).await)).await.map(convert::profile)
    }

    async fn verify(&self) -> Outcome<StoreProfile> {
        let namespace = self.namespace();
        answer(self.begin(async move |chain| chain.verify(&namespace).await)).await.map(convert::profile)
    }

    async fn acquire(&self, request: &AcquireRequest) -> Outcome<Vec<Lease>> {
        let request = convert::acquire_request(&self.namespace(), request);
        let leases = answer(self.begin(async move |chain| chain.acquire(&request).await)).await?;
        Ok(leases.into_iter().map(convert::lease).collect())
    }

    async fn renew(&self, lease: &Lease) -> Outcome<Lease> {
        let namespace = self.namespace();
        let lease = convert::chain_lease(lease);
        answer(self.begin(async move |chain| chain.renew(&namespace, &lease).await)).await.map(convert::lease)
    }

    async fn release(&self, lease: &Lease) -> Outcome<()> {
        let namespace = self.namespace();
        let lease = convert::chain_lease(lease);
        answer(self.begin(async move |chain| chain.release(&namespace, &lease).await)).await
    }

    async fn measure(&self, cursor: Option<&str>) -> Outcome<RoomPage> {
        let namespace = self.namespace();
        let cursor = cursor.map(str::to_owned);
        let page = self.begin(async move |chain| chain.measure(&namespace, cursor.as_deref()).await);
        answer(page).await.map(convert::room_page)
    }

    async fn collect(&self, request: &CollectRequest) -> Outcome<Vec<Collected>> {
        let request = convert::collect_request(&self.namespace(), request);
        let collected = answer(self.begin(async move |chain| chain.collect(&request).await)).await?;
        Ok(collected.into_iter().map(convert::collected).collect())
    }

    async fn pull(&self, request: &PullRequest) -> Outcome<PullPage> {
        let request = convert::pull_request(&self.namespace(), request);
        let page = answer(self.begin(async move |chain| chain.pull(&request).await)).await?;
        convert::page(page)
    }

    async fn push(&self, request: &PushRequest) -> Outcome<PushReceipt> {
        let request = convert::push_request(&self.namespace(), request);
        answer(self.begin(async move |chain| chain.push(&request).await)).await.map(convert::receipt)
    }

    async fn fetch(&self, wanted: &[ContentRequest]) -> Outcome<Vec<Result<SharedContent, DatastoreError>>> {
        let namespace = self.namespace();
        let asked: Vec<_> = wanted.iter().map(convert::wanted).collect();
        let answers = answer(self.begin(async move |chain| chain.fetch(&namespace, &asked).await)).await?;
        let checked = |(answer, request): (peat_chain::Result<convert::Bytes>, &ContentRequest)| {
            answer.map_err(convert::refused).and_then(|bytes| convert::checked(bytes.0, request))
        };
        Ok(answers.into_iter().zip(wanted).map(checked).collect())
    }
}
