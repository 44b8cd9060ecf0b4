//! `peat extension list`.

use serde_json::json;

use super::{extension_json, provides};
use crate::composition::{Context, Extensions};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone};

/// Lists the extensions of `peat.lock`. Reads the index, and looks whether each component is there.
pub(super) fn list(context: &Context) -> Result<Answer, Failure> {
    let repository = context.repository()?;
    let all = Extensions::open(&repository, &context.home()?).all();
    let mut page = Page::default();
    let mut table = Table::new(&["EXTENSION", "VERSION", "PROVIDES"]);
    let mut json = Vec::new();
    for (locked, installed) in &all {
        let name = Cell::toned(locked.name.as_str(), Tone::Strong);
        let version = Cell::plain(&locked.version);
        match installed {
            Ok(installed) => {
                table.row(vec![name, version, Cell::plain(provides(&installed.metadata))]);
                let mut entry = extension_json(locked, &installed.metadata, &repository.grants(&locked.name));
                entry["usable"] = json!(true);
                json.push(entry);
            }
            Err(failure) => {
                table.row(vec![name, version, Cell::toned("not usable", Tone::Bad)]);
                context.screen.warn(&failure.to_string());
                json.push(json!({
                    "name": locked.name,
                    "version": locked.version,
                    "sha256": locked.digest,
                    "size": locked.size,
                    "source": locked.source,
                    "usable": false,
                    "reason": failure.to_string(),
                }));
            }
        }
    }
    if all.is_empty() {
        page.hint("there is no extension yet; install one with `peat extension add FILE`");
    } else {
        page.table(table);
    }
    Ok(Answer::new(json!({ "extensions": json }), page))
}
