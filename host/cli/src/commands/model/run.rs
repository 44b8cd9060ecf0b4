//! `peat model method run`.

use peat_core::interrupt::Interrupt;
use peat_core::lease::LEASE_TTL_DEFAULT;
use peat_core::repository::{Model, ResolvedDriver};
use peat_core::run::{RunReport, RunRequest, RunStatus, run_method};
use serde_json::{Map, Value, json};

use crate::arguments::MethodRun;
use crate::commands::data::entry_json;
use crate::commands::run::record_json;
use crate::composition::{CatalogueEntry, Context, Session, run_async};
use crate::exit_code::ExitCode;
use crate::failure::{Failure, error_json, of_method};
use crate::input::{assign, read_document};
use crate::rendering::{Answer, Cell, Page, Table, Tone, short_duration, short_size};

/// Runs a method and commits what it produced.
pub(super) fn run(context: &Context, arguments: &MethodRun) -> Result<Answer, Failure> {
    let repository = context.repository()?;
    let models = repository.model_finder()?;
    let model = models.get(&arguments.model)?.model;
    let reads = model.reads.iter().map(|name| Ok(models.get(name)?.model)).collect::<Result<_, Failure>>()?;
    let session = Session::open(context, repository)?;
    let entry = session.catalogue().get(&model.model_type)?;
    let driver = ResolvedDriver::of_run(
        arguments.driver,
        model.driver.as_ref(),
        entry.model_type.driver,
        &session.repository.config,
    );
    let request = request(&session, arguments, &driver, model, reads, &entry)?;
    entry.check_run(&session.repository.root, &request)?;
    let model = request.model.clone();
    let report = run_async(async |interrupt| execute(&session, &entry, &driver, request, interrupt).await)?;
    // Progress is gone from the terminal before anything is printed.
    session.close(context);
    Ok(answer(&model, &report))
}

fn request(
    session: &Session,
    arguments: &MethodRun,
    driver: &ResolvedDriver,
    model: Model,
    reads: Vec<Model>,
    entry: &CatalogueEntry,
) -> Result<RunRequest, Failure> {
    let mut values = arguments.input_file.as_deref().map(read_document).transpose()?.unwrap_or_else(Map::new);
    let method = entry.model_type.methods.iter().find(|method| method.name == arguments.method);
    // An unknown method is refused by the run itself, with what there is.
    let schema = method.map_or(&Value::Null, |method| &method.arguments);
    assign(&mut values, &arguments.inputs, schema, "--input")?;
    let config = &session.repository.config;
    Ok(RunRequest {
        model,
        model_type: entry.model_type.clone(),
        method: arguments.method.clone(),
        arguments: Value::Object(values),
        reads,
        timeout: arguments.timeout.or(driver.options.timeout).unwrap_or(config.method_timeout),
        lock_timeout: arguments.lock_timeout.unwrap_or(config.lock_timeout),
        lease_ttl: config.datastore.shared().map_or(LEASE_TTL_DEFAULT, |shared| shared.lease_ttl),
        hydration: config.hydration_strategy,
        retention: config.retention,
        by: session.actor().clone(),
    })
}

async fn execute(
    session: &Session,
    entry: &CatalogueEntry,
    driver: &ResolvedDriver,
    request: RunRequest,
    interrupt: Interrupt,
) -> Result<RunReport, Failure> {
    let executor = session.executor(&entry.provider, driver)?;
    let datastore = session.datastore().await?;
    let ports = session.run_ports(datastore, &*executor);
    Ok(Box::pin(run_method(&ports, request, &interrupt)).await?)
}

fn answer(model: &Model, report: &RunReport) -> Answer {
    let record = &report.record;
    let exit_code = match (&report.failure, record.status) {
        (Some(failure), _) => of_method(failure),
        (None, RunStatus::Succeeded) => ExitCode::Ok,
        (None, RunStatus::Interrupted) => ExitCode::Interrupted,
        (None, RunStatus::LeaseLost) => ExitCode::LeaseLost,
        (None, RunStatus::Failed) => ExitCode::MethodFailed,
    };
    let data: Vec<Value> = report.entries.iter().map(|stored| entry_json(stored, Some(&model.name))).collect();
    let mut json = json!({ "run": record_json(record), "data": data });
    if exit_code != ExitCode::Ok {
        json["error"] = error_json(exit_code, &record.summary)["error"].take();
    }
    let took = short_duration(record.finished_at_ms.saturating_sub(record.started_at_ms));
    let line = format!("{} {} {} in {took}: {}", model.name, record.method, ending(record.status), record.summary);
    let mut page = Page::default();
    if exit_code == ExitCode::Ok {
        page.text_line(&line, Tone::Good);
    }
    data_on(&mut page, report);
    if exit_code == ExitCode::Ok {
        if let Some(first) = report.entries.first() {
            page.hint(format!("next: peat data get {} {}", model.name, first.entry.description.name));
        }
        return Answer::new(json, page);
    }
    if let Some(first) = report.entries.first() {
        let (name, version) = (&first.entry.description.name, first.entry.version);
        page.hint(format!(
            "what it wrote is kept, as of a failed run: peat data get {} {name} --version {version}",
            model.name
        ));
    }
    page.hint(format!("its log: peat run logs {}", record.run_id));
    Answer::new(json, page).failing(exit_code, line)
}

fn ending(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Succeeded => "succeeded",
        RunStatus::Failed => "failed",
        RunStatus::Interrupted => "was interrupted",
        RunStatus::LeaseLost => "lost its lease",
    }
}

fn data_on(page: &mut Page, report: &RunReport) {
    if report.entries.is_empty() {
        return;
    }
    let mut table = Table::new(&["DATA", "VERSION", "SIZE"]);
    for stored in &report.entries {
        table.row(vec![
            Cell::toned(stored.entry.description.name.as_str(), Tone::Strong),
            Cell::number(stored.entry.version.to_string()),
            Cell::number(short_size(stored.entry.description.size)),
        ]);
    }
    page.table(table);
}
