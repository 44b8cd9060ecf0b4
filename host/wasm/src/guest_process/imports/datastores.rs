//! What datastore extensions import: object stores, the replica, holders.

use wasmtime::component::{Accessor, Resource};

use super::host;
use crate::bindings::imports::interfaces::blobs::Blob;
use crate::bindings::imports::interfaces::objects::{
    Condition, Failure, Host, HostObjectStore, HostObjectStoreWithStore, Listing, Lookup, ObjectStore, Range,
};
use crate::bindings::imports::interfaces::{bucket, directory, holders, replica};
use crate::capabilities::Answer;
use crate::guest_process::state::{Forwarded, RunnerState};
use crate::wire::Import;

impl Host for RunnerState {}
impl bucket::Host for RunnerState {}
impl directory::Host for RunnerState {}

impl<T: 'static> bucket::HostWithStore<T> for Forwarded {
    async fn open(accessor: &Accessor<T, Self>) -> Answer<Resource<ObjectStore>> {
        host(accessor).ask(Import::BucketOpen, ()).await
    }
}

impl<T: 'static> directory::HostWithStore<T> for Forwarded {
    async fn open(accessor: &Accessor<T, Self>) -> Answer<Resource<ObjectStore>> {
        host(accessor).ask(Import::DirectoryOpen, ()).await
    }
}

impl HostObjectStore for RunnerState {
    fn description(&mut self, store: Resource<ObjectStore>) -> wasmtime::Result<String> {
        self.host.ask_now(Import::StoreDescription, (store,))
    }

    fn drop(&mut self, store: Resource<ObjectStore>) -> wasmtime::Result<()> {
        self.host.tell(Import::StoreDrop, (store,));
        Ok(())
    }
}

impl<T: 'static> HostObjectStoreWithStore<T> for Forwarded {
    async fn get(
        accessor: &Accessor<T, Self>,
        store: Resource<ObjectStore>,
        key: String,
        unless_etag: Option<String>,
    ) -> Answer<Lookup> {
        host(accessor).ask(Import::StoreGet, (store, key, unless_etag)).await
    }

    async fn get_ranges(
        accessor: &Accessor<T, Self>,
        store: Resource<ObjectStore>,
        key: String,
        ranges: Vec<Range>,
    ) -> Answer<Vec<Resource<Blob>>> {
        host(accessor).ask(Import::StoreGetRanges, (store, key, ranges)).await
    }

    async fn put(
        accessor: &Accessor<T, Self>,
        store: Resource<ObjectStore>,
        key: String,
        content: Resource<Blob>,
        condition: Condition,
    ) -> Answer<String> {
        host(accessor).ask(Import::StorePut, (store, key, content, condition)).await
    }

    async fn put_concatenated(
        accessor: &Accessor<T, Self>,
        store: Resource<ObjectStore>,
        key: String,
        parts: Vec<Resource<Blob>>,
        condition: Condition,
    ) -> Answer<String> {
        host(accessor).ask(Import::StorePutConcatenated, (store, key, parts, condition)).await
    }

    async fn copy(
        accessor: &Accessor<T, Self>,
        store: Resource<ObjectStore>,
        source: String,
        to: String,
    ) -> Answer<String> {
        host(accessor).ask(Import::StoreCopy, (store, source, to)).await
    }

    async fn list(
        accessor: &Accessor<T, Self>,
        store: Resource<ObjectStore>,
        prefix: String,
        delimiter: bool,
        cursor: Option<String>,
    ) -> Answer<Listing> {
        host(accessor).ask(Import::StoreList, (store, prefix, delimiter, cursor)).await
    }

    async fn delete(
        accessor: &Accessor<T, Self>,
        store: Resource<ObjectStore>,
        keys: Vec<String>,
    ) -> Answer<Vec<Failure>> {
        host(accessor).ask(Import::StoreDelete, (store, keys)).await
    }
}

impl replica::Host for RunnerState {
    fn known(&mut self, partitions: Vec<String>) -> Answer<Vec<Option<String>>> {
        self.host.ask_now(Import::ReplicaKnown, (partitions,))
    }
}

impl<T: 'static> replica::HostWithStore<T> for Forwarded {
    async fn cached(accessor: &Accessor<T, Self>, key: String) -> Answer<Option<Resource<Blob>>> {
        host(accessor).ask(Import::ReplicaCached, (key,)).await
    }

    async fn cache(accessor: &Accessor<T, Self>, key: String, content: Resource<Blob>) -> Answer<()> {
        host(accessor).ask(Import::ReplicaCache, (key, content)).await
    }
}

impl holders::Host for RunnerState {
    fn current(&mut self) -> wasmtime::Result<holders::Holder> {
        self.host.ask_now(Import::HoldersCurrent, ())
    }

    fn is_dead(&mut self, holder: holders::Holder) -> wasmtime::Result<bool> {
        self.host.ask_now(Import::HoldersIsDead, (holder,))
    }
}
