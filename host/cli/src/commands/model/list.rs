//! `peat model list`.

use serde_json::json;

use super::model_json;
use crate::composition::Context;
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone};

/// Lists the models, sorted by name.
pub(super) fn list(context: &Context) -> Result<Answer, Failure> {
    let models = context.repository()?.models()?;
    let all = models.all()?;
    let mut page = Page::default();
    if all.is_empty() {
        page.hint("there is no model yet; make one with `peat model create NAME --type TYPE`");
    } else {
        let mut table = Table::new(&["MODEL", "TYPE", "FILE"]);
        for file in all {
            table.row(vec![
                Cell::toned(file.model.name.as_str(), Tone::Strong),
                Cell::plain(file.model.model_type.as_str()),
                Cell::plain(&file.path),
            ]);
        }
        page.table(table);
    }
    let json: Vec<_> = all.iter().map(model_json).collect();
    Ok(Answer::new(json!({ "models": json }), page))
}
