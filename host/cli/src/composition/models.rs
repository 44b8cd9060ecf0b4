//! `models/*.yaml`: read all at once, because names and ids must be unique among them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use peat_core::identifiers::{ModelId, ModelName};
use peat_core::repository::{ConfigError, DOCUMENT_BYTES_MAX, Model};

use super::file_access::{read_text_if_there, write_new};
use super::nearest::nearest;
use crate::failure::Failure;

/// Where models are defined.
pub(crate) const MODELS_DIRECTORY: &str = "models";

/// A model and the file it is defined in, relative to the repository.
#[derive(Debug, Clone)]
pub(crate) struct ModelFile {
    /// The definition.
    pub(crate) model: Model,
    /// Its file.
    pub(crate) path: String,
}

/// The models of a repository, sorted by name, and the files that are wrong.
#[derive(Debug, Default)]
pub(crate) struct Models {
    /// What could be read.
    pub(crate) files: Vec<ModelFile>,
    /// What could not, and duplicates.
    pub(crate) problems: Vec<ConfigError>,
    root: PathBuf,
}

impl Models {
    /// Reads the directory. Files that are wrong are problems, not failures.
    pub(super) fn read(root: &Path) -> Result<Self, Failure> {
        let mut models = Self { root: root.to_owned(), ..Self::default() };
        for path in definition_files(&root.join(MODELS_DIRECTORY))? {
            match read_definition(root, &path) {
                Ok(file) => models.files.push(file),
                Err(problem) => models.problems.push(problem),
            }
        }
        models.files.sort_by(|one, other| (&one.model.name, &one.path).cmp(&(&other.model.name, &other.path)));
        models.problems.extend(duplicates(&models.files));
        Ok(models)
    }

    /// All models; a failure that names every file that is wrong.
    pub(crate) fn all(&self) -> Result<&[ModelFile], Failure> {
        match self.problems.as_slice() {
            [] => Ok(&self.files),
            [only] => Err(only.clone().into()),
            several => {
                let lines: Vec<String> = several.iter().map(ToString::to_string).collect();
                Err(Failure::InvalidInput(format!("{} model files are wrong:\n{}", several.len(), lines.join("\n"))))
            }
        }
    }

    /// One model by name.
    pub(crate) fn get(&self, name: &ModelName) -> Result<&ModelFile, Failure> {
        let all = self.all()?;
        all.iter().find(|file| file.model.name == *name).ok_or_else(|| {
            let known = all.iter().map(|file| file.model.name.as_str());
            let advice = match nearest(name.as_str(), known) {
                Some(near) => format!("did you mean {near}?"),
                None => "`peat model list` shows what there is".to_owned(),
            };
            Failure::NotFound(format!("there is no model {name}; {advice}"))
        })
    }

    /// One model by id.
    pub(crate) fn by_id(&self, id: &ModelId) -> Option<&ModelFile> {
        self.files.iter().find(|file| file.model.id == *id)
    }

    /// Writes the definition of a new model; answers its file.
    pub(crate) fn create(&self, model: &Model) -> Result<String, Failure> {
        if let Some(taken) = self.all()?.iter().find(|file| file.model.name == model.name) {
            return Err(Failure::InvalidInput(format!(
                "model {} exists already in {}; choose another name, or delete it with `peat model delete {}`",
                model.name, taken.path, model.name
            )));
        }
        let directory = self.root.join(MODELS_DIRECTORY);
        fs::create_dir_all(&directory).map_err(|source| Failure::file("create", &directory, source))?;
        let shown = format!("{MODELS_DIRECTORY}/{}.yaml", model.name);
        write_new(&self.root.join(&shown), model.to_yaml()?.as_bytes())?;
        Ok(shown)
    }

    /// Deletes the definition of a model; its data stays.
    pub(crate) fn delete(&self, file: &ModelFile) -> Result<(), Failure> {
        let path = self.root.join(&file.path);
        fs::remove_file(&path).map_err(|source| Failure::file("delete", &path, source))
    }
}

