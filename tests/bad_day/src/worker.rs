//! Jobs and pipelines: threads that start one process after the other and write down what became of it.

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use peat_end_to_end_tests::Checkout;
use serde_json::Value;

/// The namespace that is moved to in the middle of the day.
pub(crate) const TARGET: &str = "afternoon";

/// How long a run waits for its lease.
const LOCK_TIMEOUT: &str = "30s";

/// Exit codes of the manual: denied (the namespace is somewhere else now).
const DENIED: i32 = 7;

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// One run of the day.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// Who ran it.
    pub worker: usize,
    /// What it wrote to.
    pub model: String,
    /// What it wrote.
    pub marker: u64,
    /// Since the beginning of the day, milliseconds.
    pub began_ms: u64,
    /// How long it took, milliseconds.
    pub took_ms: u64,
    /// Its exit code; none when it was killed.
    pub code: Option<i32>,
    /// Its report, when it had one.
    pub report: Option<Value>,
}

/// What all workers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) began: Instant,
    pub(crate) is_over: AtomicBool,
    pub(crate) markers: AtomicU64,
    pub(crate) runs: Mutex<Vec<Run>>,
    /// Processes under way, for whoever kills.
    pub(crate) living: Mutex<Vec<Arc<Mutex<Child>>>>,
}

impl Shared {
    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Sleeps, or less when the day ends.
    pub(crate) fn sleep(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.is_over() {
            std::thread::sleep(LOOK.min(until.saturating_duration_since(Instant::now())));
        }
    }
}

/// One thread of the day: the same models again and again.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) number: usize,
    pub(crate) checkout: Checkout,
    /// A job has one, a pipeline one for each of its steps.
    pub(crate) models: Vec<String>,
    /// From the end of one round to the next.
    pub(crate) pause: Duration,
}

impl Worker {
    pub(crate) fn work(&self, shared: &Shared) {
        while !shared.is_over() {
            for model in &self.models {
                let code = self.run(shared, model);
                if code == Some(DENIED) {
                    self.follow();
                }
                if code != Some(0) || shared.is_over() {
                    // A pipeline ends at a step that failed, and begins again.
                    break;
                }
            }
            shared.sleep(self.pause);
        }
    }

    fn run(&self, shared: &Shared, model: &str) -> Option<i32> {
        let marker = shared.markers.fetch_add(1, Ordering::Relaxed);
        let words = ["model", "method", "run", model, "execute", "--lock-timeout", LOCK_TIMEOUT, "--json"];
        let began_ms = shared.elapsed_ms();
        let mut command = self.checkout.command(&words);
        command.env("MARKER", marker.to_string()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the binary starts");
        let mut stdout = child.stdout.take().expect("it is piped");
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            // A process that was killed leaves half of it.
            let _ = std::io::Read::read_to_string(&mut stdout, &mut text);
            text
        });
        let child = Arc::new(Mutex::new(child));
        locked(&shared.living).push(Arc::clone(&child));
        let status = loop {
            if let Some(status) = locked(&child).try_wait().expect("it is our child") {
                break status;
            }
            std::thread::sleep(LOOK);
        };
        locked(&shared.living).retain(|living| !Arc::ptr_eq(living, &child));
        let report = serde_json::from_str(&reader.join().unwrap_or_default()).ok();
        locked(&shared.runs).push(Run {
            worker: self.number,
            model: model.to_owned(),
            marker,
            began_ms,
            took_ms: shared.elapsed_ms() - began_ms,
            code: status.code(),
            report,
        });
        status.code()
    }

    /// What the refusal says to do.
    fn follow(&self) {
        // While the move is under way the new name is not in use yet, and it is tried again after the next refusal.
        let _ = self.checkout.peat(&["datastore", "namespace", "set", TARGET]);
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
