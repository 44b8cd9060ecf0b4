//! The metadata that every extension carries in its custom section `peat-extension`: JSON, format 1.
//!
//! It says everything that can be known of an extension without compiling it. Parsing is strict: an unknown key is an
//! error, because a key that an older host skipped in silence could be a restriction.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::identifiers::{ExtensionName, MethodName, ModelTypeName};
use crate::repository::{Driver, Kept, Retention};

/// Name of the custom section.
pub const SECTION: &str = "peat-extension";

/// Largest metadata, in bytes: generous for hundreds of methods, small enough to read for a listing.
pub const METADATA_BYTES_MAX: usize = 256 * 1024;

/// Format of the metadata this build reads and writes.
pub const FORMAT: u32 = 1;

/// Most methods over all types of one extension.
pub const METHODS_MAX: usize = 256;

/// What an extension says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Format of this metadata: 1.
    pub format: u32,
    /// `@scope/name`.
    pub name: ExtensionName,
    /// Semantic version of the extension.
    pub version: String,
    /// One line for listings.
    pub summary: String,
    /// What it provides.
    #[serde(flatten)]
    pub kind: Kind,
    /// Imports that the operator must grant before it can be installed: `files`, `secrets`, `bucket`, `directory`, …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wants: Vec<Want>,
}

/// What an extension provides. Exactly one of the two keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Model types.
    Models(Vec<ModelType>),
    /// A datastore.
    Datastore(DatastoreType),
}

/// A grant that an extension cannot do without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Want {
    /// Interface of `peat:host`: `files`, `secrets`, `bucket` or `directory`.
    pub capability: String,
    /// What it is for, for the operator who decides.
    pub reason: String,
}

/// A model type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelType {
    /// Its name: the extension's, or the extension's with one more word.
    pub name: ModelTypeName,
    /// One line for listings.
    pub summary: String,
    /// JSON Schema of a model's arguments.
    #[serde(default = "any_object")]
    pub arguments: Value,
    /// Its methods.
    pub methods: Vec<Method>,
    /// Where its methods run, unless the operator says otherwise: `process` or `container`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<Driver>,
}

/// A method of a model type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Method {
    /// Its name.
    pub name: MethodName,
    /// One line for listings.
    pub summary: String,
    /// JSON Schema of a run's arguments.
    #[serde(default = "any_object")]
    pub arguments: Value,
    /// Data items it writes, for documentation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<DataDeclaration>,
}

/// A data item that a method writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DataDeclaration {
    /// Its name, perhaps with `*` for a varying segment.
    pub name: String,
    /// What it holds.
    pub summary: String,
    /// How long a version is kept, unless the method or the operator says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Kept>,
    /// How many versions are kept, unless the operator says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<NonZeroU32>,
}

impl DataDeclaration {
    /// How long and how many.
    pub fn retention(&self) -> Retention {
        Retention { lifetime: self.lifetime, versions: self.versions }
    }
}

/// A datastore.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DatastoreType {
    /// JSON Schema of its settings in `peat.yaml`.
    #[serde(default = "any_object")]
    pub settings: Value,
    /// Optional interfaces it implements: `locks`, `hydration`, `maintenance`, `namespaces`.
    #[serde(default)]
    pub features: Vec<String>,
}

fn any_object() -> Value {
    serde_json::json!({ "type": "object" })
}

/// Metadata that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// More bytes than allowed.
    #[error("its metadata has {found} bytes, more than the {METADATA_BYTES_MAX} allowed")]
    TooLarge {
        /// Its size.
        found: usize,
    },
    /// Not JSON of this shape.
    #[error("its metadata does not parse: {0}")]
    Syntax(String),
    /// Another format.
    #[error("its metadata has format {found}, this peat reads format {FORMAT}; use a peat that fits the extension")]
    Format {
        /// The format found.
        found: u64,
    },
    /// A rule of the metadata is broken.
    #[error("its metadata is wrong at {place}: {rule}")]
    Rule {
        /// Where.
        place: String,
        /// Which rule, and the remedy.
        rule: String,
    },
}

