//! `peat model type search`.

use serde_json::json;

use super::{catalogue_here, type_json};
use crate::composition::{Context, ListedType};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone};

/// Lists the types that contain every word. Reads the extension index, no component.
pub(super) fn search(context: &Context, words: &[String]) -> Result<Answer, Failure> {
    let mut catalogue = catalogue_here(context)?;
    let (listed, failures) = catalogue.list();
    for failure in &failures {
        context.screen.warn(&failure.to_string());
    }
    let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let found: Vec<_> = listed.iter().filter(|(listed, _)| contains_all(listed, &words)).collect();
    let mut page = Page::default();
    if found.is_empty() {
        page.hint(format!("none of {} model types contains these words", listed.len()));
    } else {
        let mut table = Table::new(&["TYPE", "PROVIDER", "SUMMARY"]);
        for (listed, provider) in &found {
            table.row(vec![
                Cell::toned(listed.name.as_str(), Tone::Strong),
                Cell::plain(provider),
                Cell::plain(&listed.summary),
            ]);
        }
        page.table(table);
    }
    let unavailable: Vec<String> = failures.iter().map(ToString::to_string).collect();
    // Schemas are read only for who wants to read them.
    let mut types = Vec::new();
    if context.screen.is_json() {
        for (listed, _) in found {
            types.push(type_json(&catalogue.get(&listed.name)?));
        }
    }
    Ok(Answer::new(json!({ "types": types, "unavailable": unavailable }), page))
}

fn contains_all(listed: &ListedType, words: &[String]) -> bool {
    if words.is_empty() {
        return true;
    }
    let mut text = format!("{} {}", listed.name, listed.summary);
    for method in &listed.methods {
        text.push_str(&format!(" {} {}", method.name, method.summary));
    }
    let text = text.to_lowercase();
    words.iter().all(|word| text.contains(word))
}
