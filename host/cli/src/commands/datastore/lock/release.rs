//! `peat datastore lock release`: ends somebody's lease, fenced. Takes no lock.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use peat_core::lease::LeaseStatus;
use serde_json::json;

use super::{all_leases, lease_json, named, state, with_leases};
use crate::arguments::LockRelease;
use crate::composition::{Context, Session, run_interruptible};
use crate::failure::Failure;
use crate::rendering::{Answer, Page, Tone};

/// Ends one lease. Its holder cannot commit afterwards, whatever it believes.
pub(super) fn release(context: &Context, arguments: &LockRelease) -> Result<Answer, Failure> {
    let session = Session::open(context, context.repository()?)?;
    let lease = run_interruptible(async {
        let leases = all_leases(with_leases(&session, "this command").await?).await?;
        chosen(leases, arguments)
    })?;
    if !lease.stale && !arguments.force && !confirmed(context, &lease) {
        return Err(Failure::InvalidInput(format!(
            "{} is held by {}, which is alive: it would lose what it is about to commit. End that process, wait for it, or \
             add --force",
            lease.partition,
            named(&lease.holder)
        )));
    }
    run_interruptible(async {
        let datastore = with_leases(&session, "this command").await?;
        datastore.break_lease(&lease.partition, &lease.nonce).await?;
        let summary = format!("ended the lease of {}, {}", named(&lease.holder), state(&lease));
        session.audit(&summary, std::slice::from_ref(&lease.partition)).await;
        Ok(())
    })?;
    drop(session);
    let mut page = Page::default();
    page.text_line(format!("released {}, which {} held", lease.partition, named(&lease.holder)), Tone::Good);
    Ok(Answer::new(json!({ "released": lease_json(&lease) }), page))
}

/// The lease that the arguments name, which must still be the one that the user saw.
fn chosen(leases: Vec<LeaseStatus>, arguments: &LockRelease) -> Result<LeaseStatus, Failure> {
    let held = leases.into_iter().find(|lease| lease.partition == arguments.partition);
    let lease = held.ok_or_else(|| {
        Failure::NotFound(format!(
            "nobody holds {}; `peat datastore lock status` shows what is held",
            arguments.partition
        ))
    })?;
    if lease.nonce != arguments.holder {
        return Err(Failure::NotFound(format!(
            "{} has changed hands: {} holds it now, with nonce {}; look again with `peat datastore lock status`",
            lease.partition,
            named(&lease.holder),
            lease.nonce
        )));
    }
    Ok(lease)
}

/// Asks where somebody can answer.
fn confirmed(context: &Context, lease: &LeaseStatus) -> bool {
    if context.screen.is_json() || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return false;
    }
    let mut terminal = io::stderr().lock();
    let question = format!(
        "{} is held by {}, which is alive. It will lose its lease and commit nothing. Release it? [y/N] ",
        lease.partition,
        named(&lease.holder)
    );
    if terminal.write_all(question.as_bytes()).and_then(|()| terminal.flush()).is_err() {
        return false;
    }
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}
