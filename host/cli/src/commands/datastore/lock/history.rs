//! `peat datastore lock history`: holds that are over. Those of this machine are its own records, the others what their
//! commands have committed of themselves.

use std::collections::BTreeMap;
use std::path::Path;

use peat_core::hold::{HoldEnding, HoldRecord};
use peat_core::identifiers::PartitionName;
use peat_core::run::RunStatus;
use serde_json::{Value, json};

use super::hold_json;
use super::plot::{Bar, page as plot_page, picture};
use crate::arguments::LockHistory;
use crate::commands::recorded::{Recorded, Wanted, recorded};
use crate::composition::{Context, Models, Session, run_interruptible, write_atomically};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone, short_duration, timestamp};

/// Holds that are shown, the newest: more than a picture can tell apart.
const HOLDS_MAX: usize = 5_000;

/// A hold and whose it was.
#[derive(Debug)]
struct Hold {
    record: HoldRecord,
    host: String,
    pid: u32,
    command: String,
    user: Option<String>,
}

/// What tells holds apart: a process takes a partition once at a time.
type Key = (u64, PartitionName, String, u32);

impl Hold {
    fn key(&self) -> Key {
        (self.record.acquired_at_ms, self.record.partition.clone(), self.host.clone(), self.pid)
    }
}

/// What a plot is written as.
#[derive(Debug, Clone, Copy)]
enum Format {
    Picture,
    Page,
}

/// Shows them, oldest first, and draws them.
pub(super) fn history(context: &Context, arguments: &LockHistory) -> Result<Answer, Failure> {
    let plot = match &arguments.plot {
        Some(path) => Some((path.as_path(), format_of(path)?)),
        None => None,
    };
    let repository = context.repository()?;
    let models = repository.models()?;
    let partition = match &arguments.model {
        Some(name) => Some(models.get(name)?.model.partition()),
        None => None,
    };
    let session = Session::open(context, repository)?;
    let since = u64::try_from(arguments.since.as_millis()).unwrap_or(u64::MAX);
    let since_ms = session.now_ms().saturating_sub(since);
    let wanted = Wanted { partition: partition.clone(), since_ms, limit: HOLDS_MAX };
    let of_all = run_interruptible(recorded(&session, &wanted))?;
    let mut holds: BTreeMap<Key, Hold> = BTreeMap::new();
    for (stored, recorded) in of_all {
        holds.extend(told_by(&stored.partition, recorded).into_iter().map(|hold| (hold.key(), hold)));
    }
    for mut hold in of_this_machine(&session)? {
        // They say more than what was committed before the hold was over: how it ended, and when.
        hold.user = holds.get(&hold.key()).and_then(|told| told.user.clone());
        holds.insert(hold.key(), hold);
    }
    session.close(context);
    let mut holds: Vec<Hold> = holds.into_values().collect();
    holds.retain(|hold| {
        let record = &hold.record;
        let is_wanted = partition.as_ref().is_none_or(|partition| record.partition == *partition);
        is_wanted && record.acquired_at_ms.saturating_add(record.held_ms) >= since_ms
    });
    let older = holds.len().saturating_sub(HOLDS_MAX);
    holds.drain(..older);
    if let Some((path, format)) = plot {
        let bars: Vec<Bar> = holds.iter().map(|hold| bar(hold, &models)).collect();
        let text = match format {
            Format::Picture => picture(&bars),
            Format::Page => plot_page(&bars),
        };
        write_atomically(path, text.as_bytes())?;
    }
    Ok(answer(&holds, older, &models, plot.map(|(path, _)| path)))
}

fn format_of(path: &Path) -> Result<Format, Failure> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => Ok(Format::Picture),
        Some("html") => Ok(Format::Page),
        _ => Err(Failure::InvalidInput(format!(
            "--plot {}: name a file that ends with .svg (a picture) or .html (a page with a table)",
            path.display()
        ))),
    }
}

