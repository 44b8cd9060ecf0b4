//! `peat datastore lock status`: who holds and who waits. Takes no lock.

use std::time::Duration;

use peat_core::hold::unless_interrupted;
use peat_core::identifiers::PartitionName;
use peat_core::lease::LeaseStatus;
use peat_core::ports::{LocalHolder, LocalQueue};
use serde_json::{Value, json};

use super::{all_leases, lease_json, named, state};
use crate::arguments::LockStatus;
use crate::composition::{Context, Session, run_async, run_interruptible};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone, short_duration, timestamp};

/// The shortest pause between two looks: a store that is asked more often has something better to do.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Shows every lease and its queue, once or until it is interrupted.
pub(super) fn status(context: &Context, arguments: &LockStatus) -> Result<Answer, Failure> {
    if !arguments.watch {
        let session = Session::open(context, context.repository()?)?;
        return run_interruptible(look(&session));
    }
    if arguments.interval < INTERVAL_MIN {
        let message = format!("--interval: at least {} ms", INTERVAL_MIN.as_millis());
        return Err(Failure::InvalidInput(message));
    }
    // What is shown again and again is progress enough.
    let context = context.quiet();
    let mut session = Session::open(&context, context.repository()?)?;
    session.is_background();
    run_async(async |interrupt| {
        loop {
            let Some(seen) = Box::pin(unless_interrupted(&interrupt, look(&session))).await else { break };
            // Whoever read it is gone.
            if !context.screen.frame(&seen?)? {
                break;
            }
            let pause = session.clock().sleep(arguments.interval);
            if unless_interrupted(&interrupt, pause).await.is_none() {
                break;
            }
        }
        Ok(Answer::printed())
    })
}

async fn look(session: &Session) -> Result<Answer, Failure> {
    let leases = match session.datastore().await? {
        Some(datastore) if datastore.features().locks => all_leases(datastore).await?,
        _ => Vec::new(),
    };
    let queues = session.local_queues()?;
    let now_ms = session.clock().now_ms();
    let locks: Vec<Value> = leases.iter().map(lease_json).collect();
    let local: Vec<Value> = queues.iter().map(queue_json).collect();
    Ok(Answer::new(json!({ "locks": locks, "local": local }), page(&leases, &queues, now_ms)))
}

fn queue_json((partition, queue): &(PartitionName, LocalQueue)) -> Value {
    let process =
        |found: &LocalHolder| json!({ "pid": found.pid, "command": found.command, "since": timestamp(found.since_ms) });
    let waiting: Vec<Value> = queue.waiting.iter().map(process).collect();
    json!({ "partition": partition, "holder": process(&queue.holder), "waiting": waiting })
}

fn page(leases: &[LeaseStatus], queues: &[(PartitionName, LocalQueue)], now_ms: u64) -> Page {
    let mut page = Page::default();
    leases_on(&mut page, leases, now_ms);
    if queues.is_empty() {
        return page;
    }
    page.heading("On this machine");
    let mut table = Table::new(&["PARTITION", "PROCESS", "COMMAND", "", "FOR"]);
    for (partition, queue) in queues {
        let mut row = |found: &LocalHolder, what: &str, tone| {
            table.row(vec![
                Cell::plain(partition.as_str()),
                Cell::number(found.pid.to_string()),
                Cell::plain(&found.command),
                Cell::toned(what, tone),
                Cell::number(short_duration(now_ms.saturating_sub(found.since_ms))),
            ]);
        };
        row(&queue.holder, "holds", Tone::Plain);
        queue.waiting.iter().for_each(|waiter| row(waiter, "waits", Tone::Attention));
    }
    page.table(table);
    page
}

fn leases_on(page: &mut Page, leases: &[LeaseStatus], now_ms: u64) {
    if leases.is_empty() {
        page.line("nobody holds a lease");
        return;
    }
    let ago = |then_ms: u64| short_duration(now_ms.saturating_sub(then_ms));
    for lease in leases {
        page.heading(lease.partition.as_str());
        let mut fields = Table::fields();
        fields.field("holder", named(&lease.holder));
        fields.field("state", state(lease));
        fields.field("nonce", &lease.nonce);
        fields.field("held since", format!("{} ({})", timestamp(lease.acquired_at_ms), ago(lease.acquired_at_ms)));
        fields.field("renewed", format!("{} ago, lasts {} s", ago(lease.renewed_at_ms), lease.ttl.as_secs()));
        page.table(fields);
        if !lease.queue.is_empty() {
            let mut table = Table::new(&["WAITING", "SINCE"]);
            for waiter in &lease.queue {
                table.row(vec![Cell::toned(named(&waiter.holder), Tone::Attention), Cell::plain(ago(waiter.since_ms))]);
            }
            page.table(table);
        }
    }
    if let Some(stale) = leases.iter().find(|lease| lease.stale) {
        page.hint(format!(
            "whoever needs a stale lease takes it over; to end it now: peat datastore lock release {} --holder {}",
            stale.partition, stale.nonce
        ));
    }
}
