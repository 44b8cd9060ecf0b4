//! `peat doctor`: what this machine can do for Peat, what is broken, and what would help.
//!
//! Everything is tried, nothing is believed: the runner confines itself and reports what held, a container is run.

mod cache;
mod containers;
mod data;
mod finding;
mod places;
mod runner;
mod toolchain;

use peat_core::repository::{ContainerRuntime, Driver, ResolvedDriver};
use serde_json::json;

use crate::composition::{Context, Repository, run_interruptible};
use crate::exit_code::ExitCode;
use crate::failure::{Failure, error_json};
use crate::rendering::{Answer, Cell, Page, Table};

use finding::{Finding, State};

/// Examines the machine. Fails when something is broken, or when what this repository asks for cannot be had.
pub(super) fn doctor(context: &Context, online: bool) -> Result<Answer, Failure> {
    let repository = match context.repository() {
        Ok(repository) => Some(repository),
        Err(Failure::NotFound(_)) if context.chosen.is_none() => None,
        Err(failure) => return Err(failure),
    };
    let wanted = Wanted::by(repository.as_ref());
    let isolation = context.isolation()?;
    let mut findings = run_interruptible(async {
        let mut findings = runner::examine(isolation.runner(), wanted.process || !wanted.runtimes.is_empty()).await;
        // Without a runner there is nothing to put into a container.
        if isolation.runner().find().is_ok() {
            findings.extend(containers::examine(isolation.runtimes(), &wanted.runtimes).await);
        }
        Ok(findings)
    })?;
    findings.push(cache::examine(context)?);
    findings.extend(places::examine(context, repository.as_ref())?);
    findings.push(toolchain::examine());
    if let Some(repository) = repository {
        findings.extend(data::extensions(context, &repository)?);
        findings.extend(data::datastore(context, repository, online));
    }
    Ok(answer(&findings))
}

/// What the repository asks for somewhere.
#[derive(Debug, Default)]
struct Wanted {
    /// The driver process.
    process: bool,
    /// The driver container: by which runtime, where that is said.
    runtimes: Vec<Option<ContainerRuntime>>,
}

impl Wanted {
    fn by(repository: Option<&Repository>) -> Self {
        let mut wanted = Self::default();
        let Some(repository) = repository else { return wanted };
        let config = &repository.config;
        let models = repository.models().map(|models| models.files).unwrap_or_default();
        let choices = models.iter().map(|file| file.model.driver.as_ref()).chain([None]);
        let of_models = choices.map(|choice| ResolvedDriver::of_run(None, choice, None, config));
        let of_datastore = config.datastore.shared().map(|datastore| ResolvedDriver::of_datastore(datastore, config));
        for resolved in of_models.chain(of_datastore) {
            match resolved.driver {
                Driver::InProcess => {}
                Driver::Process => wanted.process = true,
                Driver::Container => wanted.runtimes.push(resolved.options.runtime),
            }
        }
        wanted
    }
}

fn answer(findings: &[Finding]) -> Answer {
    let mut page = Page::default();
    let mut table = Table::new(&["", "WHAT", "FOUND"]);
    for finding in findings {
        table.row(vec![
            Cell::toned(finding.state.as_str(), finding.state.tone()),
            Cell::plain(&finding.subject),
            Cell::plain(&finding.detail),
        ]);
    }
    page.table(table);
    for finding in findings {
        if let Some(remedy) = &finding.remedy {
            page.hint(format!("{}: {remedy}", finding.subject));
        }
    }
    let broken: Vec<&str> =
        findings.iter().filter(|finding| finding.state == State::Broken).map(|finding| &*finding.subject).collect();
    let mut json = json!({ "findings": findings.iter().map(Finding::json).collect::<Vec<_>>() });
    if broken.is_empty() {
        return Answer::new(json, page);
    }
    let complaint = format!("broken: {}", broken.join(", "));
    json["error"] = error_json(ExitCode::Internal, &complaint)["error"].take();
    Answer::new(json, page).failing(ExitCode::Internal, complaint)
}
