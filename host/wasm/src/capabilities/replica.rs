//! `peat:host/replica`: what this machine remembers of the datastore, through its port.

use std::sync::Arc;

use peat_core::identifiers::PartitionName;
use peat_core::ports::Replica;
use wasmtime::component::{Accessor, Resource};

use super::blobs::Blob;
use super::{Answer, bounded, error, guest_try};
use crate::bindings::imports::interfaces::errors::ErrorKind;
use crate::bindings::imports::interfaces::replica::{Host, HostWithStore};
use crate::convert::errors::of_store;
use crate::limits::CACHED_BYTES_MAX;
use crate::state::{Capabilities, GuestState};

impl GuestState {
    fn replica(&self) -> wasmtime::Result<Arc<dyn Replica>> {
        let replica = self.services.replica.as_ref().map(Arc::clone);
        replica.ok_or_else(|| wasmtime::Error::msg("the replica belongs to datastore extensions"))
    }
}

impl Host for GuestState {
    fn known(&mut self, partitions: Vec<String>) -> Answer<Vec<Option<String>>> {
        let parsed: Result<Vec<_>, _> = partitions.iter().map(|partition| PartitionName::parse(partition)).collect();
        let partitions =
            guest_try!(parsed.map_err(|invalid| error(ErrorKind::InvalidInput, &invalid.value, invalid.to_string())));
        Ok(self.replica()?.known(&partitions).map_err(|error| of_store(&error)))
    }
}

impl<T: 'static> HostWithStore<T> for Capabilities {
    async fn cached(accessor: &Accessor<T, Self>, key: String) -> Answer<Option<Resource<Blob>>> {
        guest_try!(bounded("the key", &key));
        let replica = accessor.with(|mut access| access.get().replica())?;
        let content = guest_try!(replica.cached(&key).map_err(|error| of_store(&error)));
        accessor.with(|mut access| Ok(Ok(content.map(|content| access.get().push_blob(content)).transpose()?)))
    }

    async fn cache(accessor: &Accessor<T, Self>, key: String, content: Resource<Blob>) -> Answer<()> {
        guest_try!(bounded("the key", &key));
        let replica = accessor.with(|mut access| access.get().replica())?;
        let blob = accessor.with(|mut access| access.get().blob(&content))?;
        if blob.size() > CACHED_BYTES_MAX {
            let message = format!("{} bytes, at most {CACHED_BYTES_MAX} are kept", blob.size());
            return Ok(Err(error(ErrorKind::InvalidInput, &key, message)));
        }
        Ok(replica.cache(&key, &blob.content()).map_err(|error| of_store(&error)))
    }
}
