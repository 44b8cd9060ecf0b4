//! Guest SDK: what a Rust author needs to write an extension, and nothing of the host.
//!
//! - A model extension is async functions plus [`export_model!`], which also writes the metadata section.
//! - A datastore extension implements the traits of [`datastore`] plus [`export_datastore!`].
//!
//! Deliberately absent: an executor (the host polls), a file system, sockets, threads, and clocks other than
//! [`clock`]: a guest has nothing that the host did not give it. Compiled for another target than wasm the crate builds
//! and its pure parts can be tested; calling the host panics there.

pub mod bindings;
pub mod clock;
pub mod config;
pub mod content;
pub mod data;
pub mod datastore;
pub mod error;
pub mod files;
pub mod log;
pub mod metadata;
pub mod model;
pub mod progress;
pub mod random;
pub mod secrets;

pub use bindings::host::peat::host::errors::{Error, ErrorKind};
pub use model::{Failure, Run};

/// What most model extensions import.
pub mod prelude {
    pub use crate::content::Blob;
    pub use crate::{Error, ErrorKind, Failure, Run, debug, error, export_model, info, trace, warn};
    pub use crate::{data, files, progress};
    pub use serde::{Deserialize, Serialize};
}

// For the macros.
#[doc(hidden)]
pub use serde;
#[doc(hidden)]
pub use serde_json;
#[doc(hidden)]
pub use wit_bindgen;
