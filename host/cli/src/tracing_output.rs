//! The trace on stderr, where it was asked for.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// Starts the trace: `-v` for what happens, `-vv` for details, a filter of PEAT_LOG before both. Without them nothing is
/// collected.
pub(crate) fn start(verbosity: u8, filter: Option<String>) -> Result<(), Failure> {
    let directives = match (filter, verbosity) {
        (Some(filter), _) => filter,
        (None, 0) => return Ok(()),
        (None, 1) => "peat=info,peat_core=info,peat_store=info,peat_wasm=info".to_owned(),
        (None, _) => "peat=debug,peat_core=debug,peat_store=debug,peat_wasm=debug".to_owned(),
    };
    let filter = EnvFilter::try_new(&directives)
        .map_err(|error| Failure::InvalidInput(format!("environment variable PEAT_LOG: {error}")))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    Ok(())
}
