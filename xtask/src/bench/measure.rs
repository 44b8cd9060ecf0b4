//! Repeated measurements of one thing.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

/// Measured but not counted: the first run finds cold caches of the system, which are not what is asked about.
const WARM_UP_RUNS: usize = 2;

/// A thing and how long it took, sorted.
#[derive(Debug)]
pub(super) struct Figure {
    name: String,
    took_ms: Vec<f64>,
}

impl Figure {
    /// Runs `once` so many times, after some for warming up.
    pub(super) fn measure(name: &str, runs: usize, mut once: impl FnMut() -> Result<Duration>) -> Result<Self> {
        for _ in 0..WARM_UP_RUNS {
            once()?;
        }
        let mut took_ms = Vec::with_capacity(runs);
        for _ in 0..runs {
            took_ms.push(once()?.as_secs_f64() * 1000.0);
        }
        took_ms.sort_by(f64::total_cmp);
        Ok(Self { name: name.to_owned(), took_ms })
    }

    /// The middle one.
    pub(super) fn median_ms(&self) -> f64 {
        self.took_ms[self.took_ms.len() / 2]
    }

    fn bounds_ms(&self) -> (f64, f64) {
        (self.took_ms[0], self.took_ms[self.took_ms.len() - 1])
    }

    /// For `results.json`.
    pub(super) fn to_json(&self) -> Value {
        let (least, most) = self.bounds_ms();
        let round = |value: f64| (value * 100.0).round() / 100.0;
        json!({
            "name": self.name,
            "runs": self.took_ms.len(),
            "median": round(self.median_ms()),
            "min": round(least),
            "max": round(most),
        })
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = self.bounds_ms();
        let Self { name, took_ms } = self;
        write!(formatter, "{name:<44} {:>9.1} {least:>9.1} {most:>9.1}  {}", self.median_ms(), took_ms.len())
    }
}
