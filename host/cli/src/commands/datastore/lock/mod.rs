//! `peat datastore lock`: leases seen from outside.

mod history;
mod plot;
mod release;
mod run;
mod status;

use peat_core::hold::HoldRecord;
use peat_core::lease::{Holder, LeaseStatus};
use peat_core::ports::Datastore;
use serde_json::{Value, json};

use crate::arguments::LockCommand;
use crate::composition::{Context, Session};
use crate::failure::Failure;
use crate::rendering::{Answer, timestamp};

/// Pages of leases that are read: more leases at once than any namespace has, fewer than a store that repeats itself would
/// make endless.
const PAGES_MAX: usize = 10_000;

pub(super) fn dispatch(context: &Context, command: LockCommand) -> Result<Answer, Failure> {
    match command {
        LockCommand::Status(arguments) => status::status(context, &arguments),
        LockCommand::History(arguments) => history::history(context, &arguments),
        LockCommand::Release(arguments) => release::release(context, &arguments),
        LockCommand::Run(arguments) => run::run(context, &arguments),
    }
}

/// The shared datastore, which must be one with leases.
async fn with_leases<'a>(session: &'a Session, what: &str) -> Result<&'a dyn Datastore, Failure> {
    let datastore = session.datastore().await?.ok_or_else(|| {
        Failure::InvalidInput(format!(
            "the datastore is local and has no leases: {what} needs a shared one. On this machine the kernel frees the \
             lock of a process that ends"
        ))
    })?;
    if !datastore.features().locks {
        return Err(Failure::InvalidInput(format!(
            "the datastore extension has no leases: {what} needs one that has; its writers are kept apart on this machine \
             alone"
        )));
    }
    Ok(datastore)
}

/// Every lease that somebody holds.
pub(super) async fn all_leases(datastore: &dyn Datastore) -> Result<Vec<LeaseStatus>, Failure> {
    let mut leases = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let page = datastore.inspect_leases(cursor.as_deref()).await?;
        leases.extend(page.leases);
        if page.cursor.is_none() || page.cursor == cursor {
            return Ok(leases);
        }
        cursor = page.cursor;
    }
    Err(Failure::Corrupt("the datastore extension never comes to the end of its leases".to_owned()))
}

pub(super) fn lease_json(lease: &LeaseStatus) -> Value {
    let waiting: Vec<Value> = lease
        .queue
        .iter()
        .map(|waiter| {
            let mut json = holder_json(&waiter.holder);
            json["since"] = json!(timestamp(waiter.since_ms));
            json
        })
        .collect();
    json!({
        "partition": lease.partition,
        "epoch": lease.epoch.0,
        "nonce": lease.nonce,
        "state": state(lease),
        "holder": holder_json(&lease.holder),
        "ttlMs": u64::try_from(lease.ttl.as_millis()).unwrap_or(u64::MAX),
        "acquiredAt": timestamp(lease.acquired_at_ms),
        "renewedAt": timestamp(lease.renewed_at_ms),
        "waiting": waiting,
    })
}

/// The JSON of a hold that is over.
pub(in crate::commands) fn hold_json(hold: &HoldRecord) -> Value {
    json!({
        "partition": hold.partition,
        "acquiredAt": timestamp(hold.acquired_at_ms),
        "waitedMs": hold.waited_ms,
        "heldMs": hold.held_ms,
        "ending": hold.ending,
    })
}

fn holder_json(holder: &Holder) -> Value {
    json!({ "host": holder.host, "pid": holder.pid, "command": holder.command })
}

pub(super) fn state(lease: &LeaseStatus) -> &'static str {
    if lease.stale { "stale" } else { "live" }
}

/// `ada, process 4711 (model method run web check)`.
pub(super) fn named(holder: &Holder) -> String {
    format!("{}, process {} ({})", holder.host, holder.pid, holder.command)
}
