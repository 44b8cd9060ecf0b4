//! The metadata of `command/shell`, as an extension would carry it.

use peat_core::metadata::ModelType;
use serde_json::json;

/// Name of the type.
pub(super) const NAME: &str = "command/shell";

/// Largest command, in bytes: what Linux takes as one argument.
const RUN_BYTES_MAX: usize = 128 * 1024 - 1;

/// The type with its one method, `execute`.
pub(crate) fn shell_type() -> ModelType {
    let arguments = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "run": {
                "type": "string",
                "minLength": 1,
                "maxLength": RUN_BYTES_MAX,
                "description": "What /bin/sh runs"
            },
            "workingDirectory": {
                "type": "string",
                "description": "Where it runs, relative to the repository and inside it"
            },
            "environment": {
                "type": "array",
                "items": { "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" },
                "maxItems": 100,
                "description": "Names of variables passed through; nothing else is inherited but PATH"
            },
            "timeout": {
                "type": "string",
                "description": "How long it may take, such as 90s or 10m; not longer than the run may"
            }
        }
    });
    let description = json!({
        "name": NAME,
        "summary": "Runs a shell command; its output becomes data",
        "arguments": arguments,
        "methods": [{
            "name": "execute",
            "summary": "Runs the command; fails when its exit status is not 0",
            "arguments": arguments,
            "writes": [
                { "name": "stdout", "summary": "What it printed" },
                { "name": "result", "summary": "Exit status and size of the output, as JSON" }
            ]
        }]
    });
    serde_json::from_value(description).expect("the description is a constant and has the shape of a model type")
}

#[cfg(test)]
mod tests {
    use peat_core::schema;

    use super::*;

    #[test]
    fn its_schemas_are_usable() {
        let shell = shell_type();
        schema::check(&shell.arguments).unwrap();
        schema::check(&shell.methods[0].arguments).unwrap();
        let validate = |value| schema::validate(&shell.arguments, &value);
        assert!(validate(json!({ "run": "true", "environment": ["HOME"] })).is_ok());
        assert!(validate(json!({ "run": "true", "environment": ["A=B"] })).is_err());
        assert!(validate(json!({ "rum": "true" })).is_err());
    }
}
