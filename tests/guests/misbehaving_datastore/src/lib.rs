//! `@test/misbehaving-datastore`: the datastore of `@test/minimal-datastore` with `hydration`, which keeps the contract but
//! for what the secret `misbehave` names: words, separated by spaces. The same store can so be used rightly and wrongly.
//!
//! It exports the interfaces by hand: the export macro would describe what is exported, and nothing else.

#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "only a component exports it"))]

#[path = "../../minimal_datastore/src/index.rs"]
mod index;
mod lies;
#[path = "../../minimal_datastore/src/store.rs"]
mod store;

use peat_sdk::bindings::datastore::exports::peat::datastore::{capabilities, sync};
use peat_sdk::bindings::hydration::exports::peat::datastore::hydration;
use peat_sdk::content::Blob;
use peat_sdk::datastore::host::{Lookup, directory};
use peat_sdk::datastore::*;
use peat_sdk::{Error, secrets};

/// What is done wrong now.
pub(crate) struct Misbehaviour(String);

impl Misbehaviour {
    fn now() -> Result<Self, Error> {
        Ok(Self(secrets::get("misbehave")?))
    }

    pub(crate) fn is(&self, word: &str) -> bool {
        self.0.split(' ').any(|known| known == word)
    }

    /// Panics, or computes for ever, where that is what is wanted of this call.
    fn end(&self, call: &str) {
        assert!(!self.is(&format!("trap-{call}")), "told to trap in {call}");
        while self.is(&format!("spin-{call}")) {}
    }
}

struct MisbehavingDatastore;

impl capabilities::Guest for MisbehavingDatastore {
    async fn describe() -> Result<Description, Error> {
        let misbehaviour = Misbehaviour::now()?;
        misbehaviour.end("describe");
        let features = if misbehaviour.is("promise-everything") {
            Features::all()
        } else if misbehaviour.is("hide-hydration") {
            Features::empty()
        } else {
            Features::HYDRATION
        };
        Ok(Description { summary: "a directory, and moods".to_owned(), features, inline_limit: 0 })
    }

    async fn setup(_: String) -> Result<Profile, Error> {
        store::setup().await?;
        store::verify().await
    }

    async fn verify(_: String) -> Result<Profile, Error> {
        store::verify().await
    }
}

impl sync::Guest for MisbehavingDatastore {
    async fn pull(request: PullRequest) -> Result<PullPage, Error> {
        let misbehaviour = Misbehaviour::now()?;
        misbehaviour.end("pull");
        let (depth, cursor) = (request.depth, request.cursor.clone());
        let mut page = store::pull(request).await?;
        for delta in &mut page.deltas {
            match depth {
                Depth::Partitions => {
                    delta.mode = DeltaMode::Changed;
                    delta.entries.clear();
                }
                Depth::Index => delta.entries.iter_mut().for_each(|pulled| pulled.content = None),
                Depth::Content => {}
            }
        }
        lies::in_page(&misbehaviour, &mut page, cursor).await?;
        Ok(page)
    }

    async fn push(request: PushRequest) -> Result<Receipt, Error> {
        let misbehaviour = Misbehaviour::now()?;
        misbehaviour.end("push");
        let mut receipt = store::push(request).await?;
        misbehaviour.end("receipt");
        lies::in_receipt(&misbehaviour, &mut receipt);
        Ok(receipt)
    }
}

impl hydration::Guest for MisbehavingDatastore {
    async fn fetch(_: String, wanted: Vec<Wanted>) -> Result<Vec<Result<Blob, Error>>, Error> {
        let misbehaviour = Misbehaviour::now()?;
        misbehaviour.end("fetch");
        let store = directory::open().await?;
        let mut contents = Vec::new();
        for wanted in wanted {
            contents.push(match store.get(wanted.location, None).await {
                Ok(Lookup::Found(found)) => Ok(lies::in_content(&misbehaviour, found.content).await?),
                Ok(Lookup::NotModified) => Err(Error::corrupt(wanted.name, "not-modified without having asked")),
                Err(error) => Err(error),
            });
        }
        if misbehaviour.is("too-few") {
            contents.pop();
        }
        Ok(contents)
    }
}

peat_sdk::__metadata_section! {
    Json("{\"format\":1,\"name\":\"@test/misbehaving-datastore\",\"version\":\"0.1.0\","),
    Json("\"summary\":\"Breaks the contract when it is told to\","),
    Json("\"wants\":[{\"capability\":\"directory\",\"reason\":\"keeps its objects there\"},"),
    Json("{\"capability\":\"secrets\",\"reason\":\"is told by one what to do wrong\"}],"),
    Json("\"datastore\":{\"settings\":{\"type\":\"object\"},\"features\":[\"hydration\"]}}"),
}

#[cfg(target_arch = "wasm32")]
peat_sdk::bindings::datastore::export_datastore_bindings!(
    MisbehavingDatastore with_types_in peat_sdk::bindings::datastore
);
#[cfg(target_arch = "wasm32")]
peat_sdk::bindings::hydration::export_hydration_bindings!(
    MisbehavingDatastore with_types_in peat_sdk::bindings::hydration
);