impl Metadata {
    /// Reads and checks the bytes of the custom section.
    pub fn parse(bytes: &[u8]) -> Result<Self, MetadataError> {
        if bytes.len() > METADATA_BYTES_MAX {
            return Err(MetadataError::TooLarge { found: bytes.len() });
        }
        let syntax = |error: serde_json::Error| MetadataError::Syntax(error.to_string());
        let value: Value = serde_json::from_slice(bytes).map_err(syntax)?;
        let format = value.get("format").and_then(Value::as_u64).unwrap_or(0);
        if format != u64::from(FORMAT) {
            return Err(MetadataError::Format { found: format });
        }
        let metadata: Self = serde_json::from_value(value).map_err(syntax)?;
        metadata.check()?;
        Ok(metadata)
    }

    /// Its model types; none for a datastore.
    pub fn model_types(&self) -> &[ModelType] {
        match &self.kind {
            Kind::Models(types) => types,
            Kind::Datastore(_) => &[],
        }
    }

    fn check(&self) -> Result<(), MetadataError> {
        let rule = |place: String, rule: &str| Err(MetadataError::Rule { place, rule: rule.to_owned() });
        if self.version.is_empty() || self.version.len() > 64 || !self.version.is_ascii() {
            return rule("version".to_owned(), "write a semantic version such as 1.2.0");
        }
        for want in &self.wants {
            let known = ["files", "secrets", "bucket", "directory"];
            if !known.contains(&want.capability.as_str()) {
                return rule(format!("wants[{:?}]", want.capability), &format!("known are {}", known.join(", ")));
            }
        }
        match &self.kind {
            Kind::Models(types) => self.check_types(types),
            Kind::Datastore(datastore) => {
                let known = ["locks", "hydration", "maintenance", "namespaces"];
                match datastore.features.iter().find(|feature| !known.contains(&feature.as_str())) {
                    Some(feature) => rule(format!("features[{feature:?}]"), &format!("known are {}", known.join(", "))),
                    None => crate::schema::check(&datastore.settings)
                        .or_else(|reason| rule("datastore.settings".to_owned(), &reason)),
                }
            }
        }
    }

