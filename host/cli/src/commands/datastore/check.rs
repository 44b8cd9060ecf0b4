//! `peat datastore check`.

use peat_core::health::{Check, CheckReport, check as check_shared};
use peat_core::identifiers::ModelName;
use peat_core::ports::{Damage, DamagedPart};
use serde_json::{Value, json};

use crate::arguments::DatastoreCheck;
use crate::composition::{Context, Models, Session, run_async};
use crate::exit_code::ExitCode;
use crate::failure::{Failure, error_json};
use crate::rendering::{Answer, Page, Tone, short_size};

/// Versions named of one damage; the rest is counted.
const VERSIONS_NAMED_MAX: usize = 3;

/// Damages shown to a person; the rest is counted.
const DAMAGE_SHOWN_MAX: usize = 100;

/// Looks whether everything is there and is what was written.
pub(super) fn check(context: &Context, arguments: &DatastoreCheck) -> Result<Answer, Failure> {
    let repository = context.repository()?;
    let models = repository.models()?;
    let partitions = super::partitions_of(&repository, &arguments.models)?;
    let session = Session::open(context, repository)?;
    let here = session.store.check(arguments.read_data)?;
    let wanted = Check { partitions, read_data: arguments.read_data };
    let report = match session.repository.shared_datastore() {
        None => None,
        Some(_) => Some(run_async(async |interrupt| {
            let datastore = session.shared_unless_interrupted(&interrupt).await?;
            Ok(Box::pin(check_shared(&session.collect_ports(datastore), &wanted, &interrupt)).await?)
        })?),
    };
    session.close(context);
    Ok(answer(report.as_ref(), &here, &models, arguments.read_data))
}

fn answer(report: Option<&CheckReport>, here: &[String], models: &Models, read_data: bool) -> Answer {
    let nothing = CheckReport::default();
    let found = report.unwrap_or(&nothing);
    let json = json!({ "check": {
        "partitions": found.partitions,
        "entries": found.entries,
        "bytesRead": found.bytes_read,
        "orphans": found.orphans,
        "orphanBytes": found.orphan_bytes,
        "damageTotal": found.damage_total,
        "damage": found.damage.iter().map(|damage| damage_json(damage, models)).collect::<Vec<_>>(),
        "here": here,
    }});
    let mut page = Page::default();
    for damage in found.damage.iter().take(DAMAGE_SHOWN_MAX) {
        page.text_line(damage_line(damage, models), Tone::Attention);
    }
    let left_out = found.damage_total.saturating_sub(DAMAGE_SHOWN_MAX as u64);
    if left_out > 0 {
        page.text_line(format!("… and {left_out} more"), Tone::Attention);
    }
    for fault in here {
        page.text_line(format!("this machine: {fault}"), Tone::Attention);
    }
    let is_sound = found.damage_total == 0 && here.is_empty();
    page.text_line(sentence(report, here), if is_sound { Tone::Good } else { Tone::Attention });
    if is_sound {
        return Answer::new(json, page);
    }
    if found.damage_total > 0 {
        // What only reading has found is found by reading alone.
        let read_data = if read_data { " --read-data" } else { "" };
        page.hint(format!("peat datastore repair{read_data} --dry-run says what this machine can make good"));
    }
    let total = found.damage_total + here.len() as u64;
    let message = if total == 1 { "1 damage was found".to_owned() } else { format!("{total} damages were found") };
    let mut json = json;
    json["error"] = error_json(ExitCode::Corrupt, &message)["error"].take();
    Answer::new(json, page).failing(ExitCode::Corrupt, message)
}

fn sentence(report: Option<&CheckReport>, here: &[String]) -> String {
    let local = if here.is_empty() { "this machine's store is sound" } else { "this machine's store is damaged" };
    let Some(found) = report else { return local.to_owned() };
    let mut sentence = format!("{} versions in {} partitions were checked", found.entries, found.partitions);
    if found.bytes_read > 0 {
        sentence.push_str(&format!(", {} read", short_size(found.bytes_read)));
    }
    if found.orphans > 0 {
        sentence.push_str(&format!(
            "; {} objects ({}) that nothing names, which `peat datastore compact` deletes in time",
            found.orphans,
            short_size(found.orphan_bytes)
        ));
    }
    format!("{sentence}; {local}")
}

/// A damage, for a person.
fn damage_line(damage: &Damage, models: &Models) -> String {
    let whose = match model_of(damage, models) {
        Some(model) => format!("{model}: "),
        None => String::new(),
    };
    let mut line = format!("{whose}{} {}: {}", part_name(damage.part), damage.key, damage.what);
    if damage.versions_total > 0 {
        let named = damage.versions.iter().take(VERSIONS_NAMED_MAX);
        let named: Vec<String> = named.map(|version| super::repair::told(&version.reference)).collect();
        let rest = damage.versions_total - named.len() as u64;
        line.push_str(&match (named.is_empty(), rest) {
            (true, rest) => format!(" ({rest} versions)"),
            (false, 0) => format!(" ({})", named.join(", ")),
            (false, rest) => format!(" ({} and {rest} more)", named.join(", ")),
        });
    }
    line
}

fn damage_json(damage: &Damage, models: &Models) -> Value {
    let versions: Vec<Value> = damage
        .versions
        .iter()
        .map(|version| json!({ "name": version.reference.name, "version": version.reference.version }))
        .collect();
    json!({
        "partition": damage.partition,
        "model": model_of(damage, models),
        "part": part_name(damage.part),
        "key": damage.key,
        "what": damage.what,
        "versions": versions,
        "versionsTotal": damage.versions_total,
    })
}

fn part_name(part: DamagedPart) -> &'static str {
    match part {
        DamagedPart::Root => "root",
        DamagedPart::Head => "head",
        DamagedPart::Segment => "segment",
        DamagedPart::Content => "content",
        DamagedPart::Totals => "totals",
    }
}

fn model_of<'a>(damage: &Damage, models: &'a Models) -> Option<&'a ModelName> {
    super::repair::model_of(damage.partition.as_ref(), models)
}
