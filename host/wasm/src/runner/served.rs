//! The functions of the host, by their number: parameters in, the capability's own code, results out.

use wasmtime::component::Accessor;

use crate::bindings::imports::interfaces as peat;
use crate::bindings::imports::interfaces::blobs::{HostBlob, HostBlobWithStore, HostWriter, HostWriterWithStore};
use crate::bindings::imports::interfaces::files::{HostFolder, HostFolderWithStore};
use crate::bindings::imports::interfaces::objects::{HostObjectStore, HostObjectStoreWithStore};
use crate::grants::{Capability, GrantedCapabilities};
use crate::inspect::InspectedKind;
use crate::state::{Capabilities, GuestState};
use crate::wire::{Import, Malformed, Wire, decode, encode};

type Host = Accessor<GuestState, Capabilities>;

/// What an extension may import: what is linked for a guest in this process.
#[derive(Debug, Clone)]
pub(super) struct Allowed {
    pub(super) kind: InspectedKind,
    pub(super) granted: GrantedCapabilities,
}

/// What came of one.
pub(super) enum Served {
    /// The results.
    Answer(Vec<u8>),
    /// It cannot come of a guest: what is wrong with it.
    Violation(String),
}

impl Allowed {
    fn contains(&self, import: Import) -> bool {
        use Import as I;
        let models = self.kind == InspectedKind::Models;
        match import {
            I::LogWrite | I::LogLine | I::ProgressReport | I::ConfigSettings => true,
            I::BlobOfBytes | I::BlobSize | I::BlobSlice | I::BlobRead | I::BlobDigest | I::BlobDrop => true,
            I::WriterNew | I::WriterWrite | I::WriterFinish | I::WriterDrop => true,
            I::DataWrite | I::DataRead | I::DataList => models,
            I::StoreDescription | I::StoreGet | I::StoreGetRanges | I::StorePut | I::StorePutConcatenated => !models,
            I::StoreCopy | I::StoreList | I::StoreDelete | I::StoreDrop => !models,
            I::ReplicaKnown | I::ReplicaCached | I::ReplicaCache | I::HoldersCurrent | I::HoldersIsDead => !models,
            I::SecretsGet => self.granted.contains(Capability::Secrets),
            I::FilesNames | I::FilesOpen | I::FolderRead | I::FolderList | I::FolderDrop => {
                self.granted.contains(Capability::Files)
            }
            I::BucketOpen => self.granted.contains(Capability::Bucket),
            I::DirectoryOpen => self.granted.contains(Capability::Directory),
        }
    }
}

/// The function, and what is left of the body.
fn named<'a>(body: &'a [u8], allowed: &Allowed) -> Result<(Import, &'a [u8]), String> {
    let (first, rest) = body.split_at_checked(1).ok_or_else(|| violation(Malformed::Short))?;
    let import: Import = decode(first).map_err(violation)?;
    if !allowed.contains(import) {
        return Err(format!("it asked for {import:?}, which is not granted"));
    }
    Ok((import, rest))
}

fn violation(malformed: Malformed) -> String {
    format!("a message of it does not parse: {malformed}")
}

/// Takes the parameters; answers a violation where they are none.
macro_rules! parameters {
    ($bytes:expr) => {
        match decode($bytes) {
            Ok(parameters) => parameters,
            Err(malformed) => return Ok(Served::Violation(violation(malformed))),
        }
    };
}

/// Serves a function that answers nothing.
pub(super) fn serve_tell(host: &Host, body: &[u8], allowed: &Allowed) -> wasmtime::Result<Served> {
    let (import, rest) = match named(body, allowed) {
        Ok(named) => named,
        Err(reason) => return Ok(Served::Violation(reason)),
    };
    match import {
        Import::LogWrite => {
            let (level, message) = parameters!(rest);
            host.with(|mut access| peat::log::Host::write(access.get(), level, message))?;
        }
        Import::LogLine => {
            let (source, text): (String, String) = parameters!(rest);
            // The sources that a runner has by itself.
            if !["stdout", "stderr"].contains(&source.as_str()) {
                return Ok(Served::Violation(format!("it logs as {source:?}")));
            }
            host.with(|mut access| access.get().log.add(&source, &text));
        }
        Import::ProgressReport => {
            let (update,) = parameters!(rest);
            host.with(|mut access| peat::progress::Host::report(access.get(), update))?;
        }
        Import::BlobDrop => {
            let (blob,) = parameters!(rest);
            host.with(|mut access| HostBlob::drop(access.get(), blob))?;
        }
        Import::WriterDrop => {
            let (writer,) = parameters!(rest);
            host.with(|mut access| HostWriter::drop(access.get(), writer))?;
        }
        Import::FolderDrop => {
            let (folder,) = parameters!(rest);
            host.with(|mut access| HostFolder::drop(access.get(), folder))?;
        }
        Import::StoreDrop => {
            let (store,) = parameters!(rest);
            host.with(|mut access| HostObjectStore::drop(access.get(), store))?;
        }
        other => return Ok(Served::Violation(format!("it told {other:?}, which must be asked"))),
    }
    Ok(Served::Answer(Vec::new()))
}

