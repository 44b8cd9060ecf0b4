//! `.peat/models.jsonl`: names and ids of the repository's model files, so that a command about one model of many parses
//! that one file and asks the file system about the others.
//!
//! Each is noted with what the file system said of its file, like the metadata of extensions. Names and ids are unique among
//! all files or nothing is found here: then all are read, which says what is wrong. What is found is read from its file and
//! not from here. The index can be made again at any time; one that is missing, damaged or of another format is empty.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use peat_core::identifiers::{ModelId, ModelName};
use serde::{Deserialize, Serialize};

use super::file_access::{read_text_if_there, write_atomically};
use super::index_file::{FileStamp, Header, line};
use super::models::{MODELS_DIRECTORY, ModelFile, Models, definition_files, read_definition};
use super::repository::STATE_DIRECTORY;
use crate::failure::Failure;

/// So many files are parsed in less time than it takes to write an index.
const INDEXED_FILES_MIN: usize = 32;

/// Largest index that is read: a hundred thousand models.
const INDEX_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Format of the file.
const FORMAT: u32 = 1;

/// Finds models by name.
#[derive(Debug)]
pub(crate) struct ModelFinder {
    root: PathBuf,
    indexed: HashMap<ModelName, PathBuf>,
    all: OnceLock<Models>,
}

/// What is known of a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    path: PathBuf,
    file: FileStamp,
    name: ModelName,
    id: ModelId,
}

impl ModelFinder {
    /// Looks at the directory, and parses what is new or has changed since the index was written.
    pub(super) fn open(root: &Path) -> Result<Self, Failure> {
        let files = definition_files(&root.join(MODELS_DIRECTORY))?;
        let known = if files.len() < INDEXED_FILES_MIN { None } else { know(root, &files) };
        let indexed = known.and_then(by_name).unwrap_or_default();
        Ok(Self { root: root.to_owned(), indexed, all: OnceLock::new() })
    }

    /// One model by name.
    pub(crate) fn get(&self, name: &ModelName) -> Result<ModelFile, Failure> {
        let indexed = self.indexed.get(name).and_then(|path| read_definition(&self.root, path).ok());
        match indexed.filter(|file| file.model.name == *name) {
            Some(file) => Ok(file),
            None => Ok(self.all()?.get(name)?.clone()),
        }
    }

    fn all(&self) -> Result<&Models, Failure> {
        match self.all.get() {
            Some(all) => Ok(all),
            None => {
                let all = Models::read(&self.root)?;
                Ok(self.all.get_or_init(|| all))
            }
        }
    }
}

/// What is known of these files, all of them. None when one cannot be used.
fn know(root: &Path, files: &[PathBuf]) -> Option<Vec<Known>> {
    let index = root.join(STATE_DIRECTORY).join("models.jsonl");
    let mut before = read(&index);
    let (count_before, mut is_changed) = (before.len(), false);
    let mut known = Vec::with_capacity(files.len());
    for path in files {
        // Before it is read: what is changed meanwhile has another stamp the next time. What is not UTF-8 cannot be noted.
        let file = path.to_str().and_then(|_| FileStamp::of(path))?;
        match before.remove(path).filter(|known| known.file == file) {
            Some(same) => known.push(same),
            None => {
                let model = read_definition(root, path).ok()?.model;
                known.push(Known { path: path.clone(), file, name: model.name, id: model.id });
                is_changed = true;
            }
        }
    }
    if (is_changed || count_before != known.len())
        && let Err(error) = write(&index, &known)
    {
        tracing::info!(path = %index.display(), %error, "the index of models is not kept");
    }
    Some(known)
}

/// None when two have the same name or id.
fn by_name(known: Vec<Known>) -> Option<HashMap<ModelName, PathBuf>> {
    let (files, mut ids) = (known.len(), HashSet::new());
    let ids_differ = known.iter().all(|known| ids.insert(known.id.clone()));
    let by_name: HashMap<_, _> = known.into_iter().map(|known| (known.name, known.path)).collect();
    (ids_differ && by_name.len() == files).then_some(by_name)
}

fn read(index: &Path) -> BTreeMap<PathBuf, Known> {
    let text = read_text_if_there(index, INDEX_BYTES_MAX).ok().flatten().unwrap_or_default();
    let mut lines = text.lines();
    let header = lines.next().and_then(|line| serde_json::from_str(line).ok());
    if header.is_none_or(|Header { format }| format != FORMAT) {
        return BTreeMap::new();
    }
    let known = lines.map_while(|line| serde_json::from_str(line).ok());
    known.map(|known: Known| (known.path.clone(), known)).collect()
}

