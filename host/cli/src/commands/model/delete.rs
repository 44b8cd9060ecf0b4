//! `peat model delete`.

use peat_core::identifiers::ModelName;
use serde_json::json;

use super::model_json;
use crate::composition::Context;
use crate::failure::Failure;
use crate::rendering::{Answer, Page};

/// Deletes the definition. The data stays: it belongs to the id, and a restored file brings it back.
pub(super) fn delete(context: &Context, name: &ModelName) -> Result<Answer, Failure> {
    let repository = context.repository()?;
    let models = repository.models()?;
    let file = models.get(name)?;
    let readers: Vec<&str> = models
        .files
        .iter()
        .filter(|other| other.model.reads.contains(name))
        .map(|other| other.model.name.as_str())
        .collect();
    if !readers.is_empty() {
        return Err(Failure::InvalidInput(format!(
            "model {name} is read by {}; take it out of their `reads` first",
            readers.join(", ")
        )));
    }
    models.delete(file)?;
    let mut page = Page::default();
    page.line(format!("deleted {}", file.path));
    page.hint(format!("its data stays, under id {}", file.model.id));
    Ok(Answer::new(json!({ "deleted": model_json(file) }), page))
}
