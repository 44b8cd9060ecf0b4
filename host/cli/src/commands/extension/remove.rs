//! `peat extension remove`.

use peat_core::identifiers::ExtensionName;
use serde_json::json;

use crate::composition::{Context, Extensions, Repository};
use crate::failure::Failure;
use crate::rendering::{Answer, Page};

/// Takes an extension out of `peat.lock`, with its grants. Refused while something uses it.
pub(super) fn remove(context: &Context, name: &ExtensionName) -> Result<Answer, Failure> {
    let mut repository = context.repository_for_change()?;
    let home = context.home()?;
    if let Some(user) = user_of(&repository, name)? {
        return Err(Failure::InvalidInput(format!("extension {name} is used by {user}")));
    }
    let mut extensions = Extensions::open(&repository, &home);
    let removed = repository.lock.remove(name).ok_or_else(|| {
        Failure::NotFound(format!("extension {name} is not in peat.lock; `peat extension list` shows what is"))
    })?;
    repository.write_lock()?;
    let mut grants = repository.config.grants.clone();
    if grants.remove(name).is_some() {
        repository.write_grants(&grants)?;
    }
    extensions.follow(&repository.lock);
    let mut page = Page::default();
    page.line(format!("removed {name} {}", removed.version));
    Ok(Answer::new(json!({ "removed": { "name": name, "version": removed.version, "sha256": removed.digest } }), page))
}

/// Who needs the extension, with what to do about it.
fn user_of(repository: &Repository, name: &ExtensionName) -> Result<Option<String>, Failure> {
    if repository.shared_datastore().is_some_and(|shared| shared.extension == *name) {
        return Ok(Some(
            "the datastore of this repository; choose another with `peat datastore setup` first".to_owned(),
        ));
    }
    let models = repository.models()?;
    let below = format!("{name}/");
    let users: Vec<&str> = models
        .files
        .iter()
        .filter(|file| {
            let model_type = file.model.model_type.as_str();
            model_type == name.as_str() || model_type.starts_with(&below)
        })
        .map(|file| file.model.name.as_str())
        .collect();
    Ok((!users.is_empty()).then(|| format!("model {}; delete it with `peat model delete` first", users.join(", "))))
}
