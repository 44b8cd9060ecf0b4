//! Results beside their targets.

use std::fmt;

use serde_json::{Value, json};

/// What was found, and the most it should be.
#[derive(Debug)]
pub(super) struct Check {
    name: &'static str,
    unit: &'static str,
    found: f64,
    most: Option<f64>,
    counted: bool,
}

impl Check {
    /// A time, or a ratio of times: depends on the machine, so a miss is only told.
    pub(super) fn timed(name: &'static str, unit: &'static str, found: f64, most: impl Into<Option<f64>>) -> Self {
        Self { name, unit, found, most: most.into(), counted: false }
    }

    /// A count or a size: does not depend on the machine, so a miss fails the command.
    pub(super) fn counted(name: &'static str, unit: &'static str, found: f64, most: f64) -> Self {
        Self { name, unit, found, most: Some(most), counted: true }
    }

    fn is_met(&self) -> Option<bool> {
        self.most.map(|most| self.found <= most)
    }

    /// Whether this fails the command.
    pub(super) fn fails(&self) -> bool {
        self.counted && self.is_met() == Some(false)
    }

    /// For `results.json`.
    pub(super) fn to_json(&self) -> Value {
        let found = (self.found * 100.0).round() / 100.0;
        json!({ "name": self.name, "unit": self.unit, "found": found, "most": self.most, "met": self.is_met() })
    }
}

impl fmt::Display for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:<52} {:>9.2}", self.name, self.found)?;
        if let (Some(most), Some(met)) = (self.most, self.is_met()) {
            write!(formatter, " {most:>9}  {}", if met { "met" } else { "MISSED" })?;
        }
        write!(formatter, "  {}", self.unit)
    }
}
