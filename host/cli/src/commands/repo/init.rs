//! `peat repo init`.

use std::fs;
use std::path::Path;

use peat_core::identifiers::NamespaceName;
use peat_core::repository::DOCUMENT_BYTES_MAX;
use serde_json::json;

use crate::composition::{
    CONFIG_FILE, MODELS_DIRECTORY, STATE_DIRECTORY, new_id, read_text_if_there, write_atomically, write_new,
};
use crate::failure::Failure;
use crate::rendering::{Answer, Page};

/// Makes a repository. What is there already stays as it is.
pub(super) fn init(directory: &Path, namespace: Option<&NamespaceName>) -> Result<Answer, Failure> {
    fs::create_dir_all(directory).map_err(|source| Failure::file("create", directory, source))?;
    let config = directory.join(CONFIG_FILE);
    if config.exists() {
        return Err(Failure::InvalidInput(format!(
            "{} is a repository already: it has a {CONFIG_FILE}",
            directory.display()
        )));
    }
    let models = directory.join(MODELS_DIRECTORY);
    fs::create_dir_all(&models).map_err(|source| Failure::file("create", &models, source))?;
    ignore_state(directory)?;
    let id = new_id();
    // Last: with it the directory is a repository.
    write_new(&config, config_text(&id, namespace).as_bytes())?;
    let root = directory.canonicalize().map_err(|source| Failure::file("find", directory, source))?;
    let mut page = Page::default();
    page.line(format!("made repository {id} in {}", root.display()));
    page.hint("next: peat model create hello --type command/shell --argument run='echo hello'");
    let namespace = namespace.map_or("default", NamespaceName::as_str);
    Ok(Answer::new(json!({ "repository": { "id": id, "root": root, "namespace": namespace } }), page))
}

fn config_text(id: &str, namespace: Option<&NamespaceName>) -> String {
    let namespace = namespace.map(|name| format!("namespace: \"{name}\"\n")).unwrap_or_default();
    format!(
        "# A Peat repository. Everything that can be written here is described in the documentation of `peat.yaml`.\n\
         format: 1\n\
         # The same in every checkout: it ties this repository to its data.\n\
         id: \"{id}\"\n\
         {namespace}\
         # Where runtime data lives: `local` is this machine; `peat datastore setup` chooses a shared one.\n\
         datastore: local\n"
    )
}

/// Adds the state directory to `.gitignore`, unless it is there.
fn ignore_state(directory: &Path) -> Result<(), Failure> {
    let path = directory.join(".gitignore");
    let line = format!("{STATE_DIRECTORY}/");
    match read_text_if_there(&path, DOCUMENT_BYTES_MAX as u64)? {
        None => write_new(&path, format!("{line}\n").as_bytes()),
        Some(text) if text.lines().any(|known| known.trim().trim_start_matches('/') == line) => Ok(()),
        Some(text) => {
            let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            write_atomically(&path, format!("{text}{gap}{line}\n").as_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use peat_core::repository::RepositoryConfig;

    use super::*;

    #[test]
    fn what_is_made_is_a_repository_and_is_not_made_twice() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("deep/inventory");
        init(&root, Some(&NamespaceName::parse("007").unwrap())).unwrap();
        let text = fs::read_to_string(root.join(CONFIG_FILE)).unwrap();
        let config = RepositoryConfig::parse(CONFIG_FILE, &text).unwrap();
        assert_eq!(config.namespace.as_str(), "007");
        assert!(init(&root, None).unwrap_err().to_string().contains("already"));
        assert_eq!(fs::read_to_string(root.join(CONFIG_FILE)).unwrap(), text);
    }

    #[test]
    fn an_existing_gitignore_is_extended_once() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(".gitignore"), "target").unwrap();
        ignore_state(directory.path()).unwrap();
        ignore_state(directory.path()).unwrap();
        assert_eq!(fs::read_to_string(directory.path().join(".gitignore")).unwrap(), "target\n.peat/\n");
    }
}
