//! `peat model get`.

use peat_core::identifiers::ModelName;
use peat_core::repository::ResolvedDriver;
use serde_json::{Value, json};

use super::{catalogue_of, methods_table, model_json, type_json};
use crate::composition::Context;
use crate::failure::Failure;
use crate::rendering::{Answer, Page, Table};

/// Shows a model with its type, as far as that can be found.
pub(super) fn get(context: &Context, name: &ModelName) -> Result<Answer, Failure> {
    let repository = context.repository()?;
    let file = repository.model_finder()?.get(name)?;
    let entry = catalogue_of(context, &repository)?.get(&file.model.model_type);
    let of_type = entry.as_ref().ok().and_then(|entry| entry.model_type.driver);
    let driver = ResolvedDriver::of_run(None, file.model.driver.as_ref(), of_type, &repository.config);
    let mut page = Page::default();
    let mut fields = Table::fields();
    fields.field("model", file.model.name.as_str());
    fields.field("id", file.model.id.as_str());
    fields.field("type", file.model.model_type.as_str());
    fields.field("file", &file.path);
    if !file.model.reads.is_empty() {
        let names: Vec<&str> = file.model.reads.iter().map(|name| name.as_str()).collect();
        fields.field("reads", names.join(", "));
    }
    fields.field("driver", format!("{} ({})", driver.driver, driver.source.as_str()));
    page.table(fields);
    if let Some(arguments) = file.model.arguments.as_object().filter(|arguments| !arguments.is_empty()) {
        page.heading("Arguments");
        let mut table = Table::fields();
        for (argument, value) in arguments {
            table.field(argument, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
        page.table(table);
    }
    let model_type = match &entry {
        Ok(entry) => {
            page.heading("Methods");
            page.table(methods_table(&entry.model_type));
            type_json(entry)
        }
        Err(failure) => {
            context.screen.warn(&failure.to_string());
            Value::Null
        }
    };
    let driver = json!({
        "kind": driver.driver,
        "from": driver.source.as_str(),
        "options": serde_json::to_value(&driver.options).unwrap_or_default(),
    });
    Ok(Answer::new(json!({ "model": model_json(&file), "type": model_type, "driver": driver }), page))
}