/// The holds that a record tells of.
fn told_by(partition: &PartitionName, recorded: Recorded) -> Vec<Hold> {
    match recorded {
        Recorded::Run(run) => {
            let Some(times) = run.hold else { return Vec::new() };
            let ending = if run.status == RunStatus::LeaseLost { HoldEnding::Lost } else { HoldEnding::Committed };
            let record = HoldRecord {
                partition: partition.clone(),
                acquired_at_ms: times.acquired_at_ms,
                waited_ms: run.waited_ms,
                held_ms: times.held_ms,
                ending,
            };
            let by = run.by;
            vec![Hold { record, host: by.host, pid: by.pid, command: by.command, user: Some(by.user) }]
        }
        Recorded::Command(entry) => {
            let by = entry.by;
            let hold = |record| Hold {
                record,
                host: by.host.clone(),
                pid: by.pid,
                command: by.command.clone(),
                user: Some(by.user.clone()),
            };
            entry.holds.into_iter().map(hold).collect()
        }
    }
}

fn of_this_machine(session: &Session) -> Result<Vec<Hold>, Failure> {
    let host = &session.actor().host;
    let commands = session.store.commands(0, u32::MAX)?;
    let holds = commands.into_iter().flat_map(|command| {
        let (host, pid, words) = (host.clone(), command.pid, command.command);
        command.holds.into_iter().map(move |record| Hold {
            record,
            host: host.clone(),
            pid,
            command: words.clone(),
            user: None,
        })
    });
    Ok(holds.collect())
}

/// The name of the model a partition belongs to, where it is defined.
fn named(partition: &PartitionName, models: &Models) -> String {
    let model = partition.model().and_then(|(_, id)| models.by_id(&id));
    model.map_or_else(|| partition.to_string(), |file| file.model.name.to_string())
}

fn bar(hold: &Hold, models: &Models) -> Bar {
    Bar {
        lane: named(&hold.record.partition, models),
        holder: format!("{} process {}", hold.host, hold.pid),
        what: hold.command.clone(),
        acquired_at_ms: hold.record.acquired_at_ms,
        waited_ms: hold.record.waited_ms,
        held_ms: (hold.record.ending != HoldEnding::TimedOut).then_some(hold.record.held_ms),
        ending: ending_word(hold.record.ending),
    }
}

fn ending_word(ending: HoldEnding) -> &'static str {
    match ending {
        HoldEnding::Committed => "committed",
        HoldEnding::GivenUp => "given up",
        HoldEnding::Lost => "lost",
        HoldEnding::TakenOver => "taken over",
        HoldEnding::TimedOut => "timed out",
    }
}

fn answer(holds: &[Hold], older: usize, models: &Models, plot: Option<&Path>) -> Answer {
    let mut page = Page::default();
    if holds.is_empty() {
        page.line("nobody has held anything, as far as this machine knows");
    } else {
        page.table(table(holds, models));
    }
    if older > 0 {
        page.hint(format!("{older} older holds are not shown; see fewer with --since or --model"));
    }
    if let Some(path) = plot {
        page.text_line(format!("drawn in {}", path.display()), Tone::Good);
    }
    let list: Vec<Value> = holds
        .iter()
        .map(|hold| {
            let mut json = hold_json(&hold.record);
            json["model"] =
                json!(hold.record.partition.model().and_then(|(_, id)| models.by_id(&id)).map(|file| &file.model.name));
            json["host"] = json!(hold.host);
            json["pid"] = json!(hold.pid);
            json["command"] = json!(hold.command);
            json["user"] = json!(hold.user);
            json
        })
        .collect();
    Answer::new(json!({ "holds": list, "older": older, "plot": plot }), page)
}

fn table(holds: &[Hold], models: &Models) -> Table {
    let mut table = Table::new(&["SINCE", "HELD", "WAITED", "FOR", "HOST", "PROCESS", "COMMAND", "ENDED"]);
    for hold in holds {
        let record = &hold.record;
        let tone = match record.ending {
            HoldEnding::Committed => Tone::Good,
            HoldEnding::GivenUp => Tone::Plain,
            HoldEnding::Lost | HoldEnding::TakenOver | HoldEnding::TimedOut => Tone::Bad,
        };
        table.row(vec![
            Cell::plain(timestamp(record.acquired_at_ms)),
            Cell::toned(named(&record.partition, models), Tone::Strong),
            Cell::number(short_duration(record.waited_ms)),
            Cell::number(short_duration(record.held_ms)),
            Cell::plain(&hold.host),
            Cell::number(hold.pid.to_string()),
            Cell::plain(&hold.command),
            Cell::toned(ending_word(record.ending), tone),
        ]);
    }
    table
}