/// Serves a function and encodes its results.
pub(super) async fn serve_import(host: &Host, body: &[u8], allowed: &Allowed) -> wasmtime::Result<Served> {
    let (import, rest) = match named(body, allowed) {
        Ok(named) => named,
        Err(reason) => return Ok(Served::Violation(reason)),
    };
    let bytes = match import {
        Import::ConfigSettings => now(host, peat::config::Host::settings)?,
        Import::SecretsGet => {
            let (name,) = parameters!(rest);
            now(host, |state| peat::secrets::Host::get(state, name))?
        }
        Import::BlobOfBytes => {
            let (bytes,) = parameters!(rest);
            now(host, |state| state.of_bytes(bytes))?
        }
        Import::BlobSize => {
            let (blob,) = parameters!(rest);
            now(host, |state| HostBlob::size(state, blob))?
        }
        Import::BlobSlice => {
            let (blob, offset, length) = parameters!(rest);
            now(host, |state| state.slice(blob, offset, length))?
        }
        Import::BlobRead => {
            let (blob, offset, length) = parameters!(rest);
            encode(&<Capabilities as HostBlobWithStore<GuestState>>::read(host, blob, offset, length).await?)
        }
        Import::BlobDigest => {
            let (blob,) = parameters!(rest);
            encode(&Capabilities::digest(host, blob).await?)
        }
        Import::WriterNew => now(host, HostWriter::new)?,
        Import::WriterWrite => {
            let (writer, bytes) = parameters!(rest);
            encode(&<Capabilities as HostWriterWithStore<GuestState>>::write(host, writer, bytes).await?)
        }
        Import::WriterFinish => {
            let (writer,) = parameters!(rest);
            encode(&Capabilities::finish(host, writer).await?)
        }
        Import::DataWrite => {
            let (name, content, attributes) = parameters!(rest);
            encode(
                &<Capabilities as peat::data::HostWithStore<GuestState>>::write(host, name, content, attributes)
                    .await?,
            )
        }
        Import::DataRead => {
            let (model, name, version) = parameters!(rest);
            encode(&<Capabilities as peat::data::HostWithStore<GuestState>>::read(host, model, name, version).await?)
        }
        Import::DataList => {
            let (model, prefix, cursor) = parameters!(rest);
            encode(&<Capabilities as peat::data::HostWithStore<GuestState>>::list(host, model, prefix, cursor).await?)
        }
        Import::FilesNames => now(host, peat::files::Host::names)?,
        Import::FilesOpen => {
            let (name,) = parameters!(rest);
            encode(&<Capabilities as peat::files::HostWithStore<GuestState>>::open(host, name).await?)
        }
        Import::FolderRead => {
            let (folder, path) = parameters!(rest);
            encode(&<Capabilities as HostFolderWithStore<GuestState>>::read(host, folder, path).await?)
        }
        Import::FolderList => {
            let (folder, path, cursor) = parameters!(rest);
            encode(&<Capabilities as HostFolderWithStore<GuestState>>::list(host, folder, path, cursor).await?)
        }
        Import::BucketOpen => encode(&<Capabilities as peat::bucket::HostWithStore<GuestState>>::open(host).await?),
        Import::DirectoryOpen => {
            encode(&<Capabilities as peat::directory::HostWithStore<GuestState>>::open(host).await?)
        }
        Import::ReplicaKnown => {
            let (partitions,) = parameters!(rest);
            now(host, |state| peat::replica::Host::known(state, partitions))?
        }
        Import::ReplicaCached => {
            let (key,) = parameters!(rest);
            encode(&<Capabilities as peat::replica::HostWithStore<GuestState>>::cached(host, key).await?)
        }
        Import::ReplicaCache => {
            let (key, content) = parameters!(rest);
            encode(&<Capabilities as peat::replica::HostWithStore<GuestState>>::cache(host, key, content).await?)
        }
        Import::HoldersCurrent => now(host, peat::holders::Host::current)?,
        Import::HoldersIsDead => {
            let (holder,) = parameters!(rest);
            now(host, |state| peat::holders::Host::is_dead(state, holder))?
        }
        other => return serve_store(host, other, rest).await,
    };
    Ok(Served::Answer(bytes))
}

/// The functions of an opened object store.
async fn serve_store(host: &Host, import: Import, rest: &[u8]) -> wasmtime::Result<Served> {
    let bytes = match import {
        Import::StoreDescription => {
            let (store,) = parameters!(rest);
            now(host, |state| state.description(store))?
        }
        Import::StoreGet => {
            let (store, key, unless_etag) = parameters!(rest);
            encode(&<Capabilities as HostObjectStoreWithStore<GuestState>>::get(host, store, key, unless_etag).await?)
        }
        Import::StoreGetRanges => {
            let (store, key, ranges) = parameters!(rest);
            encode(&Capabilities::get_ranges(host, store, key, ranges).await?)
        }
        Import::StorePut => {
            let (store, key, content, condition) = parameters!(rest);
            encode(&Capabilities::put(host, store, key, content, condition).await?)
        }
        Import::StorePutConcatenated => {
            let (store, key, parts, condition) = parameters!(rest);
            encode(&Capabilities::put_concatenated(host, store, key, parts, condition).await?)
        }
        Import::StoreCopy => {
            let (store, source, to) = parameters!(rest);
            encode(&Capabilities::copy(host, store, source, to).await?)
        }
        Import::StoreList => {
            let (store, prefix, delimiter, cursor) = parameters!(rest);
            encode(
                &<Capabilities as HostObjectStoreWithStore<GuestState>>::list(host, store, prefix, delimiter, cursor)
                    .await?,
            )
        }
        Import::StoreDelete => {
            let (store, keys) = parameters!(rest);
            encode(&Capabilities::delete(host, store, keys).await?)
        }
        other => return Ok(Served::Violation(format!("it asked for {other:?}, which must be told"))),
    };
    Ok(Served::Answer(bytes))
}

/// A function that waits for nothing.
fn now<R: Wire>(
    host: &Host,
    function: impl FnOnce(&mut GuestState) -> wasmtime::Result<R>,
) -> wasmtime::Result<Vec<u8>> {
    host.with(|mut access| function(access.get())).map(|results| encode(&results))
}
