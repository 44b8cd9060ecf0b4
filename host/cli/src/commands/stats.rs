//! `peat stats`: what recent commands of this machine cost.

use peat_core::hold::{HoldEnding, HoldRecord};
use peat_core::statistics::{CacheUse, CommandRecord, Requests};
use serde_json::{Value, json};

use super::datastore::lock::hold_json;
use crate::arguments::Stats;
use crate::composition::{Context, Session};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone, short_duration, short_size, timestamp};

/// Which percentiles are told.
const PERCENTILES: [u64; 3] = [50, 90, 99];

/// Shows them, newest first, and what they cost together.
pub(super) fn stats(context: &Context, arguments: &Stats) -> Result<Answer, Failure> {
    let session = Session::open(context, context.repository()?)?;
    let since_ms = arguments
        .since
        .map_or(0, |since| session.now_ms().saturating_sub(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)));
    let commands = session.store.commands(since_ms, arguments.last)?;
    drop(session);
    let mut page = Page::default();
    if commands.is_empty() {
        page.hint("no command has used a datastore or run a method yet; listings are not counted");
    } else {
        page.table(table(&commands));
        page.heading("Together");
        page.table(totals(&commands));
    }
    let list: Vec<Value> = commands.iter().map(command_json).collect();
    Ok(Answer::new(json!({ "commands": list, "totals": totals_json(&commands) }), page))
}

fn table(commands: &[CommandRecord]) -> Table {
    let mut table = Table::new(&["BEGAN", "COMMAND", "EXIT", "TOOK", "REQUESTS", "SENT", "RECEIVED", "WAITED", "HELD"]);
    for command in commands {
        let tone = if command.exit_code == 0 { Tone::Plain } else { Tone::Bad };
        let sum = |of: fn(&HoldRecord) -> u64| command.holds.iter().map(of).max();
        let longest = |of| Cell::number(sum(of).map(short_duration).unwrap_or_default());
        table.row(vec![
            Cell::plain(timestamp(command.began_at_ms)),
            Cell::toned(&command.command, Tone::Strong),
            Cell::toned(command.exit_code.to_string(), tone),
            Cell::number(short_duration(command.duration_ms)),
            Cell::number(command.requests.total().to_string()),
            Cell::number(short_size(command.bytes_sent)),
            Cell::number(short_size(command.bytes_received)),
            longest(|hold| hold.waited_ms),
            longest(|hold| hold.held_ms),
        ]);
    }
    table
}

fn totals(commands: &[CommandRecord]) -> Table {
    let sum = Sum::of(commands);
    let mut fields = Table::fields();
    fields.field("commands", format!("{}, {} of them failed", commands.len(), sum.failed));
    let Requests { reads, range_reads, writes, copies, listings, deletions } = sum.requests;
    let kinds = [
        (reads, "reads"),
        (range_reads, "reads of parts"),
        (writes, "writes"),
        (copies, "copies"),
        (listings, "listings"),
        (deletions, "deletions"),
    ];
    let kinds: Vec<String> =
        kinds.iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}")).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) };
    fields.field("requests", format!("{}{kinds}", sum.requests.total()));
    fields.field("bytes", format!("{} sent, {} received", short_size(sum.sent), short_size(sum.received)));
    fields.field("content brought", format!("{} in {} contents", short_size(sum.hydrated_bytes), sum.hydrated));
    fields.field("extensions loaded", found_words(sum.compiled, "compiled before"));
    fields.field("replica", found_words(sum.replica, "found"));
    for (name, values) in [("waited for a hold", &sum.waits), ("held", &sum.holds)] {
        fields.field(name, percentile_words(values));
    }
    fields
}

/// What commands cost together.
#[derive(Default)]
struct Sum {
    failed: usize,
    requests: Requests,
    sent: u64,
    received: u64,
    hydrated: u64,
    hydrated_bytes: u64,
    compiled: CacheUse,
    replica: CacheUse,
    /// Of every hold, sorted.
    waits: Vec<u64>,
    /// Of every hold, sorted.
    holds: Vec<u64>,
}

