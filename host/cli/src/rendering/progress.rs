//! Progress on stderr: appears when a command takes more than a moment, and only on a terminal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use peat_core::hold::HoldRecord;
use peat_core::ports::{Observer, Progress, ProgressUnit};

use super::plain_text::one_line;
use super::progress_rate::Rate;
use super::{Screen, short_size};

/// A command that ends sooner shows no progress.
const QUIET_TICKS: u32 = 10;

/// Holds that are remembered of one command: a sync may have one for every model, and nobody reads more.
const HOLDS_MAX: usize = 200;

/// Time between two drawings: ten a second look smooth and cost nothing.
const TICK: Duration = Duration::from_millis(100);

/// What a command has held so far.
pub(crate) type Holds = Arc<Mutex<Vec<HoldRecord>>>;

/// Shows progress until it is dropped.
#[derive(Debug)]
pub(crate) struct ProgressDisplay {
    screen: Screen,
    shared: Arc<Shared>,
    holds: Holds,
    drawer: Option<thread::JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    latest: Mutex<Option<Progress>>,
    warnings: Mutex<Vec<String>>,
    finished: AtomicBool,
}

impl ProgressDisplay {
    /// Starts; draws nothing where stderr is not a terminal. What was held is added to `holds`.
    pub(crate) fn start(screen: Screen, holds: Holds) -> Self {
        let shared = Arc::new(Shared::default());
        let drawer = screen.shows_progress().then(|| {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("progress".to_owned()).spawn(move || draw(screen, &shared)).ok()
        });
        Self { screen, shared, holds, drawer: drawer.flatten() }
    }
}

impl Observer for ProgressDisplay {
    fn progress(&self, progress: Progress) {
        tracing::debug!(message = progress.message, done = progress.done, total = progress.total, "progress");
        *self.shared.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }

    fn warn(&self, message: &str) {
        match &self.drawer {
            // A line in the middle of a drawing would tear it: the drawer prints it above.
            Some(_) => self.shared.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(message.to_owned()),
            None => self.screen.warn(message),
        }
    }

    fn held(&self, record: &HoldRecord) {
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        if holds.len() < HOLDS_MAX {
            holds.push(record.clone());
        }
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        self.shared.finished.store(true, Ordering::Release);
        if let Some(drawer) = self.drawer.take() {
            drawer.thread().unpark();
            let _ = drawer.join();
        }
    }
}

fn draw(screen: Screen, shared: &Shared) {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    bar.set_style(style);
    let mut tick = 0_u32;
    let mut rate = Rate::default();
    loop {
        let finished = shared.finished.load(Ordering::Acquire);
        let warnings = std::mem::take(&mut *shared.warnings.lock().unwrap_or_else(PoisonError::into_inner));
        for warning in warnings {
            bar.suspend(|| screen.warn(&warning));
        }
        if finished {
            break;
        }
        let latest = shared.latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let rate = latest.as_ref().and_then(|progress| rate.of(progress, Instant::now()));
        if tick >= QUIET_TICKS {
            let described = latest.as_ref().map_or_else(|| "working".to_owned(), describe);
            bar.set_message(rate.map_or_else(|| described.clone(), |rate| format!("{described}, {rate}")));
            bar.tick();
        }
        tick = tick.saturating_add(1);
        thread::park_timeout(TICK);
    }
    bar.finish_and_clear();
}

fn describe(progress: &Progress) -> String {
    let count = |number: u64| match progress.unit {
        ProgressUnit::Items => number.to_string(),
        ProgressUnit::Bytes => short_size(number),
    };
    let mut message = one_line(&progress.message);
    if let Some(objects) = progress.objects {
        message.push_str(&format!(" {} of {},", objects.done, objects.total));
    }
    match progress.total {
        Some(total) => format!("{message} {} of {}", count(progress.done), count(total)),
        None if progress.done > 0 => format!("{message} {}", count(progress.done)),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use peat_core::ports::Objects;

    use super::*;

    #[test]
    fn progress_counts_in_its_unit() {
        let mut progress = Progress {
            message: "fetching".to_owned(),
            done: 2048,
            total: Some(4096),
            unit: ProgressUnit::Bytes,
            objects: None,
        };
        assert_eq!(describe(&progress), "fetching 2.0 KiB of 4.0 KiB");
        let objects = Some(Objects { done: 3, total: 7 });
        assert_eq!(describe(&Progress { objects, ..progress.clone() }), "fetching 3 of 7, 2.0 KiB of 4.0 KiB");
        progress = Progress { done: 0, total: None, unit: ProgressUnit::Items, ..progress };
        assert_eq!(describe(&progress), "fetching");
    }
}
