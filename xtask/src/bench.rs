//! `cargo xtask bench`: what a user waits for, measured as a user sees it: whole processes of a release build.
//!
//! Figures of one run of this command can be compared with each other; figures of different machines or days cannot. So
//! ratios are printed, and every result holds its smallest and largest value.

mod measure;
mod section;
mod store;
mod subject;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{guests, peat, workspace};
use measure::Figure;
use subject::Subject;

/// Extensions of the listing: the number at which a comparable system took 46 s.
const EXTENSIONS: usize = 104;

/// Runs of what takes milliseconds.
const RUNS: usize = 40;

/// Runs of what compiles first.
const COMPILING_RUNS: usize = 10;

/// `bench` measures processes, `bench store` the shared store.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    match arguments.split_first() {
        None => processes(),
        Some((what, rest)) if what == "store" => store::run(rest),
        Some((what, _)) => bail!("`bench {what}` is not known: there are `bench` and `bench store`"),
    }
}

/// Measures and prints, and writes `target/bench/results.json`.
fn processes() -> Result<ExitCode> {
    let built = guests::build(&guests::Options::default())?;
    println!("Building peat (release)");
    let peat = peat::build(peat::Build::Release)?;
    let results_directory = workspace::target().join("bench");
    let scratch = results_directory.join("processes");
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch)?;
    }
    let component = |name: &str| {
        let guest = built.iter().find(|guest| guest.name == name);
        guest.map(|guest| guest.path.clone()).with_context(|| format!("no component {name} was built"))
    };

    let empty = Subject::new(&peat, &scratch.join("empty"))?;
    let many = Subject::new(&peat, &scratch.join("many"))?;
    many.install_copies(&component("example-text")?, EXTENSIONS)?;
    let method = Subject::new(&peat, &scratch.join("method"))?;
    method.install(&component("test-empty")?)?;
    method.peat(&["model", "create", "subject", "--type", "@test/empty"])?;
    let run = ["model", "method", "run", "subject", "nothing"];

    let search = format!("model type search, {EXTENSIONS} extensions");
    let figures = [
        Figure::measure("version", RUNS, || empty.time(&["version"]))?,
        Figure::measure("model type search, no extension", RUNS, || empty.time(&["model", "type", "search"]))?,
        Figure::measure(&search, RUNS, || many.time(&["model", "type", "search"]))?,
        Figure::measure("first run of a method (compiles)", COMPILING_RUNS, || {
            method.forget_compiled()?;
            method.time(&run)
        })?,
        Figure::measure("later run of the same method (cached)", RUNS, || method.time(&run))?,
    ];
    let ratios = [
        ratio("listing with 104 extensions / without any", &figures[2], &figures[1]),
        ratio("first run / later run", &figures[3], &figures[4]),
        ratio("later run / version", &figures[4], &figures[0]),
    ];
    print(&figures, &ratios);
    let results = json!({
        "unit": "ms",
        "figures": figures.iter().map(Figure::to_json).collect::<Vec<_>>(),
        "ratios": ratios.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect::<Vec<Value>>(),
    });
    let file = results_directory.join("results.json");
    std::fs::write(&file, format!("{results:#}\n"))?;
    println!("\nwritten to {}", file.display());
    Ok(ExitCode::SUCCESS)
}

fn ratio(name: &'static str, over: &Figure, under: &Figure) -> (&'static str, f64) {
    (name, (over.median_ms() / under.median_ms() * 100.0).round() / 100.0)
}

fn print(figures: &[Figure], ratios: &[(&str, f64)]) {
    println!("\n{:<44} {:>9} {:>9} {:>9}  runs", "whole process, ms", "median", "min", "max");
    for figure in figures {
        println!("{figure}");
    }
    println!("\n{:<44} {:>9}", "ratio of medians", "");
    for (name, value) in ratios {
        println!("{name:<44} {value:>9.2}");
    }
}
