//! `peat:host/progress`: reports of a guest, at most one each [`PROGRESS_INTERVAL`].

use peat_core::ports::{Progress, ProgressUnit};

use crate::bindings::imports::interfaces::progress::{Host, Unit, Update};
use crate::convert::text::line;
use crate::limits::PROGRESS_INTERVAL;
use crate::state::GuestState;

impl Host for GuestState {
    fn report(&mut self, update: Update) -> wasmtime::Result<()> {
        if !is_due(&mut self.progress_at_ms, self.services.clock.elapsed_ms(), &update) {
            return Ok(());
        }
        self.services.observer.progress(Progress {
            message: line(&update.message),
            done: update.done,
            total: update.total,
            unit: match update.unit {
                Unit::Items => ProgressUnit::Items,
                Unit::Bytes => ProgressUnit::Bytes,
            },
            objects: None,
        });
        Ok(())
    }
}

/// Whether a report is passed on, and if it is, notes when.
pub(crate) fn is_due(last_ms: &mut Option<u64>, now_ms: u64, update: &Update) -> bool {
    let soon = |last: u64| now_ms.saturating_sub(last) < PROGRESS_INTERVAL.as_millis() as u64;
    // The last report of a piece of work is worth seeing however soon it comes.
    if last_ms.is_some_and(soon) && update.total != Some(update.done) {
        return false;
    }
    *last_ms = Some(now_ms);
    true
}
