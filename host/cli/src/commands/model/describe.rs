//! `peat model type describe`.

use peat_core::identifiers::ModelTypeName;
use serde_json::json;

use super::{arguments_on, catalogue_here, type_json};
use crate::composition::Context;
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone};

/// Shows everything a type says of itself.
pub(super) fn describe(context: &Context, name: &ModelTypeName) -> Result<Answer, Failure> {
    let entry = catalogue_here(context)?.get(name)?;
    let model_type = &entry.model_type;
    let mut page = Page::default();
    let mut fields = Table::fields();
    fields.field("type", model_type.name.as_str());
    fields.field("summary", &model_type.summary);
    fields.field("provider", entry.provider.name());
    if let Some(driver) = model_type.driver {
        fields.field("driver", driver.as_str());
    }
    page.table(fields);
    arguments_on(&mut page, "Arguments of a model", &model_type.arguments);
    for method in &model_type.methods {
        page.heading(format!("Method {}", method.name));
        page.line(&method.summary);
        arguments_on(&mut page, &format!("Arguments of {}", method.name), &method.arguments);
        if !method.writes.is_empty() {
            page.heading(format!("Data of {}", method.name));
            let mut table = Table::new(&["NAME", "SUMMARY"]);
            for data in &method.writes {
                table.row(vec![Cell::toned(&data.name, Tone::Strong), Cell::plain(&data.summary)]);
            }
            page.table(table);
        }
    }
    Ok(Answer::new(json!({ "type": type_json(&entry) }), page))
}
