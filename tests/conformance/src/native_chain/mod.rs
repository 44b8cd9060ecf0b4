//! The shared-store protocol without wasm: `peat-chain` over an object store port, behind the datastore port. So one suite
//! holds for the protocol natively and for the component that is made of it.

mod world;

use std::sync::Arc;

use async_trait::async_trait;
use peat_chain::Chain;
use peat_core::content::SharedContent;
use peat_core::lease::Lease;
use peat_core::ports::{
    AcquireRequest, CollectRequest, Collected, ContentRequest, Datastore, DatastoreError, DatastoreFeatures,
    ObjectStore, PullPage, PullRequest, PushReceipt, PushRequest, Replica, RoomPage, StoreProfile,
};
use peat_test_support::chain_values as convert;
use tokio::runtime::Handle;
use tokio_util::task::LocalPoolHandle;

use world::NativeWorld;

/// The namespace of every call.
const NAMESPACE: &str = "default";

/// The protocol over `objects`, with `replica` as its memory.
#[derive(Debug, Clone)]
pub struct NativeChain {
    chain: Chain<NativeWorld>,
    threads: Option<LocalPoolHandle>,
}

impl NativeChain {
    /// A machine's handle.
    pub fn new(objects: Arc<dyn ObjectStore>, replica: Arc<dyn Replica>) -> Self {
        Self { chain: Chain::new(NativeWorld::new(objects, replica)), threads: None }
    }

    /// The same, with threads that many machines share.
    pub fn sharing(self, threads: LocalPoolHandle) -> Self {
        Self { threads: Some(threads), ..self }
    }

    /// Runs a call of the protocol, whose futures stay on one thread: on one that does nothing else meanwhile, or that is
    /// shared.
    async fn call<T, C>(&self, call: C) -> Result<T, DatastoreError>
    where
        T: Send + 'static,
        C: AsyncFnOnce(Chain<NativeWorld>) -> peat_chain::Result<T> + Send + 'static,
    {
        let (chain, runtime) = (self.chain.clone(), Handle::current());
        let call = match &self.threads {
            Some(threads) => threads.spawn_pinned(move || call(chain)),
            None => tokio::task::spawn_blocking(move || runtime.block_on(call(chain))),
        };
        let answer = call.await;
        answer.expect("a call of the protocol does not panic").map_err(convert::refused)
    }
}

#[async_trait]
impl Datastore for NativeChain {
    fn name(&self) -> String {
        "chain".to_owned()
    }

    fn summary(&self) -> String {
        "chain, natively".to_owned()
    }

    fn features(&self) -> DatastoreFeatures {
        DatastoreFeatures { locks: true, hydration: true, maintenance: true, ..DatastoreFeatures::default() }
    }

    async fn setup(&self) -> Result<StoreProfile, DatastoreError> {
        self.call(async |chain| chain.setup(NAMESPACE).await).await.map(convert::profile)
    }

    async fn verify(&self) -> Result<StoreProfile, DatastoreError> {
        self.call(async |chain| chain.verify(NAMESPACE).await).await.map(convert::profile)
    }

    async fn acquire(&self, request: &AcquireRequest) -> Result<Vec<Lease>, DatastoreError> {
        let request = convert::acquire_request(NAMESPACE, request);
        let leases = self.call(async move |chain| chain.acquire(&request).await).await?;
        Ok(leases.into_iter().map(convert::lease).collect())
    }

    async fn renew(&self, lease: &Lease) -> Result<Lease, DatastoreError> {
        let lease = convert::chain_lease(lease);
        self.call(async move |chain| chain.renew(NAMESPACE, &lease).await).await.map(convert::lease)
    }

    async fn release(&self, lease: &Lease) -> Result<(), DatastoreError> {
        let lease = convert::chain_lease(lease);
        self.call(async move |chain| chain.release(NAMESPACE, &lease).await).await
    }

    async fn measure(&self, cursor: Option<&str>) -> Result<RoomPage, DatastoreError> {
        let cursor = cursor.map(str::to_owned);
        let page = self.call(async move |chain| chain.measure(NAMESPACE, cursor.as_deref()).await).await;
        page.map(convert::room_page)
    }

    async fn collect(&self, request: &CollectRequest) -> Result<Vec<Collected>, DatastoreError> {
        let request = convert::collect_request(NAMESPACE, request);
        let collected = self.call(async move |chain| chain.collect(&request).await).await?;
        Ok(collected.into_iter().map(convert::collected).collect())
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullPage, DatastoreError> {
        let request = convert::pull_request(NAMESPACE, request);
        self.call(async move |chain| chain.pull(&request).await).await.and_then(convert::page)
    }

    async fn push(&self, request: &PushRequest) -> Result<PushReceipt, DatastoreError> {
        let request = convert::push_request(NAMESPACE, request);
        self.call(async move |chain| chain.push(&request).await).await.map(convert::receipt)
    }

    async fn fetch(
        &self,
        wanted: &[ContentRequest],
    ) -> Result<Vec<Result<SharedContent, DatastoreError>>, DatastoreError> {
        let asked: Vec<_> = wanted.iter().map(convert::wanted).collect();
        let answers = self.call(async move |chain| chain.fetch(NAMESPACE, &asked).await).await?;
        let checked = |(answer, request): (peat_chain::Result<convert::Bytes>, &ContentRequest)| {
            answer.map_err(convert::refused).and_then(|bytes| convert::checked(bytes.0, request))
        };
        Ok(answers.into_iter().zip(wanted).map(checked).collect())
    }
}
