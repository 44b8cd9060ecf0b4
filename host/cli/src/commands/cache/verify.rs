//! `peat cache verify`.

use serde_json::json;

use super::{cache, called, names, unreadable};
use crate::composition::Context;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, error_json};
use crate::rendering::{Answer, Page, Tone};

/// Checks everything that is kept and that this user's key vouches for. What does not fit is set aside, so that nothing loads it, and is an error: somebody
/// or something has written into this user's cache.
pub(super) fn verify(context: &Context) -> Result<Answer, Failure> {
    let (home, cache) = cache(context)?;
    let rejected = cache.verify().map_err(|error| unreadable(&home, error))?;
    let kept = cache.artifacts().map_err(|error| unreadable(&home, error))?;
    let key = cache.current_key();
    let (own, others): (Vec<_>, Vec<_>) = kept.iter().partition(|artifact| key.as_ref() == Some(&artifact.key));
    let usable = own.iter().filter(|artifact| artifact.usable).count();
    let names = names(context);
    let mut page = Page::default();
    let mut json = Vec::new();
    for artifact in &rejected {
        page.text_line(format!("{}: {}", called(&artifact.component, &names), artifact.reason), Tone::Bad);
        json.push(json!({ "sha256": artifact.component, "engine": artifact.engine, "reason": artifact.reason }));
    }
    if rejected.is_empty() {
        page.text_line(format!("{usable} compiled extensions are what was made here"), Tone::Good);
    }
    if !others.is_empty() {
        let only = "only the PEAT_HOME that made them can check them";
        page.text_line(format!("{} are vouched for by another key; {only}", others.len()), Tone::Quiet);
    }
    let mut json = json!({ "cache": {
        "directory": home.cache(), "usable": usable, "otherKey": others.len(), "rejected": json,
    } });
    if rejected.is_empty() {
        return Ok(Answer::new(json, page));
    }
    let complaint = format!(
        "{} of the compiled extensions in {} were not what was made here; they are set aside and will be compiled again",
        rejected.len(),
        home.cache().display()
    );
    json["error"] = error_json(ExitCode::Corrupt, &complaint)["error"].take();
    Ok(Answer::new(json, page).failing(ExitCode::Corrupt, complaint))
}
