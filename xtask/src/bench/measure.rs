//! Repeated measurements of one thing.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

/// Measured but not counted: the first run finds cold caches of the system, which are not what is asked about.
const WARM_UP_RUNS: usize = 2;

/// A thing and what was measured of it, sorted.
#[derive(Debug)]
pub(super) struct Figure {
    name: String,
    unit: &'static str,
    values: Vec<f64>,
}

impl Figure {
    /// Runs `once` so many times, after some for warming up; in milliseconds.
    pub(super) fn measure(name: &str, runs: usize, mut once: impl FnMut() -> Result<Duration>) -> Result<Self> {
        for _ in 0..WARM_UP_RUNS {
            once()?;
        }
        let values = (0..runs).map(|_| Ok(once()?.as_secs_f64() * 1000.0)).collect::<Result<Vec<f64>>>()?;
        Ok(Self::of(name, "ms", values))
    }

    /// Two things in turn, so that what else the machine does meets both.
    pub(super) fn measure_both(
        names: [&str; 2],
        runs: usize,
        mut first: impl FnMut() -> Result<Duration>,
        mut second: impl FnMut() -> Result<Duration>,
    ) -> Result<[Self; 2]> {
        for _ in 0..WARM_UP_RUNS {
            first()?;
            second()?;
        }
        let mut values = [Vec::with_capacity(runs), Vec::with_capacity(runs)];
        for _ in 0..runs {
            values[0].push(first()?.as_secs_f64() * 1000.0);
            values[1].push(second()?.as_secs_f64() * 1000.0);
        }
        let [of_first, of_second] = values;
        Ok([Self::of(names[0], "ms", of_first), Self::of(names[1], "ms", of_second)])
    }

    /// Of values that were measured elsewhere; there is at least one.
    pub(super) fn of(name: &str, unit: &'static str, mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self { name: name.to_owned(), unit, values }
    }

    /// The middle one.
    pub(super) fn median(&self) -> f64 {
        self.values[self.values.len() / 2]
    }

    fn bounds(&self) -> (f64, f64) {
        (self.values[0], self.values[self.values.len() - 1])
    }

    /// For `results.json`.
    pub(super) fn to_json(&self) -> Value {
        let (least, most) = self.bounds();
        let round = |value: f64| (value * 100.0).round() / 100.0;
        json!({
            "name": self.name,
            "unit": self.unit,
            "runs": self.values.len(),
            "median": round(self.median()),
            "min": round(least),
            "max": round(most),
        })
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = self.bounds();
        let Self { name, unit, values } = self;
        let median = self.median();
        write!(formatter, "{name:<52} {median:>9.1} {least:>9.1} {most:>9.1}  {unit:<4}  {}", values.len())
    }
}
