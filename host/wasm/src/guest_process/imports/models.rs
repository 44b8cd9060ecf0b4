//! What model extensions import: data and files.

use wasmtime::component::{Accessor, Resource};

use super::host;
use crate::bindings::imports::interfaces::blobs::Blob;
use crate::bindings::imports::interfaces::data::{self, Artifact, Attributes, Page};
use crate::bindings::imports::interfaces::files::{self, Folder, HostFolder, HostFolderWithStore, Listing};
use crate::capabilities::Answer;
use crate::guest_process::state::{Forwarded, RunnerState};
use crate::wire::Import;

impl data::Host for RunnerState {}

impl<T: 'static> data::HostWithStore<T> for Forwarded {
    async fn write(
        accessor: &Accessor<T, Self>,
        name: String,
        content: Resource<Blob>,
        attributes: Attributes,
    ) -> Answer<()> {
        host(accessor).ask(Import::DataWrite, (name, content, attributes)).await
    }

    async fn read(
        accessor: &Accessor<T, Self>,
        model: Option<String>,
        name: String,
        version: Option<u64>,
    ) -> Answer<(Artifact, Resource<Blob>)> {
        host(accessor).ask(Import::DataRead, (model, name, version)).await
    }

    async fn list(
        accessor: &Accessor<T, Self>,
        model: Option<String>,
        prefix: String,
        cursor: Option<String>,
    ) -> Answer<Page> {
        host(accessor).ask(Import::DataList, (model, prefix, cursor)).await
    }
}

impl files::Host for RunnerState {
    fn names(&mut self) -> wasmtime::Result<Vec<String>> {
        self.host.ask_now(Import::FilesNames, ())
    }
}

impl HostFolder for RunnerState {
    fn drop(&mut self, folder: Resource<Folder>) -> wasmtime::Result<()> {
        self.host.tell(Import::FolderDrop, (folder,));
        Ok(())
    }
}

impl<T: 'static> files::HostWithStore<T> for Forwarded {
    async fn open(accessor: &Accessor<T, Self>, name: String) -> Answer<Resource<Folder>> {
        host(accessor).ask(Import::FilesOpen, (name,)).await
    }
}

impl<T: 'static> HostFolderWithStore<T> for Forwarded {
    async fn read(accessor: &Accessor<T, Self>, folder: Resource<Folder>, path: String) -> Answer<Resource<Blob>> {
        host(accessor).ask(Import::FolderRead, (folder, path)).await
    }

    async fn list(
        accessor: &Accessor<T, Self>,
        folder: Resource<Folder>,
        path: String,
        cursor: Option<String>,
    ) -> Answer<Listing> {
        host(accessor).ask(Import::FolderList, (folder, path, cursor)).await
    }
}
