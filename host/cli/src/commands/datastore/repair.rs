//! `peat datastore repair`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use peat_core::entry::VersionReference;
use peat_core::health::{Check, Repair, RepairedPart, check, repair as repair_shared};
use peat_core::identifiers::{ModelName, PartitionName};
use serde_json::{Value, json};

use crate::arguments::DatastoreRepair;
use crate::composition::{Context, Models, Session, run_async};
use crate::exit_code::ExitCode;
use crate::failure::{Failure, error_json};
use crate::rendering::{Answer, Page, Tone};

/// Makes again what is damaged, and says what is lost.
pub(super) fn repair(context: &Context, arguments: &DatastoreRepair) -> Result<Answer, Failure> {
    let repository = context.repository()?;
    let models = repository.models()?;
    let partitions = super::partitions_of(&repository, &arguments.models)?;
    let session = Session::open(context, repository)?;
    let config = &session.repository.config;
    let Some(shared) = config.datastore.shared() else {
        return Err(Failure::InvalidInput(
            "the datastore is local: there is nothing to repair it from but a backup of PEAT_HOME".to_owned(),
        ));
    };
    let wanted = Check { partitions, read_data: arguments.read_data };
    let how = Repair {
        dry_run: true,
        read_data: arguments.read_data,
        lock_timeout: arguments.lock_timeout.unwrap_or(config.lock_timeout),
        lease_ttl: shared.lease_ttl,
    };
    let repaired = run_async(async |interrupt| {
        let datastore = session.shared_unless_interrupted(&interrupt).await?;
        let ports = session.collect_ports(datastore);
        let found = Box::pin(check(&ports, &wanted, &interrupt)).await?;
        let foreseen = Box::pin(repair_shared(&ports, &how, &found.damage, &interrupt)).await?;
        if arguments.dry_run || found.damage.is_empty() {
            return Ok(foreseen);
        }
        if foreseen.iter().any(|part| !part.done.is_whole()) && !arguments.yes && !confirmed(context, &foreseen) {
            return Err(Failure::InvalidInput(format!(
                "{} would be lost for everybody who uses this datastore, and may be on another machine: look at it with \
                 --dry-run, run `peat datastore repair` on machines that have it first, then add --yes",
                lost(&foreseen)
            )));
        }
        let how = Repair { dry_run: false, ..how.clone() };
        Ok(Box::pin(repair_shared(&ports, &how, &found.damage, &interrupt)).await?)
    })?;
    session.close(context);
    Ok(answer(&repaired, arguments, &models))
}

fn answer(repaired: &[RepairedPart], arguments: &DatastoreRepair, models: &Models) -> Answer {
    let dry_run = arguments.dry_run;
    let parts: Vec<Value> = repaired.iter().map(|part| part_json(part, models)).collect();
    let mut json = json!({ "dryRun": dry_run, "repaired": parts });
    let mut page = Page::default();
    if repaired.is_empty() {
        page.text_line("nothing is damaged", Tone::Good);
        if !arguments.read_data {
            page.hint("content was looked for and not read; --read-data reads it, too");
        }
        return Answer::new(json, page);
    }
    for part in repaired {
        let name = named(part, models);
        for note in &part.done.notes {
            page.text_line(format!("{name}: {note}"), Tone::Attention);
        }
        if !part.done.restored.is_empty() {
            page.text_line(format!("{name}: whole again: {}", list(&part.done.restored)), Tone::Good);
        }
        if !part.done.lost.is_empty() {
            page.text_line(format!("{name}: lost: {}", list(&part.done.lost)), Tone::Attention);
        }
        if let Some(left) = &part.left {
            page.text_line(format!("{name}: left as it is: {left}"), Tone::Attention);
        }
    }
    if repaired.iter().any(|part| !part.done.is_whole()) {
        let verb = if dry_run { "would be" } else { "is" };
        page.text_line(format!("{} {verb} lost", lost(repaired)), Tone::Attention);
        if dry_run {
            page.hint("run it on a machine that has it first");
        }
    }
    let left = repaired.iter().filter(|part| part.left.is_some()).count();
    if left == 0 {
        return Answer::new(json, page);
    }
    let message = format!("{left} of {} damaged parts are left as they are", repaired.len());
    json["error"] = error_json(ExitCode::Corrupt, &message)["error"].take();
    Answer::new(json, page).failing(ExitCode::Corrupt, message)
}

fn part_json(part: &RepairedPart, models: &Models) -> Value {
    let versions = |references: &[VersionReference]| -> Vec<Value> {
        references.iter().map(|one| json!({ "name": one.name, "version": one.version })).collect()
    };
    json!({
        "partition": part.partition,
        "model": model_of(part.partition.as_ref(), models),
        "restored": versions(&part.done.restored),
        "lost": versions(&part.done.lost),
        "recordsLost": part.done.records_lost,
        "mayLoseCommits": part.done.may_lose_commits,
        "notes": part.done.notes,
        "left": part.left,
    })
}

/// What is lost, in one phrase.
fn lost(repaired: &[RepairedPart]) -> String {
    let versions: usize = repaired.iter().map(|part| part.done.lost.len()).sum();
    let records: u64 = repaired.iter().map(|part| part.done.records_lost).sum();
    let mut phrases = Vec::new();
    if versions > 0 {
        phrases.push(format!("the content of {versions} versions"));
    }
    if records > 0 {
        phrases.push(format!("up to {records} records of the index"));
    }
    if repaired.iter().any(|part| part.done.may_lose_commits) {
        phrases.push("what others have committed since this machine has last looked".to_owned());
    }
    phrases.join(" and ")
}

fn list(references: &[VersionReference]) -> String {
    const NAMED_MAX: usize = 10;
    let named: Vec<String> = references.iter().take(NAMED_MAX).map(told).collect();
    match references.len().saturating_sub(NAMED_MAX) {
        0 => named.join(", "),
        rest => format!("{} and {rest} more", named.join(", ")),
    }
}

/// A version, for a person.
pub(super) fn told(reference: &VersionReference) -> String {
    format!("{} version {}", reference.name, reference.version.0)
}

fn named(part: &RepairedPart, models: &Models) -> String {
    match (&part.partition, model_of(part.partition.as_ref(), models)) {
        (_, Some(model)) => model.to_string(),
        (Some(partition), None) => partition.to_string(),
        (None, None) => "namespace".to_owned(),
    }
}

/// The model whose data a partition holds, where it is defined.
pub(super) fn model_of<'a>(partition: Option<&PartitionName>, models: &'a Models) -> Option<&'a ModelName> {
    let (_, id) = partition?.model()?;
    models.by_id(&id).map(|file| &file.model.name)
}

/// Asks where somebody can answer.
fn confirmed(context: &Context, foreseen: &[RepairedPart]) -> bool {
    if context.screen.is_json() || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return false;
    }
    let mut terminal = io::stderr().lock();
    let question = format!(
        "{} will be lost for everybody who uses this datastore, unless another machine has it and repairs first. Go on? [y/N] ",
        lost(foreseen)
    );
    if terminal.write_all(question.as_bytes()).and_then(|()| terminal.flush()).is_err() {
        return false;
    }
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}