fn write(index: &Path, known: &[Known]) -> Result<(), Failure> {
    if let Some(directory) = index.parent() {
        fs::create_dir_all(directory).map_err(|source| Failure::file("create", directory, source))?;
    }
    let mut text = line(&Header { format: FORMAT });
    known.iter().for_each(|known| text.push_str(&line(known)));
    write_atomically(index, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_model(root: &Path, file: &str, id: usize, name: &str) {
        let text = format!("id: 0a1b2c3d{id:04}\nname: {name}\ntype: command/shell\n");
        fs::write(root.join(MODELS_DIRECTORY).join(file), text).unwrap();
    }

    fn repository() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join(MODELS_DIRECTORY)).unwrap();
        for number in 0..INDEXED_FILES_MIN {
            write_model(root.path(), &format!("{number}.yaml"), number, &format!("model-{number}"));
        }
        root
    }

    fn name(text: &str) -> ModelName {
        ModelName::parse(text).unwrap()
    }

    /// Its file, and whether nothing but the index and that file was read for it.
    fn found(root: &Path, text: &str) -> (String, bool) {
        let finder = ModelFinder::open(root).unwrap();
        let file = finder.get(&name(text)).unwrap();
        assert_eq!(file.model.name, name(text));
        (file.path, finder.all.get().is_none())
    }

    fn index(root: &Path) -> PathBuf {
        root.join(STATE_DIRECTORY).join("models.jsonl")
    }

    #[test]
    fn one_model_of_many_is_found_without_parsing_the_others() {
        let root = repository();
        assert_eq!(found(root.path(), "model-7"), ("models/7.yaml".to_owned(), true));
        // The index knows this name from nowhere but itself: no file was parsed for it.
        let text = fs::read_to_string(index(root.path())).unwrap();
        fs::write(index(root.path()), text.replace("\"model-9\"", "\"of-the-index\"")).unwrap();
        let finder = ModelFinder::open(root.path()).unwrap();
        assert!(finder.indexed.contains_key(&name("of-the-index")));
        // What the index says wrongly is not believed.
        assert!(finder.get(&name("of-the-index")).is_err());
        assert_eq!(found(root.path(), "model-9"), ("models/9.yaml".to_owned(), false));
    }

    #[test]
    fn a_file_that_was_changed_added_or_removed_is_noticed() {
        let root = repository();
        assert!(found(root.path(), "model-3").1);
        write_model(root.path(), "3.yaml", 3, "renamed");
        assert_eq!(found(root.path(), "renamed"), ("models/3.yaml".to_owned(), true));
        write_model(root.path(), "new.yaml", 77, "new");
        assert_eq!(found(root.path(), "new"), ("models/new.yaml".to_owned(), true));
        fs::remove_file(root.path().join("models/5.yaml")).unwrap();
        let error = ModelFinder::open(root.path()).unwrap().get(&name("model-5")).unwrap_err();
        assert!(error.to_string().contains("there is no model model-5"), "{error}");
        assert!(!fs::read_to_string(index(root.path())).unwrap().contains("model-5\""));
    }

    #[test]
    fn duplicates_and_wrong_files_are_refused_as_they_are_without_an_index() {
        let root = repository();
        assert!(found(root.path(), "model-1").1);
        write_model(root.path(), "copy.yaml", 1, "copy");
        let error = ModelFinder::open(root.path()).unwrap().get(&name("model-2")).unwrap_err().to_string();
        assert!(error.contains("models/copy.yaml") && error.contains("id: 0a1b2c3d0001"), "{error}");
        write_model(root.path(), "copy.yaml", 99, "model-1");
        let error = ModelFinder::open(root.path()).unwrap().get(&name("model-2")).unwrap_err().to_string();
        assert!(error.contains("models/copy.yaml") && error.contains("name: model-1"), "{error}");
        fs::write(root.path().join("models/copy.yaml"), "- 1\n").unwrap();
        let error = ModelFinder::open(root.path()).unwrap().get(&name("model-2")).unwrap_err().to_string();
        assert!(error.contains("models/copy.yaml"), "{error}");
    }

    #[test]
    fn an_index_that_is_damaged_or_of_another_format_is_an_empty_one() {
        let root = repository();
        assert!(found(root.path(), "model-1").1);
        let whole = fs::read_to_string(index(root.path())).unwrap();
        let read_back = |text: &str| {
            fs::write(index(root.path()), text).unwrap();
            read(&index(root.path())).len()
        };
        assert_eq!(read_back(&whole), INDEXED_FILES_MIN);
        assert_eq!(read_back(&whole.replacen("\"format\":1", "\"format\":2", 1)), 0);
        assert_eq!(read_back(&whole[..whole.len() - 3]), INDEXED_FILES_MIN - 1);
        assert_eq!(read_back("\u{0}\u{ff}"), 0);
        assert_eq!(found(root.path(), "model-1"), ("models/1.yaml".to_owned(), true));
        assert_eq!(fs::read_to_string(index(root.path())).unwrap(), whole);
    }

    #[test]
    fn a_repository_of_few_models_has_no_index() {
        let root = repository();
        fs::remove_file(root.path().join("models/0.yaml")).unwrap();
        assert_eq!(found(root.path(), "model-1"), ("models/1.yaml".to_owned(), false));
        assert!(!index(root.path()).exists());
    }
}
