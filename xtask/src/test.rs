//! `cargo xtask test`: every check, one after the other, each to its end whatever became of the one before.
//!
//! The last line of the output is `N passed, N failed` and counts every test and every check.

mod ceph;
mod check;
mod count;
mod languages;
mod tools;

use std::process::{Command, ExitCode};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::{demo, guests, peat, process, runner, workspace};
use check::Report;
use count::Count;
use tools::Tool;

/// Cargo builds for one command at a time. That of the tests has begun by then, and is first.
const LINTS_DELAY: Duration = Duration::from_secs(10);

/// Runs everything. Fails when anything failed.
pub(crate) fn run() -> Result<ExitCode> {
    let mut report = Report::default();
    // They take minutes to compile when they are missing, and nothing needs them before the tests are built.
    let nextest = Tool::start("cargo-nextest")?;
    let deny = Tool::start("cargo-deny")?;

    report.check("formatting", || process::run(&mut cargo(&["fmt", "--all", "--check"])));
    report.check("guests", || guests::build(&guests::Options::default()).map(drop));
    // It has a build directory of its own, and each of the two ends with a crate that takes one processor for minutes.
    let runner = thread::spawn(runner::for_tests);
    report.check("the peat binary", || peat::build(peat::Build::Development).map(drop));
    report.check("the runner", || joined(runner).map(drop));
    report.check("the main job (cargo xtask demo)", || demo::run().map(drop));
    // At the lowest priority, each in its turn: cargo has them wait until the tests are built, and then they take the time
    // that the tests leave.
    let lints = thread::spawn(|| {
        thread::sleep(LINTS_DELAY);
        unhurried(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"], "")
    });
    let documentation = thread::spawn(|| {
        thread::sleep(2 * LINTS_DELAY);
        unhurried(&["doc", "--workspace", "--no-deps", "--locked"], "-D warnings")
    });
    match nextest.finish() {
        Ok(program) => {
            report.tests("tests", || nextest_run(&program, &[], &[], None));
            languages::run(&mut report, &program);
            ceph::run(&mut report, &program);
        }
        Err(reason) => {
            report.tests("tests", || {
                println!("cargo-nextest is not to be had ({reason:#}); running with cargo test");
                cargo_test(&["test", "--workspace", "--locked", "--no-fail-fast", "--lib", "--bins", "--tests"])
            });
        }
    }
    report.check("lints", || joined(lints));
    report.check("documentation", || joined(documentation));
    report.tests("documentation examples", || {
        cargo_test(&["test", "--workspace", "--locked", "--no-fail-fast", "--doc"])
    });
    match deny.finish() {
        Ok(program) => {
            report.check("dependencies: bans, licences, sources", || {
                process::run(
                    Command::new(&program)
                        .args(["--log-level", "error", "check", "bans", "licenses", "sources"])
                        .current_dir(workspace::root()),
                )
            });
            advisories(&mut report, &program);
        }
        Err(reason) => report.check("dependencies: bans, licences, sources", || Err(reason)),
    }
    Ok(report.print())
}

/// The suites of buckets against a real Ceph, which is installed first. Fails when one of them failed.
pub(crate) fn run_on_ceph() -> Result<ExitCode> {
    ceph::install()?;
    let nextest = Tool::start("cargo-nextest")?.finish()?;
    guests::build(&guests::Options::default())?;
    peat::build(peat::Build::Development)?;
    let mut report = Report::default();
    ceph::run(&mut report, &nextest);
    Ok(report.print())
}

/// Known vulnerabilities, where the database can be fetched: a machine that reaches crates.io alone cannot.
fn advisories(report: &mut Report, deny: &std::path::Path) {
    let mut fetch = Command::new(deny);
    fetch.args(["fetch", "db"]).current_dir(workspace::root()).env("GIT_TERMINAL_PROMPT", "0");
    match fetch.output() {
        Ok(output) if output.status.success() => report.check("dependencies: advisories", || {
            process::run(
                Command::new(deny)
                    .args(["--log-level", "error", "check", "--disable-fetch", "advisories"])
                    .current_dir(workspace::root()),
            )
        }),
        Ok(_) => {
            report.skip("dependencies: advisories", "the advisory database (github.com) cannot be fetched from here")
        }
        Err(error) => report.skip("dependencies: advisories", &error.to_string()),
    }
}

/// Runs tests of the workspace by nextest, with more arguments and variables; ended when they take longer than `deadline`.
fn nextest_run(
    program: &std::path::Path,
    arguments: &[&str],
    variables: &[(String, String)],
    deadline: Option<Instant>,
) -> Result<Count> {
    let results = workspace::target().join("nextest/default/junit.xml");
    // An old file must not be counted when the tests do not even build.
    if results.exists() {
        std::fs::remove_file(&results)?;
    }
    let mut command = process::tool(program);
    command.args(["nextest", "run", "--workspace", "--locked"]).args(arguments).current_dir(workspace::root());
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    let status = process::status_before(&mut command, deadline)?;
    let text = std::fs::read_to_string(&results).context("the tests did not build or did not start")?;
    let count = Count::of_junit(&text).with_context(|| format!("{} holds no totals", results.display()))?;
    anyhow::ensure!(status.success() || count.failed > 0, "nextest ended with {status} though no test failed");
    Ok(count)
}

/// For machines without nextest, and for examples in the documentation, which nextest does not run.
fn cargo_test(arguments: &[&str]) -> Result<Count> {
    let started = Instant::now();
    let output = cargo(arguments).stderr(std::process::Stdio::inherit()).output().context("cannot start cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    let count = Count::of_cargo_test(&text);
    anyhow::ensure!(
        output.status.success() || count.failed > 0,
        "cargo test ended with {} after {} s",
        output.status,
        started.elapsed().as_secs()
    );
    Ok(count)
}

/// A cargo command that takes the processor only when nothing else wants it, with these flags for rustdoc. What it says is
/// shown when it fails.
fn unhurried(arguments: &[&str], rustdoc_flags: &str) -> Result<()> {
    let cargo = process::cargo();
    let mut command = process::tool("nice");
    command.args(["-n", "19"]).arg(cargo.get_program()).args(arguments);
    let output = command.env("RUSTDOCFLAGS", rustdoc_flags).current_dir(workspace::root()).output()?;
    anyhow::ensure!(
        output.status.success(),
        "`cargo {}` ended with {}:\n{}",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// What came of a step that went on beside others.
fn joined<T>(step: JoinHandle<Result<T>>) -> Result<T> {
    step.join().unwrap_or_else(|_| anyhow::bail!("it panicked"))
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = process::cargo();
    command.args(arguments).current_dir(workspace::root());
    command
}
