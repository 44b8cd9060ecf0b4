//! What a guest can import: interface by interface, by kind and grants.

use wasmtime::Engine;
use wasmtime::component::Linker;
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::cli::WasiCliView as _;
use wasmtime_wasi::filesystem::WasiFilesystemView as _;
use wasmtime_wasi::p2::bindings as wasi;

use crate::bindings::imports::interfaces as peat;
use crate::grants::{Capability, GrantedCapabilities};
use crate::inspect::InspectedKind;
use crate::state::{Capabilities, GuestState};

/// A linker with what the kind implies and what is granted, and nothing else. Interfaces that hold only types need no
/// entry.
pub(crate) fn linker(
    engine: &Engine,
    kind: InspectedKind,
    granted: &GrantedCapabilities,
) -> wasmtime::Result<Linker<GuestState>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    peat::log::add_to_linker::<_, Capabilities>(l, state)?;
    peat::config::add_to_linker::<_, Capabilities>(l, state)?;
    peat::progress::add_to_linker::<_, Capabilities>(l, state)?;
    peat::clock::add_to_linker::<_, Capabilities>(l, state)?;
    peat::random::add_to_linker::<_, Capabilities>(l, state)?;
    peat::blobs::add_to_linker::<_, Capabilities>(l, state)?;
    match kind {
        InspectedKind::Models => peat::data::add_to_linker::<_, Capabilities>(l, state)?,
        InspectedKind::Datastore => {
            peat::objects::add_to_linker::<_, Capabilities>(l, state)?;
            peat::replica::add_to_linker::<_, Capabilities>(l, state)?;
            peat::holders::add_to_linker::<_, Capabilities>(l, state)?;
        }
    }
    for capability in granted.iter() {
        match capability {
            Capability::Files => peat::files::add_to_linker::<_, Capabilities>(l, state)?,
            Capability::Secrets => peat::secrets::add_to_linker::<_, Capabilities>(l, state)?,
            Capability::Bucket => peat::bucket::add_to_linker::<_, Capabilities>(l, state)?,
            Capability::Directory => peat::directory::add_to_linker::<_, Capabilities>(l, state)?,
        }
    }
    add_wasi(l)?;
    add_filesystem(l)?;
    Ok(linker)
}

fn state(state: &mut GuestState) -> &mut GuestState {
    state
}

/// Clocks, random, streams, standard streams into the log, an empty environment.
fn add_wasi(l: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    use wasmtime_wasi::cli::WasiCli;
    use wasmtime_wasi::random::WasiRandom;
    // Streams, polling, clocks, secure random and the standard streams.
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(l)?;
    wasi::random::insecure::add_to_linker::<_, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    wasi::random::insecure_seed::add_to_linker::<_, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    wasi::cli::exit::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    wasi::cli::environment::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    wasi::cli::terminal_input::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    wasi::cli::terminal_output::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    wasi::cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    wasi::cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    wasi::cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    Ok(())
}

/// Granted directories as preopened ones, for reading; none where none is granted.
fn add_filesystem(l: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    use wasmtime_wasi::filesystem::WasiFilesystem;
    wasi::filesystem::types::add_to_linker::<_, WasiFilesystem>(l, GuestState::filesystem)?;
    wasi::filesystem::preopens::add_to_linker::<_, WasiFilesystem>(l, GuestState::filesystem)?;
    Ok(())
}
