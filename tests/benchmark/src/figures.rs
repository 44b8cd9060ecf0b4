//! Figures beside their targets, as a table and as JSON.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::world::World;

/// What a figure is compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// Counted: a miss fails the command.
    Counted(f64),
    /// Timed: depends on the machine.
    Timed(f64),
    /// Timed, and more is better.
    TimedAtLeast(f64),
    /// Told for comparison.
    None,
}

impl Target {
    fn is_met(self, measured: f64) -> Option<bool> {
        match self {
            Self::Counted(most) | Self::Timed(most) => Some(measured <= most),
            Self::TimedAtLeast(least) => Some(measured >= least),
            Self::None => None,
        }
    }

    fn shown(self) -> String {
        match self {
            Self::Counted(most) | Self::Timed(most) => format!("<= {}", number(most)),
            Self::TimedAtLeast(least) => format!(">= {}", number(least)),
            Self::None => String::new(),
        }
    }
}

/// All figures so far.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    rows: Vec<Value>,
    missed: Vec<String>,
}

impl Figures {
    /// Prints what the next figures are about.
    pub(crate) fn row(&mut self, name: &str) {
        println!("{name}");
        self.rows.push(json!({ "row": name, "figures": [] }));
    }

    /// Prints and keeps a figure of the row.
    pub(crate) fn add(&mut self, name: &str, unit: &str, target: Target, measured: f64) {
        let met = target.is_met(measured);
        let verdict = met.map_or("", |met| if met { "met" } else { "MISSED" });
        println!("  {name:<62} {:>9} {unit:<12} {:>9}  {verdict}", number(measured), target.shown());
        if met == Some(false) && matches!(target, Target::Counted(_)) {
            self.missed.push(format!("{name}: {measured} {unit}, target {}", target.shown()));
        }
        let figure = json!({
            "name": name,
            "unit": unit,
            "measured": (measured * 1000.0).round() / 1000.0,
            "target": target.shown(),
            "met": met,
            "counted": matches!(target, Target::Counted(_)),
        });
        let row = self.rows.last_mut().expect("a row was begun");
        row["figures"].as_array_mut().expect("made above").push(figure);
    }

    /// Counts and sizes that missed their targets.
    pub(crate) fn missed(&self) -> &[String] {
        &self.missed
    }

    /// Writes everything as JSON, and beside it the table as documents show it.
    pub(crate) fn write(&self, file: &Path, machine: &str, world: &World, took: Duration) {
        let document = json!({
            "machine": machine,
            "seed": world.seed,
            "objects": world.size.objects(),
            "partitions": world.size.partitions(),
            "latencyMs": crate::world::LATENCY.as_millis() as u64,
            "tookS": took.as_secs(),
            "rows": self.rows,
        });
        if let Some(directory) = file.parent() {
            std::fs::create_dir_all(directory).unwrap();
        }
        std::fs::write(file, format!("{document:#}\n")).unwrap();
        std::fs::write(file.with_extension("md"), self.markdown()).unwrap();
    }

    fn markdown(&self) -> String {
        let mut table = "| what | target | measured | |\n|---|---|---|---|\n".to_owned();
        for row in &self.rows {
            table += &format!("| **{}** | | | |\n", row["row"].as_str().unwrap_or_default());
            for figure in row["figures"].as_array().into_iter().flatten() {
                let text = |key: &str| figure[key].as_str().unwrap_or_default().to_owned();
                let measured = number(figure["measured"].as_f64().unwrap_or_default());
                let verdict = figure["met"].as_bool().map_or("", |met| if met { "met" } else { "missed" });
                let (name, target, unit) = (text("name"), text("target"), text("unit"));
                table += &format!("| {name} | {target} | {measured} {unit} | {verdict} |\n");
            }
        }
        table
    }
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.2}") }
}

/// The middle one, and of an even number the upper of the two.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
