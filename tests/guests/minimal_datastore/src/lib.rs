//! `@test/minimal-datastore`: the least a datastore can be, and still correct: `capabilities` and `sync` over a granted
//! directory, full content with every pull, no leases, no deletion of bytes.

mod index;
mod store;

use peat_sdk::Error;
use peat_sdk::datastore::*;

struct MinimalDatastore;

impl Datastore for MinimalDatastore {
    async fn open() -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Capabilities for MinimalDatastore {
    async fn describe(&self) -> Result<Description, Error> {
        let summary = "one index and whole objects in a directory".to_owned();
        Ok(Description { summary, features: Features::empty(), inline_limit: 0 })
    }

    async fn setup(&self, _: String) -> Result<Profile, Error> {
        store::setup().await?;
        store::verify().await
    }

    async fn verify(&self, _: String) -> Result<Profile, Error> {
        store::verify().await
    }
}

impl Sync for MinimalDatastore {
    async fn pull(&self, request: PullRequest) -> Result<PullPage, Error> {
        store::pull(request).await
    }

    async fn push(&self, request: PushRequest) -> Result<Receipt, Error> {
        store::push(request).await
    }
}

peat_sdk::export_datastore! {
    type: MinimalDatastore,
    name: "@test/minimal-datastore",
    summary: "Only what a datastore must be",
    wants: { "directory": "keeps its objects there" },
    settings: { "type": "object" },
    features: [],
}
