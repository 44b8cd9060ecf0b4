//! What is measured: start, listings, methods, calls, memory.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::check::Check;
use super::drivers;
use super::measure::Figure;
use super::subject::Subject;
use crate::{guests, peat, process, runner, workspace};

/// The program that measures calls inside of a host.
const CALLS_PROGRAM: &str = "call-benchmark";

/// Bytes of an extension of the listings.
const EXTENSION_BYTES: usize = 1 << 20;

/// Memory that the limits allow a guest, and that the host may have beside it, in MiB.
const GUEST_MIB: f64 = 256.0;
const HOST_MIB: f64 = 64.0;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    /// Runs of what takes milliseconds.
    runs: usize,
    /// Runs of what compiles first.
    compiling_runs: usize,
    /// Extensions of the listing: 104 is the number at which a comparable system took 46 s.
    extensions: usize,
    /// Extensions of the large listing.
    many_extensions: usize,
    /// Calls inside of one process.
    calls: usize,
    /// Runs of containers.
    containers: usize,
}

impl Size {
    pub(super) const FULL: Self =
        Self { runs: 40, compiling_runs: 10, extensions: 104, many_extensions: 1000, calls: 2000, containers: 20 };
    pub(super) const QUICK: Self =
        Self { runs: 5, compiling_runs: 2, extensions: 26, many_extensions: 104, calls: 200, containers: 3 };
}

/// Builds what is needed and measures it.
pub(super) fn measure(size: Size) -> Result<(Vec<Figure>, Vec<Check>)> {
    let built = guests::build(&guests::Options::default())?;
    let component = |name: &str| -> Result<PathBuf> {
        let guest = built.iter().find(|guest| guest.name == name);
        guest.map(|guest| guest.path.clone()).with_context(|| format!("no component {name} was built"))
    };
    println!("Building peat and {CALLS_PROGRAM} (release)");
    let peat = peat::build_with(peat::Build::Release, &[CALLS_PROGRAM])?;
    let runner = runner::build(peat::Build::Release)?;
    let scratch = workspace::target().join("bench/processes");
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch)?;
    }
    let subject = |name: &str| Subject::new(&peat, &scratch.join(name));
    let none = subject("none")?;
    let some = subject("some")?;
    some.install_copies(&component("test-empty")?, size.extensions, EXTENSION_BYTES)?;
    let many = subject("many")?;
    many.install_copies(&component("test-empty")?, size.many_extensions, EXTENSION_BYTES)?;
    let method = subject("method")?;
    method.install(&component("test-empty")?, &[])?;
    method.peat(&["model", "create", "subject", "--type", "@test/empty"])?;
    let hostile = subject("hostile")?;
    let grants = ["--grant", "files:here=.", "--grant", "secrets:home=HOME"];
    hostile.install(&component("test-misbehaving")?, &grants)?;
    hostile.peat(&["model", "create", "subject", "--type", "@test/misbehaving"])?;
    // What was written so far is not to be waited for by what is measured.
    process::run(&mut Command::new("sync"))?;

    let search = ["model", "type", "search"];
    let run = ["model", "method", "run", "subject", "nothing"];
    let version = Figure::measure("version", size.runs, || none.time(&["version"]))?;
    let of_none = Figure::measure("model type search, no extension", size.runs, || none.time(&search))?;
    let name = format!("model type search, {} extensions of 1 MiB", size.extensions);
    let of_some = Figure::measure(&name, size.runs, || some.time(&search))?;
    let name = format!("model type search, {} extensions of 1 MiB", size.many_extensions);
    let of_many = Figure::measure(&name, size.runs, || many.time(&search))?;
    many.grant_to_copies(size.many_extensions)?;
    let of_granted = Figure::measure("the same, each with a grant in peat.yaml", size.runs, || many.time(&search))?;
    let first = Figure::measure("first run of a method (compiles)", size.compiling_runs, || {
        method.forget_compiled()?;
        method.time(&run)
    })?;
    let later = Figure::measure("later run of the same method (cached)", size.runs, || method.time(&run))?;
    let isolated = drivers::measure(&method, &runner, &run, size.runs, size.compiling_runs, size.containers)?;
    let (call, host_call) = calls(&peat.with_file_name(CALLS_PROGRAM), &component("test-empty")?, size.calls)?;
    let allocate = ["model", "method", "run", "subject", "allocate"];
    let peaks = (0..size.compiling_runs).map(|_| hostile.peak_mib_of_failure(&allocate)).collect::<Result<_>>()?;
    let peak = Figure::of("host whose guest takes all memory it gets: resident", "MiB", peaks);

    let beyond = |over: &Figure, under: &Figure| over.median() - under.median();
    let ratio = |over: &Figure, under: &Figure| over.median() / under.median();
    let mut checks = vec![
        Check::timed("listing with extensions", "ms", of_some.median(), 20.0),
        Check::timed("listing with extensions / version", "", ratio(&of_some, &version), 3.0),
        Check::timed("listing with extensions / without any", "", ratio(&of_some, &of_none), None),
        Check::timed("listing with many extensions / with some", "", ratio(&of_many, &of_some), 3.0),
        Check::timed("first run / later run", "", ratio(&first, &later), None),
        Check::timed("later run beyond version", "ms", beyond(&later, &version), 15.0),
        Check::timed("instantiation and call of a prepared component", "us", call.median(), 100.0),
        Check::timed("a call of the host by the guest", "ns", host_call.median(), 1000.0),
        Check::counted("host whose guest takes all memory it gets", "MiB", peak.median(), GUEST_MIB + HOST_MIB),
    ];
    checks.extend(isolated.checks(&first));
    let mut figures = vec![version, of_none, of_some, of_many, of_granted, first, later, call, host_call, peak];
    figures.extend(isolated.into_figures());
    Ok((figures, checks))
}

/// Calls inside of one process: of a guest in microseconds, of the host in nanoseconds.
fn calls(program: &std::path::Path, component: &std::path::Path, calls: usize) -> Result<(Figure, Figure)> {
    let output = process::output(Command::new(program).arg(component).arg(calls.to_string()))?;
    let measured: Value = serde_json::from_slice(&output).context("it prints one JSON document")?;
    let values =
        |key: &str| -> Vec<f64> { measured[key].as_array().into_iter().flatten().filter_map(Value::as_f64).collect() };
    let (call, host_call) = (values("callUs"), values("hostCallNs"));
    anyhow::ensure!(!call.is_empty() && !host_call.is_empty(), "{CALLS_PROGRAM} measured nothing: {measured}");
    Ok((
        Figure::of("instantiation and call of a prepared component", "us", call),
        Figure::of("a call of the host by the guest", "ns", host_call),
    ))
}
