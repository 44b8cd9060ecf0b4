//! `peat:host/data`: what a run writes and reads.
//!
//! The run's data lives with whoever started the run and is only lent for its duration, while a guest's state must own
//! all it has. So a guest's call is a request to that side, which serves them one at a time (`serve`).

use peat_core::content::SharedContent;
use peat_core::entry::{Entry, Lifetime, Tag};
use peat_core::identifiers::{DataName, ModelName, Version};
use peat_core::ports::{RunData, RunDataError};
use tokio::sync::{mpsc, oneshot};
use wasmtime::component::{Accessor, Resource};

use super::blobs::Blob;
use super::{Answer, error, guest_try};
use crate::bindings::imports::interfaces::data::{Artifact, Attributes, Host, HostWithStore, Page};
use crate::bindings::imports::interfaces::errors::{Error, ErrorKind};
use crate::convert::Invalid;
use crate::convert::entry::{attributes_to_guest, content_type_from_guest, lifetime_from_guest, tags_from_guest};
use crate::convert::errors::of_run_data;
use crate::limits::PAGE_ENTRIES_MAX;
use crate::state::{Capabilities, GuestState};

/// Requests that wait to be served: one guest rarely has more under way.
const REQUESTS_MAX: usize = 16;

type Reply<T> = oneshot::Sender<Result<T, RunDataError>>;

/// One call of the guest.
pub(crate) enum Request {
    Write {
        name: DataName,
        content: SharedContent,
        content_type: String,
        lifetime: Option<Lifetime>,
        tags: Vec<Tag>,
        reply: Reply<()>,
    },
    Read {
        model: Option<ModelName>,
        name: DataName,
        version: Option<Version>,
        reply: Reply<(Entry, SharedContent)>,
    },
    List {
        model: Option<ModelName>,
        prefix: String,
        after: Option<DataName>,
        reply: Reply<Vec<Entry>>,
    },
}

/// The guest's end.
#[derive(Debug, Clone)]
pub(crate) struct DataClient(mpsc::Sender<Request>);

/// The run's end.
pub(crate) struct DataServer(mpsc::Receiver<Request>);

/// Makes both ends.
pub(crate) fn connection() -> (DataClient, DataServer) {
    let (sender, receiver) = mpsc::channel(REQUESTS_MAX);
    (DataClient(sender), DataServer(receiver))
}

impl DataServer {
    /// Serves requests until the guest's end is gone.
    pub(crate) async fn serve(mut self, data: &dyn RunData) {
        while let Some(request) = self.0.recv().await {
            // A reply that nobody waits for any more is of a call that ended.
            match request {
                Request::Write { name, content, content_type, lifetime, tags, reply } => {
                    let _ = reply.send(data.write(name, content, content_type, lifetime, tags));
                }
                Request::Read { model, name, version, reply } => {
                    let _ = reply.send(data.read(model.as_ref(), &name, version).await);
                }
                Request::List { model, prefix, after, reply } => {
                    let _ = reply.send(data.list(model.as_ref(), &prefix, after.as_ref(), PAGE_ENTRIES_MAX));
                }
            }
        }
    }
}

impl Host for GuestState {}

impl<T: 'static> HostWithStore<T> for Capabilities {
    async fn write(
        accessor: &Accessor<T, Self>,
        name: String,
        content: Resource<Blob>,
        attributes: Attributes,
    ) -> Answer<()> {
        let content = accessor.with(|mut access| access.get().blob(&content))?.content();
        let subject = name.clone();
        let name = guest_try!(public_name(&name));
        let invalid = |invalid: Invalid| error(ErrorKind::InvalidInput, &subject, invalid.0);
        let content_type = guest_try!(content_type_from_guest(attributes.content_type).map_err(invalid));
        let tags = guest_try!(tags_from_guest(attributes.tags).map_err(invalid));
        let lifetime = attributes.lifetime.map(lifetime_from_guest);
        let request = |reply| Request::Write { name, content, content_type, lifetime, tags, reply };
        ask(accessor, &subject, request).await
    }

    async fn read(
        accessor: &Accessor<T, Self>,
        model: Option<String>,
        name: String,
        version: Option<u64>,
    ) -> Answer<(Artifact, Resource<Blob>)> {
        let model = guest_try!(model_name(model));
        let subject = name.clone();
        let name = guest_try!(public_name(&name));
        let request = |reply| Request::Read { model, name, version: version.map(Version), reply };
        let (entry, content) = guest_try!(ask(accessor, &subject, request).await?);
        let blob = accessor.with(|mut access| access.get().push_blob(content))?;
        Ok(Ok((artifact(entry), blob)))
    }

    async fn list(
        accessor: &Accessor<T, Self>,
        model: Option<String>,
        prefix: String,
        cursor: Option<String>,
    ) -> Answer<Page> {
        let model = guest_try!(model_name(model));
        guest_try!(super::bounded("the prefix", &prefix));
        let after = guest_try!(cursor.as_deref().map(public_name).transpose());
        let subject = prefix.clone();
        let request = |reply| Request::List { model, prefix, after, reply };
        let entries = guest_try!(ask(accessor, &subject, request).await?);
        let full = entries.len() >= PAGE_ENTRIES_MAX as usize;
        let cursor = entries.last().filter(|_| full).map(|entry| entry.description.name.to_string());
        Ok(Ok(Page { artifacts: entries.into_iter().map(artifact).collect(), cursor }))
    }
}

async fn ask<T: 'static, R>(
    accessor: &Accessor<T, Capabilities>,
    subject: &str,
    request: impl FnOnce(Reply<R>) -> Request,
) -> Answer<R> {
    let Some(client) = accessor.with(|mut access| access.get().data.clone()) else {
        let message = "data of models is not for this kind of extension";
        return Ok(Err(error(ErrorKind::Denied, subject, message)));
    };
    let (reply, answer) = oneshot::channel();
    let gone = || wasmtime::Error::msg("the run has ended");
    client.0.send(request(reply)).await.map_err(|_| gone())?;
    let answer = answer.await.map_err(|_| gone())?;
    Ok(answer.map_err(|error| of_run_data(&error, subject)))
}

fn public_name(name: &str) -> Result<DataName, Error> {
    DataName::parse_public(name).map_err(|invalid| error(ErrorKind::InvalidInput, name, invalid.to_string()))
}

fn model_name(name: Option<String>) -> Result<Option<ModelName>, Error> {
    name.map(|name| {
        ModelName::parse(&name).map_err(|invalid| error(ErrorKind::InvalidInput, &name, invalid.to_string()))
    })
    .transpose()
}

fn artifact(entry: Entry) -> Artifact {
    let Entry { description, version, location: _ } = entry;
    Artifact {
        name: description.name.to_string(),
        version: version.0,
        size: description.size,
        digest: description.digest.to_string(),
        created_at_ms: description.created_at_ms,
        attributes: attributes_to_guest(description.content_type, description.lifetime, description.tags),
    }
}