    fn check_types(&self, types: &[ModelType]) -> Result<(), MetadataError> {
        let rule = |place: String, rule: &str| Err(MetadataError::Rule { place, rule: rule.to_owned() });
        if types.is_empty() {
            return rule("models".to_owned(), "an extension provides at least one model type or a datastore");
        }
        if types.iter().map(|model_type| model_type.methods.len()).sum::<usize>() > METHODS_MAX {
            return rule("models".to_owned(), &format!("at most {METHODS_MAX} methods"));
        }
        let mut names = std::collections::BTreeSet::new();
        for model_type in types {
            let name = model_type.name.as_str();
            let own = self.name.as_str();
            if name != own && name.strip_prefix(own).is_none_or(|rest| !rest.starts_with('/')) {
                return rule(name.to_owned(), &format!("a type of {own} is named {own} or {own}/…"));
            }
            if !names.insert(name) {
                return rule(name.to_owned(), "this type is declared twice");
            }
            if model_type.driver.is_some_and(|driver| driver.is_in_process()) {
                // It would undo what the operator wrote for the whole repository.
                return rule(
                    format!("{name} driver"),
                    "a type asks for more isolation, not less: process or container",
                );
            }
            crate::schema::check(&model_type.arguments).or_else(|reason| rule(format!("{name} arguments"), &reason))?;
            let mut methods = std::collections::BTreeSet::new();
            for method in &model_type.methods {
                if !methods.insert(&method.name) {
                    return rule(format!("{name} {}", method.name), "this method is declared twice");
                }
                crate::schema::check(&method.arguments)
                    .or_else(|reason| rule(format!("{name} {} arguments", method.name), &reason))?;
            }
            if methods.is_empty() {
                return rule(name.to_owned(), "a model type has at least one method");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sound() -> Value {
        json!({
            "format": 1, "name": "@acme/http", "version": "1.2.0", "summary": "HTTP checks",
            "models": [{
                "name": "@acme/http/check", "summary": "Checks a URL", "arguments": { "type": "object" },
                "methods": [{ "name": "probe", "summary": "Asks once", "writes": [{ "name": "answer", "summary": "It" }] }]
            }],
            "wants": [{ "capability": "secrets", "reason": "the token of the service" }]
        })
    }

    fn parse(value: &Value) -> Result<Metadata, MetadataError> {
        Metadata::parse(value.to_string().as_bytes())
    }

    #[test]
    fn sound_metadata_reads_back_what_it_writes() {
        let metadata = parse(&sound()).unwrap();
        assert_eq!(metadata.model_types()[0].methods[0].name.as_str(), "probe");
        assert_eq!(parse(&serde_json::to_value(&metadata).unwrap()).unwrap(), metadata);
    }

    #[test]
    fn a_datastore_has_settings_and_features() {
        let datastore = json!({ "format": 1, "name": "@acme/store", "version": "1.0.0", "summary": "s",
            "datastore": { "settings": { "type": "object" }, "features": ["locks", "hydration"] } });
        assert!(matches!(parse(&datastore).unwrap().kind, Kind::Datastore(_)));
        let mut lying = datastore;
        lying["datastore"]["features"] = json!(["teleport"]);
        assert!(parse(&lying).unwrap_err().to_string().contains("teleport"));
    }

    #[test]
    fn every_broken_rule_is_named() {
        let broken: [(&str, Value, &str); 11] = [
            ("/format", json!(2), "format 2"),
            ("/name", json!("acme"), "@scope/name"),
            ("/version", json!(""), "version"),
            ("/wants/0/capability", json!("root"), "root"),
            ("/models/0/name", json!("@other/http"), "@acme/http"),
            ("/models/0/methods", json!([]), "at least one method"),
            ("/models/0/driver", json!("moon"), "moon"),
            ("/models/0/driver", json!("in-process"), "process or container"),
            ("/models/0/arguments", json!({ "type": 7 }), "arguments"),
            ("/models/0/methods/0/name", json!("../x"), "method name"),
            ("/models", json!([]), "at least one model type"),
        ];
        for (place, value, word) in broken {
            let mut metadata = sound();
            match metadata.pointer_mut(place) {
                Some(known) => *known = value,
                None => metadata["models"][0]["driver"] = value,
            }
            let error = parse(&metadata).unwrap_err().to_string();
            assert!(error.contains(word), "{place}: {error}");
        }
    }

    #[test]
    fn unknown_keys_doubles_and_floods_are_refused() {
        let mut unknown = sound();
        unknown["models"][0]["methods"][0]["sudo"] = json!(true);
        assert!(parse(&unknown).unwrap_err().to_string().contains("sudo"));
        let mut top = sound();
        top["sudo"] = json!(true);
        assert!(parse(&top).is_err(), "an unknown key at the top was accepted");
        let mut both = sound();
        both["datastore"] = json!({});
        assert!(parse(&both).is_err(), "models and datastore at once were accepted");
        let mut twice = sound();
        let method = twice["models"][0]["methods"][0].clone();
        twice["models"][0]["methods"].as_array_mut().unwrap().push(method);
        assert!(parse(&twice).unwrap_err().to_string().contains("twice"));
        assert!(matches!(Metadata::parse(&vec![b' '; METADATA_BYTES_MAX + 1]), Err(MetadataError::TooLarge { .. })));
        assert!(Metadata::parse(b"{").is_err());
        assert!(Metadata::parse("[".repeat(100_000).as_bytes()).is_err());
    }
}
