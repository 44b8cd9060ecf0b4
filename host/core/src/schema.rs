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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn violations_name_place_and_reason() {
        let schema = json!({
            "type": "object", "required": ["path"], "additionalProperties": false,
            "properties": { "path": { "type": "string" }, "top": { "type": "integer", "minimum": 1 } }
        });
        assert_eq!(validate(&schema, &json!({ "path": "a", "top": 3 })), Ok(()));
        let violations = validate(&schema, &json!({ "top": 0, "tpo": 1 })).unwrap_err();
        let text = violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        for word in ["/top", "path", "tpo"] {
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn a_flood_of_violations_is_bounded() {
        let schema = json!({ "type": "array", "items": { "type": "string" } });
        let value = Value::Array(vec![json!(1); 1000]);
        assert_eq!(validate(&schema, &value).unwrap_err().len(), VIOLATIONS_MAX);
    }

    #[test]
    fn a_schema_reaches_nothing_outside() {
        for outside in ["http://localhost:1/schema.json", "file:///etc/passwd", "other.json"] {
            assert!(check(&json!({ "$ref": outside })).is_err(), "{outside}");
        }
        assert!(check(&json!({ "type": 7 })).is_err());
        assert!(check(&json!(true)).is_err());
    }
}
