//! What a guest can import: interface by interface, by kind and grants.

use wasmtime::Engine;
use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::WasiCliView as _;
use wasmtime_wasi::filesystem::WasiFilesystemView as _;
use wasmtime_wasi::p2::bindings as wasi;

use crate::grants::GrantedCapabilities;
use crate::inspect::InspectedKind;
use crate::state::{Capabilities, GuestState};

/// Adds what the kind implies and what is granted, and nothing else, for a state of type `$data`. Interfaces that hold only
/// types need no entry.
macro_rules! link_interfaces {
    ($linker:expr, $data:ty, $kind:expr, $granted:expr) => {{
        use $crate::bindings::imports::interfaces as peat;
        let l = $linker;
        peat::log::add_to_linker::<_, $data>(l, |state| state)?;
        peat::config::add_to_linker::<_, $data>(l, |state| state)?;
        peat::progress::add_to_linker::<_, $data>(l, |state| state)?;
        peat::clock::add_to_linker::<_, $data>(l, |state| state)?;
        peat::random::add_to_linker::<_, $data>(l, |state| state)?;
        peat::blobs::add_to_linker::<_, $data>(l, |state| state)?;
        match $kind {
            $crate::inspect::InspectedKind::Models => peat::data::add_to_linker::<_, $data>(l, |state| state)?,
            $crate::inspect::InspectedKind::Datastore => {
                peat::objects::add_to_linker::<_, $data>(l, |state| state)?;
                peat::replica::add_to_linker::<_, $data>(l, |state| state)?;
                peat::holders::add_to_linker::<_, $data>(l, |state| state)?;
            }
        }
        for capability in $granted.iter() {
            use $crate::grants::Capability;
            match capability {
                Capability::Files => peat::files::add_to_linker::<_, $data>(l, |state| state)?,
                Capability::Secrets => peat::secrets::add_to_linker::<_, $data>(l, |state| state)?,
                Capability::Bucket => peat::bucket::add_to_linker::<_, $data>(l, |state| state)?,
                Capability::Directory => peat::directory::add_to_linker::<_, $data>(l, |state| state)?,
            }
        }
    }};
}
pub(crate) use link_interfaces;

/// A linker for guests of this process.
pub(crate) fn linker(
    engine: &Engine,
    kind: InspectedKind,
    granted: &GrantedCapabilities,
) -> wasmtime::Result<Linker<GuestState>> {
    let mut linker = Linker::new(engine);
    link_interfaces!(&mut linker, Capabilities, kind, granted);
    add_wasi(&mut linker)?;
    Ok(linker)
}

/// WASI 0.2: clocks, random, streams, standard streams into the log, an empty environment, files.
pub(crate) fn add_wasi<T: WasiView + 'static>(l: &mut Linker<T>) -> wasmtime::Result<()> {
    use wasmtime_wasi::cli::WasiCli;
    use wasmtime_wasi::filesystem::WasiFilesystem;
    use wasmtime_wasi::random::WasiRandom;
    // Streams, polling, clocks, secure random and the standard streams.
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(l)?;
    wasi::random::insecure::add_to_linker::<_, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    wasi::random::insecure_seed::add_to_linker::<_, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    wasi::cli::exit::add_to_linker::<_, WasiCli>(l, T::cli)?;
    wasi::cli::environment::add_to_linker::<_, WasiCli>(l, T::cli)?;
    wasi::cli::terminal_input::add_to_linker::<_, WasiCli>(l, T::cli)?;
    wasi::cli::terminal_output::add_to_linker::<_, WasiCli>(l, T::cli)?;
    wasi::cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, T::cli)?;
    wasi::cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, T::cli)?;
    wasi::cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, T::cli)?;
    // Granted directories as preopened ones, for reading; none where none is granted.
    wasi::filesystem::types::add_to_linker::<_, WasiFilesystem>(l, T::filesystem)?;
    wasi::filesystem::preopens::add_to_linker::<_, WasiFilesystem>(l, T::filesystem)?;
    Ok(())
}
