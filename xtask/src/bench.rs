//! `cargo xtask bench`: what a user waits for, measured as a user sees it: whole processes of a release build; and what a
//! call costs inside of one.
//!
//! Figures of one run of this command can be compared with each other; figures of different machines or days cannot. So
//! ratios are printed, and every result holds its smallest and largest value.

mod check;
mod drivers;
mod measure;
mod processes;
mod section;
mod store;
mod subject;

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;

use crate::workspace;
use check::Check;
use measure::Figure;
use processes::Size;

const USAGE: &str = "\
cargo xtask bench [--quick]
cargo xtask bench store [--quick] [--seed N] [--only ROWS]

  --quick  fewer and smaller: to try it out
";

/// `bench` measures processes, `bench store` the shared store.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    match arguments.split_first() {
        None => processes(Size::FULL),
        Some((what, [])) if what == "--quick" => processes(Size::QUICK),
        Some((what, rest)) if what == "store" => store::run(rest),
        Some(_) => bail!("{USAGE}"),
    }
}

/// Measures and prints, and writes `target/bench/results.json`. Fails when something that does not depend on the machine
/// misses its target.
fn processes(size: Size) -> Result<ExitCode> {
    let (figures, checks) = processes::measure(size)?;
    print(&figures, &checks);
    let results = json!({
        "figures": figures.iter().map(Figure::to_json).collect::<Vec<_>>(),
        "checks": checks.iter().map(Check::to_json).collect::<Vec<_>>(),
    });
    let file = workspace::target().join("bench/results.json");
    std::fs::write(&file, format!("{results:#}\n"))?;
    println!("\nwritten to {}", file.display());
    Ok(if checks.iter().any(Check::fails) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print(figures: &[Figure], checks: &[Check]) {
    println!("\n{:<52} {:>9} {:>9} {:>9}  unit  runs", "measured", "median", "min", "max");
    figures.iter().for_each(|figure| println!("{figure}"));
    println!("\n{:<52} {:>9} {:>9}", "of medians", "", "target");
    checks.iter().for_each(|check| println!("{check}"));
}
