//! `peat run logs`.

use peat_core::content::{SharedContent, in_memory, read_all};
use peat_core::identifiers::{DataName, RunId};
use peat_core::run::LOG_BYTES_MAX;
use serde_json::json;

use super::{find, unknown};
use crate::composition::{Context, Session, run_interruptible};
use crate::failure::Failure;
use crate::rendering::{Answer, Page};

/// Largest log that is read, in bytes: what a run may keep, and the note about what it did not.
const LOG_READ_BYTES_MAX: u64 = LOG_BYTES_MAX + 64 * 1024;

/// Prints the log of a run. A run that logged nothing has an empty log.
pub(super) fn logs(context: &Context, run: &RunId) -> Result<Answer, Failure> {
    let session = Session::open(context, context.repository()?)?;
    let content: SharedContent = run_interruptible(async {
        find(&session, &DataName::run_record(run)).await?.ok_or_else(|| unknown(run))?;
        match find(&session, &DataName::run_log(run)).await? {
            None => Ok(in_memory(Vec::new())),
            Some(stored) => session.content(&stored).await,
        }
    })?;
    session.close(context);
    let mut page = Page::default();
    if content.size() == 0 {
        page.hint("this run logged nothing");
    }
    let mut json = json!({ "run": run });
    if context.screen.is_json() {
        let bytes = read_all(&*content, LOG_READ_BYTES_MAX)
            .map_err(|error| Failure::Corrupt(format!("the log of run {run} cannot be read: {error}")))?;
        json["log"] = json!(String::from_utf8_lossy(&bytes));
    }
    Ok(Answer::new(json, page).with_content(content, false))
}
