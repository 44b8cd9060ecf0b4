//! The imports of a guest in a runner: each function asks the host, with the same types as the host's own.

mod answered_here;
mod datastores;
mod everyone;
mod models;

use wasmtime::Engine;
use wasmtime::component::{Accessor, Linker};

use super::link::CallLink;
use super::state::{Forwarded, RunnerState};
use crate::grants::GrantedCapabilities;
use crate::inspect::InspectedKind;
use crate::linker::{add_wasi, link_interfaces};

/// A linker with the interfaces that the host's own has.
pub(super) fn linker(
    engine: &Engine,
    kind: InspectedKind,
    granted: &GrantedCapabilities,
) -> wasmtime::Result<Linker<RunnerState>> {
    let mut linker = Linker::new(engine);
    link_interfaces!(&mut linker, Forwarded, kind, granted);
    add_wasi(&mut linker)?;
    Ok(linker)
}

/// The way to the host of a call.
fn host<T: 'static>(accessor: &Accessor<T, Forwarded>) -> CallLink {
    accessor.with(|mut access| access.get().host.clone())
}
