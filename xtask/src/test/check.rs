//! Checks, what became of them, and the summary.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::count::Count;

/// What became of each check.
#[derive(Debug, Default)]
pub(super) struct Report {
    results: Vec<Finished>,
}

#[derive(Debug)]
struct Finished {
    name: String,
    result: Outcome,
    took: Duration,
}

#[derive(Debug)]
enum Outcome {
    Counted(Count),
    Broken(String),
    Skipped(String),
}

impl Report {
    /// A check that passes or fails as a whole.
    pub(super) fn check(&mut self, name: &str, body: impl FnOnce() -> Result<()>) {
        self.tests(name, || body().map(|()| Count { passed: 1, failed: 0 }));
    }

    /// A check that counts its tests. One that did not come to counting is one failure.
    pub(super) fn tests(&mut self, name: &str, body: impl FnOnce() -> Result<Count>) {
        println!("\n── {name}");
        let started = Instant::now();
        let result = match body() {
            Ok(count) => Outcome::Counted(count),
            Err(error) => {
                println!("{name} failed: {error:#}");
                Outcome::Broken(format!("{error:#}"))
            }
        };
        self.results.push(Finished { name: name.to_owned(), result, took: started.elapsed() });
    }

    /// Something that cannot be checked here; counts neither way.
    pub(super) fn skip(&mut self, name: &str, reason: &str) {
        let result = Outcome::Skipped(reason.to_owned());
        self.results.push(Finished { name: name.to_owned(), result, took: Duration::ZERO });
    }

    /// Prints one line a check and the totals.
    pub(super) fn print(&self) -> ExitCode {
        println!("\n── summary");
        let mut total = Count::default();
        for Finished { name, result, took } in &self.results {
            let (mark, detail) = match result {
                Outcome::Counted(count) => {
                    total.add(*count);
                    let detail = if count.passed + count.failed == 1 { String::new() } else { count.to_string() };
                    (if count.failed == 0 { "passed" } else { "FAILED" }, detail)
                }
                Outcome::Broken(reason) => {
                    total.add(Count { passed: 0, failed: 1 });
                    ("FAILED", reason.lines().next().unwrap_or_default().to_owned())
                }
                Outcome::Skipped(reason) => ("skipped", reason.clone()),
            };
            println!("{mark:<8} {name:<40} {:>6.1} s  {detail}", took.as_secs_f64());
        }
        println!("{total}");
        if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
