//! `peat:host/objects`, `bucket` and `directory`: an object store through its port.

use std::sync::Arc;

use peat_core::content;
use peat_core::ports as port;
use wasmtime::component::{Accessor, Resource};

use super::blobs::Blob;
use super::{Answer, bounded, error, guest_try};
use crate::bindings::imports::interfaces::errors::{Error, ErrorKind};
use crate::bindings::imports::interfaces::objects::{
    Condition, Failure, Found, Host, HostObjectStore, HostObjectStoreWithStore, Listing, Lookup, Object, Range,
};
use crate::bindings::imports::interfaces::{bucket, directory};
use crate::convert::errors::of_object;
use crate::convert::text::shown;
use crate::deadline::UnderWay;
use crate::state::{Capabilities, GuestState};

/// Keys of one deletion, ranges of one read and parts of one object: what the largest pack and page of chain needs.
const BATCH_MAX: usize = 10_000;

/// An opened object store.
#[derive(Clone)]
#[expect(unreachable_pub, reason = "generated bindings re-export it")]
pub struct OpenStore(Arc<dyn port::ObjectStore>);

impl std::fmt::Debug for OpenStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "OpenStore({})", self.0.description())
    }
}

impl Host for GuestState {}
impl bucket::Host for GuestState {}
impl directory::Host for GuestState {}

impl<T: 'static> bucket::HostWithStore<T> for Capabilities {
    async fn open(accessor: &Accessor<T, Self>) -> Answer<Resource<OpenStore>> {
        accessor.with(|mut access| {
            let state = access.get();
            let store = state.services.bucket.clone();
            state.open_store(store, "bucket")
        })
    }
}

impl<T: 'static> directory::HostWithStore<T> for Capabilities {
    async fn open(accessor: &Accessor<T, Self>) -> Answer<Resource<OpenStore>> {
        accessor.with(|mut access| {
            let state = access.get();
            let store = state.services.directory.clone();
            state.open_store(store, "directory")
        })
    }
}

impl GuestState {
    fn open_store(&mut self, store: Option<Arc<dyn port::ObjectStore>>, what: &str) -> Answer<Resource<OpenStore>> {
        match store {
            Some(store) => Ok(Ok(self.push_handle(OpenStore(store))?)),
            None => {
                let message = format!("no {what} is configured for this datastore; name one in its settings");
                Ok(Err(error(ErrorKind::InvalidConfig, what, message)))
            }
        }
    }
}

impl HostObjectStore for GuestState {
    fn description(&mut self, store: Resource<OpenStore>) -> wasmtime::Result<String> {
        Ok(self.table.get(&store)?.0.description())
    }

    fn drop(&mut self, store: Resource<OpenStore>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}

impl<T: 'static> HostObjectStoreWithStore<T> for Capabilities {
    async fn get(
        accessor: &Accessor<T, Self>,
        store: Resource<OpenStore>,
        key: String,
        unless_etag: Option<String>,
    ) -> Answer<Lookup> {
        let store = opened(accessor, &store)?;
        guest_try!(bounded("the key", &key));
        guest_try!(bounded("the ETag", unless_etag.as_deref().unwrap_or_default()));
        let lookup = guest_try!(store.get(&key, unless_etag.as_deref()).await.map_err(|error| of_object(&error)));
        Ok(Ok(match lookup {
            port::Lookup::NotModified => Lookup::NotModified,
            port::Lookup::Found(found) => Lookup::Found(Found {
                object: object(found.object),
                store_time_ms: found.store_time_ms,
                content: accessor.with(|mut access| access.get().push_blob(found.content))?,
            }),
        }))
    }

    async fn get_ranges(
        accessor: &Accessor<T, Self>,
        store: Resource<OpenStore>,
        key: String,
        ranges: Vec<Range>,
    ) -> Answer<Vec<Resource<Blob>>> {
        let store = opened(accessor, &store)?;
        guest_try!(bounded("the key", &key));
        guest_try!(batch("ranges", ranges.len()));
        let ranges: Vec<port::Range> =
            ranges.into_iter().map(|range| port::Range { offset: range.offset, length: range.length }).collect();
        let contents = guest_try!(store.get_ranges(&key, &ranges).await.map_err(|error| of_object(&error)));
        accessor.with(|mut access| {
            let state = access.get();
            let blobs = contents.into_iter().map(|content| state.push_blob(content));
            Ok(Ok(blobs.collect::<wasmtime::Result<_>>()?))
        })
    }

