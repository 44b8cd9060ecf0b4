//! Files that are no component, or only a part of one.

use crate::exports::sound_model;

/// Text, with a wasm name.
pub fn not_wasm() -> Vec<u8> {
    b"#!/bin/sh\necho I am no component\n".to_vec()
}

/// A sound core module that nobody made a component of.
pub fn core_module() -> Vec<u8> {
    wat::parse_str(r#"(module (func (export "run")))"#).expect("the text is sound")
}

/// A component without imports, exports or metadata.
pub fn empty_component() -> Vec<u8> {
    wat::parse_str("(component)").expect("the text is sound")
}

/// The first half of a sound model, as an interrupted download leaves it.
pub fn truncated() -> Vec<u8> {
    let mut component = sound_model();
    component.truncate(component.len() / 2);
    component
}
