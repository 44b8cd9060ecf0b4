//! `peat model`.

mod create;
mod delete;
mod describe;
mod get;
mod list;
mod run;
mod search;
mod validate;

use peat_core::metadata::ModelType;
use serde_json::{Value, json};

use crate::arguments::{MethodCommand, ModelCommand, TypeCommand};
use crate::composition::{Catalogue, CatalogueEntry, Context, Extensions, ModelFile, Repository};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone};

pub(super) fn dispatch(context: &Context, command: ModelCommand) -> Result<Answer, Failure> {
    match command {
        ModelCommand::Type(TypeCommand::Search { words }) => search::search(context, &words),
        ModelCommand::Type(TypeCommand::Describe { model_type }) => describe::describe(context, &model_type),
        ModelCommand::Create(arguments) => create::create(context, &arguments),
        ModelCommand::List => list::list(context),
        ModelCommand::Get { model } => get::get(context, &model),
        ModelCommand::Validate { model } => validate::validate(context, model.as_ref()),
        ModelCommand::Delete { model } => delete::delete(context, &model),
        ModelCommand::Method(MethodCommand::Run(arguments)) => run::run(context, &arguments),
    }
}

/// The model types of a repository.
fn catalogue_of(context: &Context, repository: &Repository) -> Result<Catalogue, Failure> {
    Ok(Catalogue::new(Some(Extensions::open(repository, &context.home()?))))
}

/// The model types here: of the repository, or the built-in ones where there is none.
fn catalogue_here(context: &Context) -> Result<Catalogue, Failure> {
    match context.repository() {
        Ok(repository) => catalogue_of(context, &repository),
        Err(Failure::NotFound(_)) if context.chosen.is_none() && context.environment.repository.is_none() => {
            Ok(Catalogue::new(None))
        }
        Err(failure) => Err(failure),
    }
}

fn model_json(file: &ModelFile) -> Value {
    let model = &file.model;
    json!({
        "name": model.name,
        "id": model.id,
        "type": model.model_type,
        "arguments": model.arguments,
        "reads": model.reads,
        "file": file.path,
    })
}

fn type_json(entry: &CatalogueEntry) -> Value {
    let model_type = &entry.model_type;
    json!({
        "name": model_type.name,
        "summary": model_type.summary,
        "provider": entry.provider.name(),
        "arguments": model_type.arguments,
        "methods": model_type.methods,
        "driver": model_type.driver,
    })
}

fn methods_table(model_type: &ModelType) -> Table {
    let mut table = Table::new(&["METHOD", "SUMMARY"]);
    for method in &model_type.methods {
        table.row(vec![Cell::toned(method.name.as_str(), Tone::Strong), Cell::plain(&method.summary)]);
    }
    table
}

/// Adds what an argument schema says, one line an argument.
fn arguments_on(page: &mut Page, heading: &str, schema: &Value) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object).filter(|all| !all.is_empty()) else {
        return;
    };
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    page.heading(heading);
    let mut table = Table::new(&["ARGUMENT", "TYPE", "", "DESCRIPTION"]);
    for (name, property) in properties {
        let kind = match property.get("type") {
            Some(Value::String(one)) => one.clone(),
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
            _ => "any".to_owned(),
        };
        let need = if required.contains(&name.as_str()) { "required" } else { "" };
        let description = property.get("description").and_then(Value::as_str).unwrap_or_default();
        table.row(vec![Cell::plain(name), Cell::plain(kind), Cell::plain(need), Cell::plain(description)]);
    }
    page.table(table);
}
