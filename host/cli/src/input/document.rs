//! Arguments from a file or from stdin.

use std::io::Read as _;
use std::path::Path;

use peat_core::repository::DOCUMENT_BYTES_MAX;
use serde_json::{Map, Value};

use crate::composition::read_bounded;
use crate::failure::Failure;

/// Reads a JSON or YAML object from a file, or from stdin where the path is `-`.
pub(crate) fn read_document(path: &Path) -> Result<Map<String, Value>, Failure> {
    let bytes = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let limit = DOCUMENT_BYTES_MAX as u64 + 1;
        std::io::stdin()
            .lock()
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::file("read", path, error))?;
        bytes
    } else {
        read_bounded(path, DOCUMENT_BYTES_MAX as u64)?
    };
    parse(&path.display().to_string(), &bytes)
}

fn parse(path: &str, bytes: &[u8]) -> Result<Map<String, Value>, Failure> {
    let wrong = |reason: String| Failure::InvalidInput(format!("{path}: {reason}"));
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(wrong(format!("more than the {DOCUMENT_BYTES_MAX} bytes allowed")));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| wrong(format!("it is not UTF-8 ({error})")))?;
    match serde_saphyr::from_str(text).map_err(|error| wrong(error.to_string()))? {
        Value::Object(object) => Ok(object),
        _ => Err(wrong("write an object of names and values, as JSON or YAML".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_and_yaml_objects_are_read_and_nothing_else() {
        for text in ["{\"tries\": 3, \"url\": \"yes\"}", "tries: 3\nurl: \"yes\"\n"] {
            assert_eq!(Value::Object(parse("-", text.as_bytes()).unwrap()), json!({ "tries": 3, "url": "yes" }));
        }
        for bad in [&b"[1]"[..], b"\xff", b"{", b"just text"] {
            assert!(parse("-", bad).is_err(), "{bad:?}");
        }
    }
}
