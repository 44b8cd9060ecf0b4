//! Small files that pretend to be huge: nested, multiplied, of more names than there can be.

use std::fmt::Write as _;

use wasm_encoder::{Component, ComponentSection as _, NestedComponentSection};

use crate::dummy::with_metadata;
use crate::metadata::{MODEL_METADATA, model_without_metadata};

/// Components inside of each other: deeper than anything that could be meant.
const NESTING: usize = 5000;

/// How often each component of a chain instantiates the next one, and how long the chain is: 8^12 instances.
const MULTIPLIER: usize = 8;
const CHAIN: usize = 12;

/// More names than a host looks at.
const NAMES: usize = 1001;

/// Lists of lists of lists: deeper than a type may be.
const TYPE_NESTING: usize = 5000;

/// A model inside of which components lie in components.
pub fn component_of_nested_components() -> Vec<u8> {
    let mut nested = Component::new();
    for _ in 0..NESTING {
        let mut outer = Component::new();
        outer.section(&NestedComponentSection(&nested));
        nested = outer;
    }
    let mut model = model_without_metadata();
    NestedComponentSection(&nested).append_to_component(&mut model);
    with_metadata(model, MODEL_METADATA.as_bytes())
}

/// A model of a few hundred bytes that instantiates sixty thousand million components, each of which is empty.
pub fn component_that_multiplies() -> Vec<u8> {
    let mut chain = "(component $c)".to_owned();
    for _ in 0..CHAIN {
        chain = format!("(component $c {chain} {})", "(instance (instantiate $c))".repeat(MULTIPLIER));
    }
    model_with(&format!("{chain} (instance (instantiate $c))"))
}

/// A model with a type nested deeper than types may be.
pub fn model_with_nested_types() -> Vec<u8> {
    let mut text = "(type $t0 (list u8))".to_owned();
    for depth in 1..TYPE_NESTING {
        let _ = write!(text, "(type $t{depth} (list $t{}))", depth - 1);
    }
    model_with(&text)
}

/// A model that imports more names than a host looks at.
pub fn model_with_many_imports() -> Vec<u8> {
    let mut text = String::new();
    for number in 0..NAMES {
        let _ = write!(text, "(import \"acme:cloud/part-{number}@1.0.0\" (instance))");
    }
    model_with(&text)
}

/// A component with these items that exports what a model must by name, and with metadata of a model.
fn model_with(items: &str) -> Vec<u8> {
    let exports = r#"(instance $methods) (export "peat:model/methods@0.1.0" (instance $methods))"#;
    let component = wat::parse_str(format!("(component {items} {exports})")).expect("the generated text is sound");
    with_metadata(component, MODEL_METADATA.as_bytes())
}
