//! `peat model validate`.

use std::collections::BTreeMap;

use peat_core::identifiers::{ModelName, ModelTypeName};
use serde_json::json;

use super::catalogue_of;
use crate::composition::{Catalogue, CatalogueEntry, Context, ModelFile, Models};
use crate::exit_code::ExitCode;
use crate::failure::{Failure, error_json};
use crate::rendering::{Answer, Page, Tone};

/// Checks definitions against their types and each other; every problem is named at once.
pub(super) fn validate(context: &Context, only: Option<&ModelName>) -> Result<Answer, Failure> {
    let repository = context.repository()?;
    let models = repository.models()?;
    let mut problems: Vec<String> = models.problems.iter().map(ToString::to_string).collect();
    let chosen: Vec<&ModelFile> = match only {
        Some(name) => vec![models.get(name)?],
        None => models.files.iter().collect(),
    };
    let mut types = Types { catalogue: catalogue_of(context, &repository)?, known: BTreeMap::new() };
    for file in &chosen {
        problems.extend(types.problems_of(file));
        problems.extend(unknown_reads(file, &models));
    }
    let mut page = Page::default();
    let count = chosen.len();
    let plural = if count == 1 { "" } else { "s" };
    if problems.is_empty() {
        page.text_line(format!("{count} model{plural} checked, all well"), Tone::Good);
        return Ok(Answer::new(json!({ "checked": count, "problems": problems }), page));
    }
    for problem in &problems {
        page.line(problem);
    }
    let found = problems.len();
    let message = format!("{count} model{plural} checked, {found} problem{}", if found == 1 { "" } else { "s" });
    let mut json = error_json(ExitCode::InvalidInput, &message);
    json["checked"] = json!(count);
    json["problems"] = json!(problems);
    Ok(Answer::new(json, page).failing(ExitCode::InvalidInput, message))
}

struct Types {
    catalogue: Catalogue,
    known: BTreeMap<ModelTypeName, Result<CatalogueEntry, String>>,
}

impl Types {
    fn problems_of(&mut self, file: &ModelFile) -> Vec<String> {
        let Self { catalogue, known } = self;
        let entry = known
            .entry(file.model.model_type.clone())
            .or_insert_with_key(|name| catalogue.get(name).map_err(|failure| failure.to_string()));
        match entry {
            Err(reason) => vec![format!("{}: type: {reason}", file.path)],
            Ok(entry) => match entry.check_model(&file.model.arguments) {
                Ok(()) => Vec::new(),
                Err(violations) => {
                    violations.iter().map(|violation| format!("{}: arguments: {violation}", file.path)).collect()
                }
            },
        }
    }
}

fn unknown_reads(file: &ModelFile, models: &Models) -> Vec<String> {
    let is_known = |name: &ModelName| models.files.iter().any(|other| other.model.name == *name);
    let unknown = file.model.reads.iter().filter(|name| !is_known(name));
    unknown.map(|name| format!("{}: reads: there is no model {name}", file.path)).collect()
}
