//! `peat datastore hydrate`: brings what a lazy sync left, now or in the background, or stops the background.

use peat_core::hold::unless_interrupted;
use peat_core::interrupt::Interrupt;
use peat_core::ports::LocalStore as _;
use peat_core::sync::{SyncError, SyncReport, hydrate as hydrate_all};
use serde_json::json;

use super::sync::{answer, partitions};
use crate::arguments::DatastoreHydrate;
use crate::composition::{
    Context, GiveWay, Hydrating, HydrationNote, Session, become_background, hydration_holder, run_async, wait_for_stop,
};
use crate::failure::Failure;
use crate::rendering::{Answer, Page, Tone, short_size};

/// Does what was asked.
pub(super) fn hydrate(context: &Context, arguments: &DatastoreHydrate) -> Result<Answer, Failure> {
    if arguments.in_background {
        become_background();
    }
    let repository = context.repository()?;
    let scope = partitions(&repository, &arguments.models)?;
    let session = Session::open(context, repository)?;
    if session.repository.shared_datastore().is_none() {
        let mut page = Page::default();
        page.line("the datastore is local: everything is here");
        return Ok(Answer::new(json!({ "sync": null }), page));
    }
    if arguments.stop {
        return stop(&session);
    }
    if arguments.in_background {
        return in_background(session);
    }
    let store = session.store_path();
    let hydrating = Hydrating::take_over(&store, &session.store)?;
    HydrationNote::default().keep(&session.store)?;
    let hydrated = run_async(async |interrupt| {
        let ports = session.sync_ports(session.shared_unless_interrupted(&interrupt).await?);
        Ok(Box::pin(hydrate_all(&ports, scope.as_deref(), None, &interrupt)).await)
    })?;
    drop((hydrating, session));
    answer(hydrated)
}

fn stop(session: &Session) -> Result<Answer, Failure> {
    let was_running = hydration_holder(&session.store_path())?.is_some();
    drop(Hydrating::take_over(&session.store_path(), &session.store)?);
    let missing = session.store.missing_total(None)?;
    let mut page = Page::default();
    page.text_line(if was_running { "stopped" } else { "nothing was running; it stays so" }, Tone::Good);
    if missing.entries > 0 {
        page.line(format!("the content of {} entries ({}) is not here", missing.entries, short_size(missing.bytes)));
    }
    page.hint("peat datastore hydrate goes on");
    let missing = json!({ "entries": missing.entries, "bytes": missing.bytes });
    Ok(Answer::new(json!({ "hydration": { "wasRunning": was_running, "stopped": true, "missing": missing } }), page))
}

/// As the process that a command has left behind.
fn in_background(mut session: Session) -> Result<Answer, Failure> {
    session.is_background();
    let silent = || Answer::new(json!({ "sync": null }), Page::default());
    let store = session.store_path();
    let Some(_hydrating) = Hydrating::take(&store)? else { return Ok(silent()) };
    if HydrationNote::of(&session.store)?.stopped {
        return Ok(silent());
    }
    let ended = run_async(async |interrupt: Interrupt| {
        let give_way = GiveWay::new(&store);
        let work = async {
            let ports = session.sync_ports(session.shared().await?);
            Ok::<_, Failure>(Box::pin(hydrate_all(&ports, None, Some(&give_way), &interrupt)).await?)
        };
        let work = std::pin::pin!(work);
        let stop = std::pin::pin!(wait_for_stop(&session.store));
        let either = futures::future::select(work, stop);
        match unless_interrupted(&interrupt, either).await {
            Some(futures::future::Either::Left((done, _))) => done.map(Some),
            _ => Ok(None),
        }
    });
    note(&session, &ended)?;
    ended.map(|_| silent())
}

fn note(session: &Session, ended: &Result<Option<SyncReport>, Failure>) -> Result<(), Failure> {
    let failure = match ended {
        Ok(_) => None,
        Err(Failure::Interrupted) => None,
        Err(Failure::Sync(error)) => match &**error {
            SyncError::Incomplete { failures, .. } => Some(failures.to_string()),
            SyncError::Interrupted { .. } => None,
            other => Some(other.to_string()),
        },
        Err(failure) => Some(failure.to_string()),
    };
    let note = HydrationNote { ended_at_ms: Some(session.now_ms()), failure, ..HydrationNote::of(&session.store)? };
    note.keep(&session.store)
}
