//! The model types that can be used in a repository: the built-in ones and those of its extensions.

use std::path::Path;

use peat_core::identifiers::{ExtensionName, ModelTypeName};
use peat_core::metadata::ModelType;
use peat_core::run::{RunError, RunRequest};
use peat_core::schema::{self, Violation};
use serde_json::Value;

use super::installation::{Extensions, Installed};
use super::listed::ListedType;
use super::nearest::nearest;
use crate::failure::Failure;
use crate::shell::{self, shell_type};

/// Who provides a model type.
#[derive(Debug, Clone)]
pub(crate) enum Provider {
    /// Peat itself.
    BuiltIn,
    /// An extension.
    Extension(Box<Installed>),
}

impl Provider {
    /// For people and scripts.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::BuiltIn => "built-in".to_owned(),
            Self::Extension(installed) => installed.locked.name.to_string(),
        }
    }
}

/// A model type and who provides it.
#[derive(Debug, Clone)]
pub(crate) struct CatalogueEntry {
    /// The type.
    pub(crate) model_type: ModelType,
    /// Who provides it.
    pub(crate) provider: Provider,
}

impl CatalogueEntry {
    /// Checks the arguments of a model: by their schema, and where the type is built in by what no schema can say.
    pub(crate) fn check_model(&self, arguments: &Value) -> Result<(), Vec<Violation>> {
        schema::validate(&self.model_type.arguments, arguments)?;
        match self.provider {
            Provider::BuiltIn => shell::check_model(arguments).map_err(|violation| vec![violation]),
            Provider::Extension(_) => Ok(()),
        }
    }

    /// Checks a run in the repository at `root` by what no schema can say. Whether the arguments fit their schemas, and
    /// whether there is such a method, is the run's own first step.
    pub(crate) fn check_run(&self, root: &Path, request: &RunRequest) -> Result<(), Failure> {
        let method = self.model_type.methods.iter().find(|method| method.name == request.method);
        let fits = |schema: &Value, value: &Value| schema::validate(schema, value).is_ok();
        match (&self.provider, method) {
            (Provider::BuiltIn, Some(method))
                if fits(&self.model_type.arguments, &request.model.arguments)
                    && fits(&method.arguments, &request.arguments) =>
            {
                shell::check_run(root, &request.model.arguments, &request.arguments).map_err(|violation| {
                    let what = format!("arguments of {} {}", request.model.name, request.method);
                    RunError::Arguments { what, violations: vec![violation] }.into()
                })
            }
            _ => Ok(()),
        }
    }
}

/// The model types of a repository. Outside a repository there are only the built-in ones.
#[derive(Debug)]
pub(crate) struct Catalogue {
    extensions: Option<Extensions>,
}

impl Catalogue {
    /// Looks into `extensions` when it is asked.
    pub(crate) fn new(extensions: Option<Extensions>) -> Self {
        Self { extensions }
    }

    /// Every type with who provides it, sorted by name, and why some extensions could not be listed.
    pub(crate) fn list(&mut self) -> (Vec<(ListedType, String)>, Vec<Failure>) {
        let built_in = built_in();
        let mut types = vec![(ListedType::of(&built_in.model_type), built_in.provider.name())];
        let mut failures = Vec::new();
        for (extension, listed) in self.extensions.as_mut().map(Extensions::list).unwrap_or_default() {
            match listed {
                Ok(listed) => types.extend(listed.into_iter().map(|listed| (listed, extension.to_string()))),
                Err(failure) => failures.push(failure),
            }
        }
        types.sort_by(|one, other| one.0.name.cmp(&other.0.name));
        (types, failures)
    }

    /// One type. Looks at no other extension than the one it belongs to.
    pub(crate) fn get(&mut self, name: &ModelTypeName) -> Result<CatalogueEntry, Failure> {
        if built_in().model_type.name == *name {
            return Ok(built_in());
        }
        let unknown = |advice: String| Failure::NotFound(format!("there is no model type {name}; {advice}"));
        let Some(extension) = extension_of(name) else {
            let near = nearest(name.as_str(), [built_in().model_type.name.as_str()].into_iter()).map(str::to_owned);
            return Err(unknown(near.map_or_else(
                || "`peat model type search` shows what there is".to_owned(),
                |near| format!("did you mean {near}?"),
            )));
        };
        let installed = match self.extensions.as_mut() {
            Some(extensions) => extensions.get(&extension),
            None => return Err(unknown("outside a repository there are only the built-in ones".to_owned())),
        };
        let installed = installed.map_err(|failure| match failure {
            Failure::NotFound(reason) => unknown(reason),
            other => other,
        })?;
        types_of(&installed).find(|entry| entry.model_type.name == *name).ok_or_else(|| {
            let known: Vec<&str> = installed.metadata.model_types().iter().map(|known| known.name.as_str()).collect();
            unknown(match known.as_slice() {
                [] => format!("extension {extension} provides a datastore"),
                known => format!("extension {extension} provides {}", known.join(", ")),
            })
        })
    }
}

fn built_in() -> CatalogueEntry {
    CatalogueEntry { model_type: shell_type(), provider: Provider::BuiltIn }
}

fn types_of(installed: &Installed) -> impl Iterator<Item = CatalogueEntry> + '_ {
    installed.metadata.model_types().iter().map(|model_type| CatalogueEntry {
        model_type: model_type.clone(),
        provider: Provider::Extension(Box::new(installed.clone())),
    })
}

/// The extension that a type belongs to: the first two words of its name.
fn extension_of(name: &ModelTypeName) -> Option<ExtensionName> {
    let mut words = name.as_str().splitn(3, '/');
    let (scope, word) = (words.next()?, words.next()?);
    ExtensionName::parse(&format!("{scope}/{word}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_leads_to_its_extension() {
        let extension = |name: &str| extension_of(&ModelTypeName::parse(name).unwrap()).map(|name| name.to_string());
        assert_eq!(extension("@acme/http-check/probe").as_deref(), Some("@acme/http-check"));
        assert_eq!(extension("@acme/http-check").as_deref(), Some("@acme/http-check"));
        assert_eq!(extension("command/shell"), None);
    }

    #[test]
    fn the_built_in_type_needs_no_repository() {
        let mut catalogue = Catalogue::new(None);
        assert_eq!(catalogue.list().0.len(), 1);
        assert!(catalogue.get(&ModelTypeName::parse("command/shell").unwrap()).is_ok());
        let error = catalogue.get(&ModelTypeName::parse("command/shel").unwrap()).unwrap_err().to_string();
        assert!(error.contains("did you mean command/shell?"), "{error}");
    }
}
