//! Arguments against JSON Schema.

use jsonschema::Validator;
use serde_json::Value;

/// Largest number of violations that are reported at once.
const VIOLATIONS_MAX: usize = 8;

/// One place where a value does not fit its schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct Violation {
    /// Path inside the value, such as `/limits/0`; `/` for the whole.
    pub place: String,
    /// What is wrong.
    pub reason: String,
}

/// Whether `schema` is one: an object of JSON Schema (draft 2020-12 unless it says otherwise) that resolves nothing from
/// outside.
pub fn check(schema: &Value) -> Result<(), String> {
    if !schema.is_object() {
        return Err("a schema is a JSON object".to_owned());
    }
    compile(schema).map(drop)
}

/// Validates `value`. An unusable schema is one violation at its root.
pub fn validate(schema: &Value, value: &Value) -> Result<(), Vec<Violation>> {
    let validator = compile(schema).map_err(|reason| vec![Violation { place: "schema".to_owned(), reason }])?;
    let violations: Vec<Violation> = validator
        .iter_errors(value)
        .take(VIOLATIONS_MAX)
        .map(|error| {
            let place = error.instance_path().to_string();
            Violation { place: if place.is_empty() { "/".to_owned() } else { place }, reason: error.to_string() }
        })
        .collect();
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::options().build(schema).map_err(|error| error.to_string())
}
