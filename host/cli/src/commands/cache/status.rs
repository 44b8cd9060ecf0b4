//! `peat cache status`.

use serde_json::json;

use super::{cache, called, names, unreadable};
use crate::composition::{ArtifactCache, Context};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone, short_size, timestamp};

/// Lists what is kept, what was used last first.
pub(super) fn status(context: &Context) -> Result<Answer, Failure> {
    let (home, cache) = cache(context)?;
    let engine = ArtifactCache::current_engine().map_err(|error| Failure::Internal(error.to_string()))?;
    let quick = ArtifactCache::quick_engine().map_err(|error| Failure::Internal(error.to_string()))?;
    let key = cache.current_key();
    let artifacts = cache.artifacts().map_err(|error| unreadable(&home, error))?;
    let names = names(context);
    let bytes: u64 = artifacts.iter().map(|artifact| artifact.bytes).sum();
    let mut table = Table::new(&["EXTENSION", "SIZE", "USED", ""]);
    let mut json = Vec::new();
    for artifact in &artifacts {
        let state = if key.as_ref() != Some(&artifact.key) {
            "other-key"
        } else if artifact.engine != engine && artifact.engine != quick {
            "other-engine"
        } else if !artifact.usable {
            "set-aside"
        } else if artifact.engine == quick {
            "quick"
        } else {
            "usable"
        };
        let notes = [(state != "usable").then_some(state), artifact.bundled.then_some("bundle")];
        table.row(vec![
            Cell::toned(called(&artifact.component, &names), Tone::Strong),
            Cell::number(short_size(artifact.bytes)),
            Cell::plain(timestamp(artifact.used_ms)),
            Cell::toned(notes.into_iter().flatten().collect::<Vec<_>>().join(", "), Tone::Quiet),
        ]);
        json.push(json!({
            "sha256": artifact.component,
            "extension": names.get(&artifact.component),
            "engine": artifact.engine,
            "key": artifact.key,
            "bytes": artifact.bytes,
            "bundle": artifact.bundled,
            "usedAt": timestamp(artifact.used_ms),
            "state": state,
        }));
    }
    let mut page = Page::default();
    if !artifacts.is_empty() {
        page.table(table);
    }
    page.line(format!("{} of {} in {}", short_size(bytes), short_size(home.cache_bytes_max()), home.cache().display()));
    let json = json!({ "cache": {
        "directory": home.cache(), "bytes": bytes, "bytesMax": home.cache_bytes_max(), "engine": engine, "key": key,
        "artifacts": json,
    } });
    Ok(Answer::new(json, page))
}
