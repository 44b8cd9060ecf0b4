//! What every extension imports: log, settings, progress, blobs; and secrets.

use wasmtime::component::{Accessor, Resource};

use super::host;
use crate::bindings::imports::interfaces::blobs::{
    Blob, Host, HostBlob, HostBlobWithStore, HostWriter, HostWriterWithStore, Writer,
};
use crate::bindings::imports::interfaces::{config, errors, log, progress, secrets};
use crate::capabilities::Answer;
use crate::capabilities::log::level_word;
use crate::capabilities::progress::is_due;
use crate::guest_process::state::{Forwarded, RunnerState};
use crate::wire::Import;

impl errors::Host for RunnerState {}

impl log::Host for RunnerState {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.log.add(level_word(level), &message);
        Ok(())
    }
}

impl config::Host for RunnerState {
    fn settings(&mut self) -> wasmtime::Result<String> {
        self.host.ask_now(Import::ConfigSettings, ())
    }
}

impl progress::Host for RunnerState {
    fn report(&mut self, update: progress::Update) -> wasmtime::Result<()> {
        if is_due(&mut self.progress_at_ms, self.clock.elapsed_ms(), &update) {
            self.host.tell(Import::ProgressReport, (update,));
        }
        Ok(())
    }
}

impl secrets::Host for RunnerState {
    fn get(&mut self, name: String) -> Answer<String> {
        self.host.ask_now(Import::SecretsGet, (name,))
    }
}

impl Host for RunnerState {}

impl HostBlob for RunnerState {
    fn of_bytes(&mut self, bytes: Vec<u8>) -> Answer<Resource<Blob>> {
        self.host.ask_now(Import::BlobOfBytes, (bytes,))
    }

    fn size(&mut self, blob: Resource<Blob>) -> wasmtime::Result<u64> {
        self.host.ask_now(Import::BlobSize, (blob,))
    }

    fn slice(&mut self, blob: Resource<Blob>, offset: u64, length: u64) -> Answer<Resource<Blob>> {
        self.host.ask_now(Import::BlobSlice, (blob, offset, length))
    }

    fn drop(&mut self, blob: Resource<Blob>) -> wasmtime::Result<()> {
        self.host.tell(Import::BlobDrop, (blob,));
        Ok(())
    }
}

impl<T: 'static> HostBlobWithStore<T> for Forwarded {
    async fn read(accessor: &Accessor<T, Self>, blob: Resource<Blob>, offset: u64, length: u32) -> Answer<Vec<u8>> {
        host(accessor).ask(Import::BlobRead, (blob, offset, length)).await
    }

    async fn digest(accessor: &Accessor<T, Self>, blob: Resource<Blob>) -> Answer<String> {
        host(accessor).ask(Import::BlobDigest, (blob,)).await
    }
}

impl HostWriter for RunnerState {
    fn new(&mut self) -> wasmtime::Result<Resource<Writer>> {
        self.host.ask_now(Import::WriterNew, ())
    }

    fn drop(&mut self, writer: Resource<Writer>) -> wasmtime::Result<()> {
        self.host.tell(Import::WriterDrop, (writer,));
        Ok(())
    }
}

impl<T: 'static> HostWriterWithStore<T> for Forwarded {
    async fn write(accessor: &Accessor<T, Self>, writer: Resource<Writer>, bytes: Vec<u8>) -> Answer<()> {
        host(accessor).ask(Import::WriterWrite, (writer, bytes)).await
    }

    async fn finish(accessor: &Accessor<T, Self>, writer: Resource<Writer>) -> Answer<Resource<Blob>> {
        host(accessor).ask(Import::WriterFinish, (writer,)).await
    }
}