/// The files that define models, sorted.
pub(super) fn definition_files(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let wrong = |source| Failure::file("read", directory, source);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(wrong(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(wrong)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads one of them.
pub(super) fn read_definition(root: &Path, path: &Path) -> Result<ModelFile, ConfigError> {
    let shown = path.strip_prefix(root).unwrap_or(path).display().to_string();
    let wrong = |reason: String| ConfigError { path: shown.clone(), reason };
    let text = read_text_if_there(path, DOCUMENT_BYTES_MAX as u64).map_err(|failure| match failure {
        Failure::File { source, .. } => wrong(source.to_string()),
        other => wrong(other.to_string()),
    })?;
    let model = Model::parse(&shown, &text.ok_or_else(|| wrong("it is gone".to_owned()))?)?;
    Ok(ModelFile { model, path: shown })
}

fn duplicates(files: &[ModelFile]) -> Vec<ConfigError> {
    let (mut names, mut ids) = (HashMap::new(), HashMap::new());
    let mut problems = Vec::new();
    for file in files {
        let ModelFile { model, path } = file;
        let name = earlier(names.entry(&model.name), path).map(|earlier| (format!("name: {}", model.name), earlier));
        let id = earlier(ids.entry(&model.id), path).map(|earlier| (format!("id: {}", model.id), earlier));
        if let Some((same, earlier)) = name.or(id) {
            let reason = format!("{same} is also that of {earlier}; each model has its own");
            problems.push(ConfigError { path: path.clone(), reason });
        }
    }
    problems
}

/// The first file with this name or id, when `path` is not the first.
fn earlier<'a, K>(first: Entry<'_, K, &'a str>, path: &'a str) -> Option<&'a str> {
    match first {
        Entry::Occupied(first) => Some(first.get()),
        Entry::Vacant(first) => {
            first.insert(path);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join(MODELS_DIRECTORY)).unwrap();
        for (name, text) in files {
            fs::write(root.path().join(MODELS_DIRECTORY).join(name), text).unwrap();
        }
        root
    }

    fn definition(id: &str, name: &str) -> String {
        format!("id: {id}\nname: {name}\ntype: command/shell\n")
    }

    #[test]
    fn a_duplicate_names_both_files() {
        let (one, two) = (definition("0a1b2c3d4e5f", "web"), definition("0a1b2c3d4e5e", "web"));
        let root = repository(&[("a.yaml", &one), ("b.yaml", &two)]);
        let error = Models::read(root.path()).unwrap().all().unwrap_err().to_string();
        assert!(
            error.contains("models/a.yaml") && error.contains("models/b.yaml") && error.contains("name"),
            "{error}"
        );
        let (one, two) = (definition("0a1b2c3d4e5f", "web"), definition("0a1b2c3d4e5f", "api"));
        let root = repository(&[("a.yaml", &one), ("b.yaml", &two)]);
        let error = Models::read(root.path()).unwrap().all().unwrap_err().to_string();
        assert!(error.contains("models/a.yaml") && error.contains("models/b.yaml") && error.contains("id"), "{error}");
    }

    #[test]
    fn every_wrong_file_is_named_at_once() {
        let root = repository(&[("a.yaml", "nonsense: 1\n"), ("b.yaml", "- 1\n"), (".hidden.yaml", "x")]);
        let error = Models::read(root.path()).unwrap().all().unwrap_err().to_string();
        assert!(error.contains("models/a.yaml") && error.contains("models/b.yaml"), "{error}");
        assert!(!error.contains("hidden"), "{error}");
    }

    #[test]
    fn a_mistyped_model_is_answered_with_the_nearest() {
        let root = repository(&[("web.yaml", &definition("0a1b2c3d4e5f", "website"))]);
        let models = Models::read(root.path()).unwrap();
        let error = models.get(&ModelName::parse("webiste").unwrap()).unwrap_err();
        assert!(error.to_string().contains("did you mean website?"), "{error}");
    }
}
