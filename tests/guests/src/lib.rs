//! Guests that are made in memory, as bytes for tests: with structural defects, hostile ones of text (`hostile/`), and one
//! of a standard library.
//!
//! What needs more logic is a crate of its own beside this one (`empty`, `thorough`, `misbehaving`, `minimal_datastore`,
//! `misbehaving_datastore`), built by `cargo xtask guests`. Deliberately absent here: anything that runs a guest.

mod dummy;
mod exports;
mod hostile;
mod imports;
mod malformed;
mod metadata;
mod oversized;
mod standard_library;
pub mod text;

pub use dummy::{component, with_metadata};
pub use exports::{
    datastore_claiming_locks, datastore_without_sync, model_of_another_type, model_without_methods, sound_datastore,
    sound_model,
};
pub use hostile::{Ends, HOSTILE, Hostile};
pub use imports::model_importing;
pub use malformed::{core_module, empty_component, not_wasm, truncated};
pub use metadata::{
    MODEL_METADATA, metadata_naming_a_method_twice, metadata_nested_deep, metadata_of_another_format,
    metadata_that_is_no_json, metadata_too_large, metadata_with_an_unknown_key, model_with_metadata,
    model_with_two_metadata_sections, model_without_metadata,
};
pub use oversized::{
    component_of_nested_components, component_that_multiplies, model_with_many_imports, model_with_nested_types,
};
pub use standard_library::{STANDARD_OUTPUT_LINE, standard_library_model};
