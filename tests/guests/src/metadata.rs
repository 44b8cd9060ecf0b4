//! Sound models with metadata that is wrong in one point.

use crate::dummy::{component, with_metadata};

/// Metadata without fault.
pub const MODEL_METADATA: &str = r#"{"format":1,"name":"@test/dummy","version":"0.1.0","summary":"Traps",
    "models":[{"name":"@test/dummy","summary":"Traps","methods":[{"name":"nothing","summary":"Traps"}]}]}"#;

/// How many bytes are more than any host reads as metadata.
const TOO_LARGE_BYTES: usize = 300 * 1024;

/// Lists in lists in lists.
const NESTING: usize = 100_000;

/// A sound model with this metadata.
pub fn model_with_metadata(metadata: &[u8]) -> Vec<u8> {
    with_metadata(model_without_metadata(), metadata)
}

/// A sound model that says nothing of itself.
pub fn model_without_metadata() -> Vec<u8> {
    let source = "package test:guest; world guest { export peat:model/methods@0.1.0; }";
    component(&["host", "model"], source, "guest", None)
}

/// A sound model that describes itself twice.
pub fn model_with_two_metadata_sections() -> Vec<u8> {
    with_metadata(model_with_metadata(MODEL_METADATA.as_bytes()), MODEL_METADATA.as_bytes())
}

/// A model whose metadata ends in the middle.
pub fn metadata_that_is_no_json() -> Vec<u8> {
    model_with_metadata(&MODEL_METADATA.as_bytes()[..MODEL_METADATA.len() / 2])
}

/// A model from the future.
pub fn metadata_of_another_format() -> Vec<u8> {
    model_with_metadata(MODEL_METADATA.replace("\"format\":1", "\"format\":2").as_bytes())
}

/// A model with a key that this format does not know.
pub fn metadata_with_an_unknown_key() -> Vec<u8> {
    model_with_metadata(MODEL_METADATA.replace("\"format\":1", "\"format\":1,\"colour\":\"brown\"").as_bytes())
}

/// A model that declares one method two times.
pub fn metadata_naming_a_method_twice() -> Vec<u8> {
    let method = r#"{"name":"nothing","summary":"Traps"}"#;
    model_with_metadata(MODEL_METADATA.replace(method, &format!("{method},{method}")).as_bytes())
}

/// A model whose metadata nests lists deeper than anybody reads, within its size.
pub fn metadata_nested_deep() -> Vec<u8> {
    let nested = format!("{}{}", "[".repeat(NESTING), "]".repeat(NESTING));
    model_with_metadata(MODEL_METADATA.replace("\"format\":1", &format!("\"format\":1,\"deep\":{nested}")).as_bytes())
}

/// A model whose metadata is larger than a host reads.
pub fn metadata_too_large() -> Vec<u8> {
    let summary = "x".repeat(TOO_LARGE_BYTES);
    model_with_metadata(
        MODEL_METADATA.replace("\"summary\":\"Traps\",", &format!("\"summary\":\"{summary}\",")).as_bytes(),
    )
}