    async fn put(
        accessor: &Accessor<T, Self>,
        store: Resource<OpenStore>,
        key: String,
        content: Resource<Blob>,
        condition: Condition,
    ) -> Answer<String> {
        let store = opened(accessor, &store)?;
        guest_try!(bounded("the key", &key));
        let condition = guest_try!(condition_of(condition));
        let content = accessor.with(|mut access| access.get().blob(&content))?.content();
        let content = content::watched(content, store.movement.clone());
        Ok(store.put(&key, content, condition).await.map_err(|error| of_object(&error)))
    }

    async fn put_concatenated(
        accessor: &Accessor<T, Self>,
        store: Resource<OpenStore>,
        key: String,
        parts: Vec<Resource<Blob>>,
        condition: Condition,
    ) -> Answer<String> {
        let store = opened(accessor, &store)?;
        guest_try!(bounded("the key", &key));
        guest_try!(batch("parts", parts.len()));
        let condition = guest_try!(condition_of(condition));
        let parts = accessor.with(|mut access| {
            let state = access.get();
            parts.iter().map(|part| Ok(state.blob(part)?.content())).collect::<wasmtime::Result<Vec<_>>>()
        })?;
        let joined = content::watched(content::concatenate(parts), store.movement.clone());
        Ok(store.put(&key, joined, condition).await.map_err(|error| of_object(&error)))
    }

    async fn copy(
        accessor: &Accessor<T, Self>,
        store: Resource<OpenStore>,
        source: String,
        to: String,
    ) -> Answer<String> {
        let store = opened(accessor, &store)?;
        guest_try!(bounded("the key", &source));
        guest_try!(bounded("the key", &to));
        Ok(store.copy(&source, &to).await.map_err(|error| of_object(&error)))
    }

    async fn list(
        accessor: &Accessor<T, Self>,
        store: Resource<OpenStore>,
        prefix: String,
        delimiter: bool,
        cursor: Option<String>,
    ) -> Answer<Listing> {
        let store = opened(accessor, &store)?;
        guest_try!(bounded("the prefix", &prefix));
        guest_try!(bounded("the cursor", cursor.as_deref().unwrap_or_default()));
        let listing =
            guest_try!(store.list(&prefix, delimiter, cursor.as_deref()).await.map_err(|error| of_object(&error)));
        Ok(Ok(Listing {
            objects: listing.objects.into_iter().map(object).collect(),
            cursor: listing.cursor,
            store_time_ms: listing.store_time_ms,
        }))
    }

    async fn delete(
        accessor: &Accessor<T, Self>,
        store: Resource<OpenStore>,
        keys: Vec<String>,
    ) -> Answer<Vec<Failure>> {
        let store = opened(accessor, &store)?;
        guest_try!(batch("keys", keys.len()));
        for key in &keys {
            guest_try!(bounded("the key", key));
        }
        let failures = guest_try!(store.delete(&keys).await.map_err(|error| of_object(&error)));
        Ok(Ok(failures.into_iter().map(|(key, error)| Failure { key, error: of_object(&error) }).collect()))
    }
}

/// A store for one request, which counts as under way as long as this lives.
struct Request {
    store: Arc<dyn port::ObjectStore>,
    movement: port::Movement,
    _under_way: UnderWay,
}

impl std::ops::Deref for Request {
    type Target = dyn port::ObjectStore;

    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

fn opened<T: 'static>(accessor: &Accessor<T, Capabilities>, store: &Resource<OpenStore>) -> wasmtime::Result<Request> {
    accessor.with(|mut access| {
        let state = access.get();
        let store = Arc::clone(&state.table.get(store)?.0);
        Ok(Request { store, movement: state.services.movement.clone(), _under_way: state.activity.begin() })
    })
}

fn batch(what: &str, count: usize) -> Result<(), Error> {
    if count > BATCH_MAX {
        let message = format!("{count} {what} in one call, at most {BATCH_MAX} are allowed");
        return Err(error(ErrorKind::InvalidInput, what, message));
    }
    Ok(())
}

fn condition_of(condition: Condition) -> Result<port::Condition, Error> {
    Ok(match condition {
        Condition::Always => port::Condition::Always,
        Condition::Absent => port::Condition::Absent,
        Condition::Matches(etag) => {
            bounded("the ETag", &etag)?;
            if etag.is_empty() {
                return Err(error(ErrorKind::InvalidInput, &shown(&etag), "an empty ETag matches nothing"));
            }
            port::Condition::Matches(etag)
        }
    })
}

fn object(object: port::ObjectInfo) -> Object {
    Object { key: object.key, size: object.size, etag: object.etag, modified_ms: object.modified_ms }
}
