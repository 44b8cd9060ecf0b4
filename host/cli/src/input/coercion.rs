//! `name=value` by JSON Schema: text stays text unless the schema wants something else.
//!
//! A value is read as JSON only where that is of a type the schema wants for it. So `version=1.10` of a string stays
//! `"1.10"`, and `tries=3` of an integer becomes 3. Whether the result fits the schema is decided later, by validation.

use peat_core::schema;
use serde_json::{Map, Value};

use crate::arguments::Assignment;
use crate::failure::Failure;

/// Longest chain of references that is followed: schemas of guests may refer to themselves.
const REFERENCES_MAX: usize = 8;

/// Puts the assignments into `target`, each coerced by its property of `schema`. A name given twice is an error.
pub(crate) fn assign(
    target: &mut Map<String, Value>,
    assignments: &[Assignment],
    schema: &Value,
    option: &str,
) -> Result<(), Failure> {
    let mut seen = std::collections::BTreeSet::new();
    for Assignment { name, value } in assignments {
        if !seen.insert(name) {
            return Err(Failure::InvalidInput(format!("{option} {name} is given twice; give it once")));
        }
        target.insert(name.clone(), coerce(value, property(schema, name), schema));
    }
    Ok(())
}

fn coerce(text: &str, wanted: Option<&Value>, root: &Value) -> Value {
    let string = || Value::String(text.to_owned());
    let Some(wanted) = wanted.and_then(|wanted| resolve(wanted, root)) else { return string() };
    let Ok(json) = serde_json::from_str::<Value>(text) else { return string() };
    match wanted.get("type") {
        Some(types) if allows(types, "string") => string(),
        Some(types) if type_names(&json).iter().any(|name| allows(types, name)) => json,
        Some(_) => string(),
        // Without a type the schema itself decides, and text goes first.
        None if schema::validate(wanted, &string()).is_ok() || schema::validate(wanted, &json).is_err() => string(),
        None => json,
    }
}

fn property<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    let schema = resolve(schema, schema)?;
    schema
        .get("properties")
        .and_then(|properties| properties.get(name))
        .or_else(|| schema.get("additionalProperties").filter(|additional| additional.is_object()))
}

/// Follows references inside the document.
fn resolve<'a>(mut schema: &'a Value, root: &'a Value) -> Option<&'a Value> {
    for _ in 0..REFERENCES_MAX {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => schema = root.pointer(reference.strip_prefix('#')?)?,
            None => return Some(schema),
        }
    }
    None
}

fn allows(types: &Value, name: &str) -> bool {
    match types {
        Value::String(only) => only == name,
        Value::Array(several) => several.iter().any(|one| one == name),
        _ => false,
    }
}

fn type_names(value: &Value) -> &'static [&'static str] {
    match value {
        Value::Null => &["null"],
        Value::Bool(_) => &["boolean"],
        Value::Number(number) if number.is_f64() => &["number"],
        Value::Number(_) => &["number", "integer"],
        Value::String(_) => &["string"],
        Value::Array(_) => &["array"],
        Value::Object(_) => &["object"],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn assigned(schema: &Value, inputs: &[&str]) -> Value {
        let assignments: Vec<Assignment> = inputs.iter().map(|input| input.parse().unwrap()).collect();
        let mut target = Map::new();
        assign(&mut target, &assignments, schema, "--input").unwrap();
        Value::Object(target)
    }

    #[test]
    fn the_schema_decides_what_a_value_is() {
        let schema = json!({
            "type": "object",
            "$defs": { "count": { "type": "integer" } },
            "properties": {
                "version": { "type": "string" },
                "tries": { "$ref": "#/$defs/count" },
                "ratio": { "type": "number" },
                "deep": { "type": ["boolean", "null"] },
                "hosts": { "type": "array" },
                "level": { "enum": [1, 2, "max"] },
                "any": {}
            }
        });
        let inputs =
            ["version=1.10", "tries=3", "ratio=2", "deep=null", "hosts=[\"a\"]", "level=2", "any=true", "unknown=7"];
        assert_eq!(
            assigned(&schema, &inputs),
            json!({
                "version": "1.10", "tries": 3, "ratio": 2, "deep": null, "hosts": ["a"], "level": 2, "any": "true",
                "unknown": "7"
            })
        );
    }

    #[test]
    fn what_is_not_of_the_wanted_type_stays_text_for_validation_to_refuse() {
        let schema = json!({ "properties": { "tries": { "type": "integer" } } });
        assert_eq!(assigned(&schema, &["tries=many"]), json!({ "tries": "many" }));
        assert_eq!(assigned(&schema, &["tries=1.5"]), json!({ "tries": "1.5" }));
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({ "$ref": "#/a", "a": { "$ref": "#/a" } });
        assert_eq!(assigned(&schema, &["x=1"]), json!({ "x": "1" }));
    }

    #[test]
    fn a_name_given_twice_is_refused() {
        let twice = ["a=1".parse().unwrap(), "a=2".parse().unwrap()];
        assert!(assign(&mut Map::new(), &twice, &json!({}), "--input").is_err());
    }
}