impl Sum {
    fn of(commands: &[CommandRecord]) -> Self {
        let mut sum = Self::default();
        for command in commands {
            sum.failed += usize::from(command.exit_code != 0);
            let (requests, of) = (&mut sum.requests, command.requests);
            requests.reads += of.reads;
            requests.range_reads += of.range_reads;
            requests.writes += of.writes;
            requests.copies += of.copies;
            requests.listings += of.listings;
            requests.deletions += of.deletions;
            sum.sent += command.bytes_sent;
            sum.received += command.bytes_received;
            sum.hydrated += command.hydrated;
            sum.hydrated_bytes += command.hydrated_bytes;
            for (cache, of) in [(&mut sum.compiled, command.compiled), (&mut sum.replica, command.replica)] {
                cache.hits += of.hits;
                cache.misses += of.misses;
            }
            sum.waits.extend(command.holds.iter().map(|hold| hold.waited_ms));
            let held = command.holds.iter().filter(|hold| hold.ending != HoldEnding::TimedOut);
            sum.holds.extend(held.map(|hold| hold.held_ms));
        }
        sum.waits.sort_unstable();
        sum.holds.sort_unstable();
        sum
    }
}

/// The value that so many of a hundred do not exceed (nearest rank); none of nothing.
fn percentile(sorted: &[u64], percent: u64) -> Option<u64> {
    let rank = (sorted.len() as u64 * percent).div_ceil(100);
    sorted.get(usize::try_from(rank.max(1) - 1).ok()?).copied()
}

fn percentile_words(sorted: &[u64]) -> String {
    let Some(longest) = sorted.last() else { return "nothing".to_owned() };
    let mut words: Vec<String> = PERCENTILES
        .iter()
        .filter_map(|percent| Some(format!("{} ({percent} %)", short_duration(percentile(sorted, *percent)?))))
        .collect();
    words.push(format!("{} (longest)", short_duration(*longest)));
    words.join(", ")
}

fn found_words(cache: CacheUse, found: &str) -> String {
    format!("{} of {} {found}", cache.hits, cache.hits + cache.misses)
}

fn command_json(command: &CommandRecord) -> Value {
    let holds: Vec<Value> = command.holds.iter().map(hold_json).collect();
    json!({
        "command": command.command,
        "pid": command.pid,
        "beganAt": timestamp(command.began_at_ms),
        "durationMs": command.duration_ms,
        "exitCode": command.exit_code,
        "datastore": command.datastore,
        "requests": requests_json(command.requests),
        "bytesSent": command.bytes_sent,
        "bytesReceived": command.bytes_received,
        "contentsBrought": command.hydrated,
        "contentBytesBrought": command.hydrated_bytes,
        "compiled": command.compiled,
        "replica": command.replica,
        "holds": holds,
    })
}

fn totals_json(commands: &[CommandRecord]) -> Value {
    let sum = Sum::of(commands);
    let percentiles = |sorted: &[u64]| {
        let mut json = json!({ "count": sorted.len(), "max": sorted.last() });
        for percent in PERCENTILES {
            json[format!("p{percent}")] = json!(percentile(sorted, percent));
        }
        json
    };
    json!({
        "commands": commands.len(),
        "failed": sum.failed,
        "requests": requests_json(sum.requests),
        "bytesSent": sum.sent,
        "bytesReceived": sum.received,
        "contentsBrought": sum.hydrated,
        "contentBytesBrought": sum.hydrated_bytes,
        "compiled": sum.compiled,
        "replica": sum.replica,
        "waitedMs": percentiles(&sum.waits),
        "heldMs": percentiles(&sum.holds),
    })
}

fn requests_json(requests: Requests) -> Value {
    let mut json = json!(requests);
    json["total"] = json!(requests.total());
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<u64> = (1..=10).collect();
        assert_eq!(PERCENTILES.map(|percent| percentile(&values, percent)), [Some(5), Some(9), Some(10)]);
        assert_eq!(percentile(&[7], 50), Some(7));
        assert_eq!(percentile(&[], 50), None);
    }
}
