//! Making native code, and loading it.

use peat_core::ports::ExtensionError;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::sealed_memory::SealedMemory;

/// Native code, to be kept.
#[cfg(feature = "compiler")]
pub(super) fn precompile(engine: &Engine, wasm: &[u8], extension: &str) -> Result<Vec<u8>, ExtensionError> {
    tracing::debug!(extension, bytes = wasm.len(), "compiling");
    engine.precompile_component(wasm).map_err(|error| compile_error(extension, &error))
}

/// A component that is not kept.
#[cfg(feature = "compiler")]
pub(super) fn compile(engine: &Engine, wasm: &[u8], extension: &str) -> Result<Component, ExtensionError> {
    Component::from_binary(engine, wasm).map_err(|error| compile_error(extension, &error))
}

#[cfg(not(feature = "compiler"))]
pub(super) fn precompile(_: &Engine, _: &[u8], extension: &str) -> Result<Vec<u8>, ExtensionError> {
    Err(ExtensionError::Compile { extension: extension.to_owned(), reason: "this build has no compiler".to_owned() })
}

#[cfg(not(feature = "compiler"))]
pub(super) fn compile(engine: &Engine, wasm: &[u8], extension: &str) -> Result<Component, ExtensionError> {
    precompile(engine, wasm, extension).and_then(|native| deserialize(engine, &native, extension))
}

fn compile_error(extension: &str, error: &wasmtime::Error) -> ExtensionError {
    ExtensionError::Compile { extension: extension.to_owned(), reason: crate::failure::one_line(error) }
}

/// The component that native code is of.
pub(super) fn deserialize(engine: &Engine, native: &[u8], extension: &str) -> Result<Component, ExtensionError> {
    // SAFETY: `native` was either made by `precompile` of this process a moment ago, or its SHA-256 is vouched for by a
    // record that carries a MAC under this user's own key, which only this user can read and which lies outside the
    // cache. The bytes verified are the bytes loaded; wasmtime copies them into memory of its own.
    unsafe { Component::deserialize(engine, native) }.map_err(|error| compile_error(extension, &error))
}

/// The component that native code is of. It stays where it is, and is there for as long as the component is.
pub(super) fn map(engine: &Engine, native: &SealedMemory) -> wasmtime::Result<Component> {
    // SAFETY: as above, and nobody can change the memory any more, this process included.
    unsafe { Component::deserialize_file(engine, native.path()) }
}
