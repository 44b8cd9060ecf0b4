//! What a listing shows of an extension: read from its line of the index, without schemas.

use peat_core::identifiers::{MethodName, ModelTypeName};
use peat_core::metadata::ModelType;
use serde::Deserialize;

/// A model type as a listing shows it: without its schemas.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ListedType {
    /// Its name.
    pub(crate) name: ModelTypeName,
    /// What it is.
    pub(crate) summary: String,
    /// Its methods.
    pub(crate) methods: Vec<ListedMethod>,
}

/// A method as a listing knows it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ListedMethod {
    /// Its name.
    pub(crate) name: MethodName,
    /// What it does.
    pub(crate) summary: String,
}

impl ListedType {
    /// Of a type.
    pub(crate) fn of(model_type: &ModelType) -> Self {
        let methods = model_type.methods.iter();
        Self {
            name: model_type.name.clone(),
            summary: model_type.summary.clone(),
            methods: methods
                .map(|method| ListedMethod { name: method.name.clone(), summary: method.summary.clone() })
                .collect(),
        }
    }
}

/// What a listing reads of the metadata of an extension.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    #[serde(default)]
    pub(super) models: Vec<ListedType>,
}
