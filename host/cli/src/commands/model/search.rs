//! `peat model type search`.

use serde_json::json;

use super::{catalogue_here, type_json};
use crate::composition::{CatalogueEntry, Context};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone};

/// Lists the types that contain every word. Reads the extension index, no component.
pub(super) fn search(context: &Context, words: &[String]) -> Result<Answer, Failure> {
    let (entries, failures) = catalogue_here(context)?.all();
    for failure in &failures {
        context.screen.warn(&failure.to_string());
    }
    let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let found: Vec<&CatalogueEntry> = entries.iter().filter(|entry| contains_all(entry, &words)).collect();
    let mut page = Page::default();
    if found.is_empty() {
        page.hint(format!("none of {} model types contains these words", entries.len()));
    } else {
        let mut table = Table::new(&["TYPE", "PROVIDER", "SUMMARY"]);
        for entry in &found {
            table.row(vec![
                Cell::toned(entry.model_type.name.as_str(), Tone::Strong),
                Cell::plain(entry.provider.name()),
                Cell::plain(&entry.model_type.summary),
            ]);
        }
        page.table(table);
    }
    let unavailable: Vec<String> = failures.iter().map(ToString::to_string).collect();
    // Hundreds of schemas are copied only for who wants to read them.
    let types: Vec<_> = if context.screen.is_json() { found.into_iter().map(type_json).collect() } else { Vec::new() };
    Ok(Answer::new(json!({ "types": types, "unavailable": unavailable }), page))
}

fn contains_all(entry: &CatalogueEntry, words: &[String]) -> bool {
    let model_type = &entry.model_type;
    let mut text = format!("{} {}", model_type.name, model_type.summary);
    for method in &model_type.methods {
        text.push_str(&format!(" {} {}", method.name, method.summary));
    }
    let text = text.to_lowercase();
    words.iter().all(|word| text.contains(word))
}
