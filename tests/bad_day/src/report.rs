//! What the day was like.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::worker::Run;

/// Problems that are printed; the rest is counted.
const PROBLEMS_SHOWN: usize = 20;

/// Something that was done to everybody.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) at_ms: u64,
    pub(crate) what: String,
}

impl Event {
    pub(crate) fn at(at_ms: u64, what: &str) -> Self {
        Self { at_ms, what: what.to_owned() }
    }
}

/// The day.
#[derive(Debug)]
pub struct Report {
    pub(crate) length: Duration,
    pub(crate) runs: Vec<Run>,
    pub(crate) events: Vec<Event>,
    requests: u64,
    /// What is not as it should be.
    pub problems: Vec<String>,
}

impl Report {
    pub(crate) fn new(
        length: Duration,
        runs: Vec<Run>,
        mut events: Vec<Event>,
        requests: u64,
        problems: Vec<String>,
    ) -> Self {
        events.sort_by_key(|event| event.at_ms);
        Self { length, runs, events, requests, problems }
    }

    /// Nothing acknowledged is lost, nothing is there twice, everything that was planned was done.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty() && ["the move is done", "the collection is done"].iter().all(|what| self.has(what))
    }

    /// Whether this happened.
    pub fn has(&self, what: &str) -> bool {
        self.events.iter().any(|event| event.what == what)
    }

    /// Runs that were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.runs.iter().filter(|run| run.code == Some(0)).count()
    }

    /// Runs that were killed.
    pub fn killed(&self) -> usize {
        self.runs.iter().filter(|run| run.code.is_none()).count()
    }

    /// The same for machines.
    pub fn to_json(&self) -> Value {
        let codes: BTreeMap<String, usize> = self.codes();
        json!({
            "seconds": self.length.as_secs(),
            "runs": self.runs.len(),
            "acknowledged": self.acknowledged(),
            "killed": self.killed(),
            "exitCodes": codes,
            "successRate": self.success_rate(),
            "runMs": self.percentiles_json(&self.times()),
            "waitMs": self.percentiles_json(&self.told("waitedMs")),
            "holdMs": self.percentiles_json(&self.told("heldMs")),
            "requests": self.requests,
            "events": self.events.iter().map(|event| json!({ "atMs": event.at_ms, "what": event.what })).collect::<Vec<_>>(),
            "problems": self.problems,
        })
    }

    /// Of those that nobody killed.
    fn success_rate(&self) -> f64 {
        self.acknowledged() as f64 / (self.runs.len() - self.killed()).max(1) as f64
    }

    fn codes(&self) -> BTreeMap<String, usize> {
        let mut codes = BTreeMap::new();
        for run in &self.runs {
            *codes.entry(run.code.map_or("killed".to_owned(), |code| code.to_string())).or_default() += 1;
        }
        codes
    }

    fn times(&self) -> Vec<u64> {
        sorted(self.runs.iter().filter(|run| run.code == Some(0)).map(|run| run.took_ms))
    }

    /// What runs say of themselves.
    fn told(&self, key: &str) -> Vec<u64> {
        sorted(self.runs.iter().filter_map(|run| run.report.as_ref()?["run"][key].as_u64()))
    }

    fn percentiles_json(&self, sorted: &[u64]) -> Value {
        json!({ "p50": percentile(sorted, 50), "p90": percentile(sorted, 90), "max": sorted.last() })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "a bad day of {} s, 13 jobs and 8 pipelines on 4 machines", self.length.as_secs())?;
        writeln!(
            formatter,
            "runs       {}: {} acknowledged, {} killed; of those not killed {:.1} % succeeded",
            self.runs.len(),
            self.acknowledged(),
            self.killed(),
            100.0 * self.success_rate()
        )?;
        for (code, count) in self.codes() {
            writeln!(formatter, "  exit {code:>6}  {count}")?;
        }
        for (name, times) in [("run", self.times()), ("wait", self.told("waitedMs")), ("hold", self.told("heldMs"))] {
            if let (Some(half), Some(most), Some(last)) = (percentile(&times, 50), percentile(&times, 90), times.last())
            {
                writeln!(formatter, "{name:<5} ms   median {half}, 90 % {most}, longest {last}")?;
            }
        }
        let per_run = self.requests as f64 / self.runs.len().max(1) as f64;
        writeln!(formatter, "requests   {}, {per_run:.1} a run", self.requests)?;
        for event in self.events.iter().filter(|event| event.what != "kill") {
            writeln!(formatter, "{:>7.1} s  {}", event.at_ms as f64 / 1_000.0, event.what)?;
        }
        for problem in self.problems.iter().take(PROBLEMS_SHOWN) {
            writeln!(formatter, "PROBLEM    {problem}")?;
        }
        let verdict = if self.is_good() {
            "every acknowledged write is there, once; nothing was repaired by hand".to_owned()
        } else {
            format!("{} problems", self.problems.len())
        };
        writeln!(formatter, "{verdict}")
    }
}

fn sorted(times: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut times: Vec<u64> = times.collect();
    times.sort_unstable();
    times
}

fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied()
}
