//! `models/*.yaml`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ConfigError, DriverChoice, ModelRetention, parse_yaml};
use crate::identifiers::{ModelId, ModelName, ModelTypeName, PartitionName};

/// A model: a definition of one model type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Model {
    /// Stable identity: data stays with it when the model is renamed.
    pub id: ModelId,
    /// Unique in the repository; the file is named after it.
    pub name: ModelName,
    /// Its type.
    #[serde(rename = "type")]
    pub model_type: ModelTypeName,
    /// Arguments of every method run of this model, by the type's schema.
    #[serde(default = "empty_object")]
    pub arguments: Value,
    /// Other models whose data its methods may read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<ModelName>,
    /// Where its methods run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<DriverChoice>,
    /// How long its data is kept.
    #[serde(default, skip_serializing_if = "ModelRetention::is_default")]
    pub retention: ModelRetention,
}

impl Model {
    /// Reads the text of a model definition; `path` is for messages.
    pub fn parse(path: &str, text: &str) -> Result<Self, ConfigError> {
        let model: Self = parse_yaml(path, text)?;
        if !model.arguments.is_object() {
            return Err(ConfigError {
                path: path.to_owned(),
                reason: "arguments: write a mapping of names to values".to_owned(),
            });
        }
        Ok(model)
    }

    /// The text of its file.
    pub fn to_yaml(&self) -> Result<String, ConfigError> {
        serde_saphyr::to_string(self)
            .map_err(|error| ConfigError { path: format!("models/{}.yaml", self.name), reason: error.to_string() })
    }

    /// Where its data lives.
    pub fn partition(&self) -> PartitionName {
        PartitionName::of_model(&self.model_type, &self.id)
    }
}

fn empty_object() -> Value {
    Value::Object(serde_json::Map::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_reads_back_what_it_writes() {
        let text = "id: 0a1b2c3d4e5f\nname: web\ntype: \"@acme/http-check\"\narguments:\n  url: \"yes\"\n  tries: 3\n";
        let model = Model::parse("models/web.yaml", text).unwrap();
        assert_eq!(Model::parse("models/web.yaml", &model.to_yaml().unwrap()).unwrap(), model);
        assert_eq!(model.arguments["url"], "yes");
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_refused() {
        for (rest, word) in
            [("colour: red\n", "colour"), ("arguments: [1]\n", "arguments"), ("driver: moon\n", "driver")]
        {
            let text = format!("id: 0a1b2c3d4e5f\nname: web\ntype: command/shell\n{rest}");
            let error = Model::parse("models/web.yaml", &text).unwrap_err().to_string();
            assert!(error.contains("models/web.yaml") && (error.contains(word) || error.contains("moon")), "{error}");
        }
    }
}
