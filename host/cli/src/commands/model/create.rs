//! `peat model create`.

use peat_core::identifiers::ModelId;
use peat_core::repository::Model;
use serde_json::{Map, Value, json};

use super::{catalogue_of, model_json};
use crate::arguments::ModelCreate;
use crate::composition::{Context, ModelFile, new_id};
use crate::failure::Failure;
use crate::input::assign;
use crate::rendering::{Answer, Page};

/// Writes the definition of a new model.
pub(super) fn create(context: &Context, arguments: &ModelCreate) -> Result<Answer, Failure> {
    let repository = context.repository()?;
    let models = repository.models()?;
    let entry = catalogue_of(context, &repository)?.get(&arguments.model_type)?;
    let mut values = Map::new();
    assign(&mut values, &arguments.arguments, &entry.model_type.arguments, "--argument")?;
    let values = Value::Object(values);
    entry.check_model(&values).map_err(|violations| {
        let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
        Failure::InvalidInput(format!(
            "the arguments do not fit type {}: {}; `peat model type describe {}` shows them",
            arguments.model_type,
            lines.join("; "),
            arguments.model_type
        ))
    })?;
    for read in &arguments.reads {
        models.get(read)?;
    }
    let model = Model {
        id: ModelId::parse(&new_id())?,
        name: arguments.name.clone(),
        model_type: arguments.model_type.clone(),
        arguments: values,
        reads: arguments.reads.clone(),
        driver: None,
        retention: Default::default(),
    };
    let path = models.create(&model)?;
    let method = entry.model_type.methods.first().map_or("METHOD", |method| method.name.as_str());
    let mut page = Page::default();
    page.line(format!("created model {} in {path}", model.name));
    page.hint(format!("next: peat model method run {} {method}", model.name));
    Ok(Answer::new(json!({ "model": model_json(&ModelFile { model, path }) }), page))
}
