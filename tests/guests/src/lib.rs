//! Guests with structural defects, made in memory, and guests of a standard library: bytes for host tests.
//!
//! What needs logic is a crate of its own beside this one (`empty`, `misbehaving`, `minimal_datastore`,
//! `misbehaving_datastore`), built by `cargo xtask guests`. Deliberately absent here: anything that
//! runs. The functions of dummy components trap when called.

mod dummy;
mod exports;
mod imports;
mod malformed;
mod metadata;
mod standard_library;

pub use dummy::{component, with_metadata};
pub use exports::{
    datastore_claiming_locks, datastore_without_sync, model_of_another_type, model_without_methods, sound_datastore,
    sound_model,
};
pub use imports::model_importing;
pub use malformed::{core_module, empty_component, not_wasm, truncated};
pub use metadata::{
    MODEL_METADATA, metadata_naming_a_method_twice, metadata_of_another_format, metadata_that_is_no_json,
    metadata_too_large, metadata_with_an_unknown_key, model_with_metadata, model_with_two_metadata_sections,
    model_without_metadata,
};
pub use standard_library::{STANDARD_OUTPUT_LINE, standard_library_model};
