//! What precedes the first call of a guest, and may take seconds: compiling, making a bundle, waiting for another process
//! that does. Whoever watches is told when it does.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use peat_core::ports::{Observer, Progress, ProgressUnit};

/// What is ready sooner is not worth a report.
const QUIET: Duration = Duration::from_secs(1);

/// Waits for `preparing`, and reports when that takes over a second, and then that it is over. Cancel safe as it is.
pub(crate) async fn reported<T>(extension: &str, observer: &dyn Observer, preparing: impl Future<Output = T>) -> T {
    let mut preparing = pin!(preparing);
    if let Ok(prepared) = tokio::time::timeout(QUIET, preparing.as_mut()).await {
        return prepared;
    }
    observer.progress(report(format!("preparing {extension} for its first run")));
    let prepared = preparing.await;
    observer.progress(report("working".to_owned()));
    prepared
}

fn report(message: String) -> Progress {
    Progress { message, done: 0, total: None, unit: ProgressUnit::Items, objects: None }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::Notify;

    use super::*;

    #[derive(Default)]
    struct Watching {
        reports: Mutex<Vec<String>>,
        reported: Notify,
    }

    impl Observer for Watching {
        fn progress(&self, progress: Progress) {
            self.reports.lock().unwrap().push(progress.message);
            self.reported.notify_one();
        }

        fn warn(&self, _message: &str) {}
    }

    #[tokio::test]
    async fn what_takes_over_a_second_is_reported_and_its_end_too() {
        let watching = Watching::default();
        // Not ready before it is reported, however long that takes.
        let seven = reported("@a/b", &watching, async {
            watching.reported.notified().await;
            7
        });
        assert_eq!(seven.await, 7);
        assert_eq!(*watching.reports.lock().unwrap(), ["preparing @a/b for its first run", "working"]);
    }

    #[tokio::test]
    async fn what_is_ready_at_once_is_not() {
        let watching = Watching::default();
        assert_eq!(reported("@a/b", &watching, async { 7 }).await, 7);
        assert_eq!(*watching.reports.lock().unwrap(), [""; 0]);
    }
}
