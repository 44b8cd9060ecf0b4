//! How fast work goes, and how long the rest of it will take.

use std::time::{Duration, Instant};

use peat_core::ports::{Progress, ProgressUnit};

use super::{short_duration, short_size};

/// Before so much time has passed a rate says nothing.
const SETTLING: Duration = Duration::from_secs(2);

/// Watches one piece of work after the other.
#[derive(Debug, Default)]
pub(super) struct Rate {
    work: Option<Work>,
}

#[derive(Debug)]
struct Work {
    message: String,
    since: Instant,
    done_before: u64,
}

impl Rate {
    /// Rate and time left of the work that `progress` is about, when they can be told.
    pub(super) fn of(&mut self, progress: &Progress, now: Instant) -> Option<String> {
        let is_same = |work: &&Work| work.message == progress.message && work.done_before <= progress.done;
        let Some(work) = self.work.as_ref().filter(is_same) else {
            self.work = Some(Work { message: progress.message.clone(), since: now, done_before: progress.done });
            return None;
        };
        let passed = now.saturating_duration_since(work.since);
        let done = progress.done - work.done_before;
        if passed < SETTLING || done == 0 {
            return None;
        }
        let a_second = done as f64 / passed.as_secs_f64();
        let rate = match progress.unit {
            ProgressUnit::Bytes => format!("{}/s", short_size(a_second as u64)),
            ProgressUnit::Items => format!("{a_second:.1}/s"),
        };
        let left = progress.total.map(|total| total.saturating_sub(progress.done)).filter(|left| *left > 0);
        Some(match left {
            Some(left) => format!("{rate}, {} left", short_duration((left as f64 / a_second * 1000.0) as u64)),
            None => rate,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_told_once_it_has_settled_and_begins_anew_with_other_work() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let progress = |message: &str, done| Progress {
            message: message.to_owned(),
            done,
            total: Some(10 * 1024 * 1024),
            unit: ProgressUnit::Bytes,
            objects: None,
        };
        let mut rate = Rate::default();
        assert_eq!(rate.of(&progress("fetching", 0), at(0)), None);
        assert_eq!(rate.of(&progress("fetching", 1024 * 1024), at(1)), None);
        let told = rate.of(&progress("fetching", 5 * 1024 * 1024), at(5)).unwrap();
        assert!(told.starts_with("1.0 MiB/s, ") && told.ends_with(" left"), "{told}");
        assert_eq!(rate.of(&progress("fetching", 10 * 1024 * 1024), at(10)).unwrap(), "1.0 MiB/s");
        assert_eq!(rate.of(&progress("other work", 1), at(11)), None);
        assert_eq!(rate.of(&progress("other work", 0), at(20)), None, "work that began again has no rate yet");
    }
}
