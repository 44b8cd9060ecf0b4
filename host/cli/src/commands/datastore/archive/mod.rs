//! `peat datastore export` and `import`: a namespace as one file. The format is in `docs/archives.md`.

mod export;
mod format;
mod import;
mod read;
#[cfg(test)]
mod tests;

use std::path::Path;

pub(super) use export::export;
pub(super) use import::import;

/// The word for stdin and stdout.
const STREAM: &str = "-";

fn is_stream(file: &Path) -> bool {
    file.as_os_str() == STREAM
}
