//! `cargo xtask fuzz`: libFuzzer over the targets of `tests/fuzz`, with the toolchain of the project.
//!
//! What cargo-fuzz does with a nightly toolchain and a sanitizer, without either: the compiler's coverage instrumentation is
//! all that libFuzzer needs, and memory safety is Rust's. `docs/fuzzing.md` says how to run it for long.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::{process, workspace};

const USAGE: &str = "\
cargo xtask fuzz [--seconds N | --runs N] [TARGET]…
cargo xtask fuzz TARGET --input FILE

Gives the decoders inputs that libFuzzer thinks up, beginning with tests/fuzz/seeds/TARGET. What it learns is kept in
target/fuzz/corpus/TARGET; an input that breaks a rule in target/fuzz/artifacts/.

The targets `component` and `runner` are run only where they are named: the engine they need takes minutes to compile.

  --seconds N   so long for each target; 10 when nothing is said
  --runs N      so many inputs for each target, the same ones every time
  --input FILE  reads this one file
";

/// Compiler flags that make a program one of libFuzzer's: what cargo-fuzz uses, without a sanitizer.
const FLAGS: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Ccodegen-units=1",
];

/// Targets that need the engine, which takes minutes to compile: built only where they are named.
const ENGINE_TARGETS: [&str; 2] = ["component", "runner"];

/// Most memory of a target, in MiB: the largest input decompresses to 32 MiB and becomes records of several times that.
const MEMORY_MIB_MAX: u64 = 1024;

/// Longest time one input may take, in seconds: all take milliseconds, on a busy machine too.
const INPUT_SECONDS_MAX: u64 = 60;

/// Largest input, in bytes.
const INPUT_BYTES_MAX: u64 = 64 * 1024;

/// Lines of the log that are shown when a rule was broken.
const SHOWN_LINES: usize = 40;

/// What to run.
#[derive(Debug, Default)]
struct Options {
    seconds: Option<u64>,
    runs: Option<u64>,
    input: Option<PathBuf>,
    targets: Vec<String>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} wants a value\n\n{USAGE}"));
            match argument.as_str() {
                "--seconds" => options.seconds = Some(value()?.parse()?),
                "--runs" => options.runs = Some(value()?.parse()?),
                "--input" => options.input = Some(value()?.into()),
                option if option.starts_with('-') => bail!("unknown argument {option:?}\n\n{USAGE}"),
                target => options.targets.push(target.to_owned()),
            }
        }
        ensure!(options.input.is_none() || options.targets.len() == 1, "--input wants one target\n\n{USAGE}");
        Ok(options)
    }
}

/// The command.
pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    if arguments.iter().any(|argument| ["-h", "--help"].contains(&argument.as_str())) {
        print!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options::parse(arguments)?;
    if let Some(reason) = missing() {
        bail!("{reason}");
    }
    run(&options)?;
    Ok(ExitCode::SUCCESS)
}

/// Why libFuzzer cannot be built here, if so.
fn missing() -> Option<String> {
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let found = Command::new(compiler).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    (!found.is_ok_and(|status| status.success()))
        .then(|| "libFuzzer needs a C++ compiler; run: sudo apt-get install g++".to_owned())
}

/// Runs the targets one after the other, all of them to their end. An error when a rule was broken.
fn run(options: &Options) -> Result<()> {
    let known = targets()?;
    if let Some(unknown) = options.targets.iter().find(|target| !known.contains(target)) {
        bail!("there is no target {unknown:?}; there are {}", known.join(", "));
    }
    let needs_engine = |target: &String| ENGINE_TARGETS.contains(&target.as_str());
    let chosen: Vec<String> = match options.targets.as_slice() {
        [] => known.into_iter().filter(|target| !needs_engine(target)).collect(),
        named => named.to_vec(),
    };
    let programs = build(chosen.iter().any(needs_engine))?;
    if let Some(input) = &options.input {
        return process::run(Command::new(programs.join(&chosen[0])).arg(input));
    }
    let broken: Vec<&str> = chosen
        .iter()
        .filter_map(|target| match fuzz(&programs, target, options) {
            Ok(()) => None,
            Err(error) => {
                println!("{target}: {error:#}");
                Some(target.as_str())
            }
        })
        .collect();
    ensure!(broken.is_empty(), "a rule was broken by {}", broken.join(", "));
    Ok(())
}

fn fuzz(programs: &Path, target: &str, options: &Options) -> Result<()> {
    let directory = workspace::target().join("fuzz");
    let (corpus, artifacts) = (directory.join("corpus").join(target), directory.join("artifacts"));
    if options.runs.is_some() && corpus.exists() {
        std::fs::remove_dir_all(&corpus)?;
    }
    std::fs::create_dir_all(&corpus)?;
    std::fs::create_dir_all(&artifacts)?;
    let log = directory.join(format!("{target}.log"));
    let mut command = Command::new(programs.join(target));
    command.arg(&corpus).arg(crate_directory().join("../seeds").join(target));
    command.arg(format!("-artifact_prefix={}/{target}-", artifacts.display()));
    command.args([
        format!("-rss_limit_mb={MEMORY_MIB_MAX}"),
        format!("-timeout={INPUT_SECONDS_MAX}"),
        format!("-max_len={INPUT_BYTES_MAX}"),
        "-print_final_stats=1".to_owned(),
    ]);
    match options.runs {
        Some(runs) => command.args([format!("-runs={runs}"), "-seed=1".to_owned()]),
        None => command.arg(format!("-max_total_time={}", options.seconds.unwrap_or(10))),
    };
    let output = std::fs::File::create(&log)?;
    let status = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).status();
    let status = status.with_context(|| format!("cannot start {}", process::shown(&command)))?;
    let said = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
    if !status.success() {
        let lines: Vec<&str> = said.lines().collect();
        println!("{}", lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n"));
        bail!("it ended with {status}; repeat it with `cargo xtask fuzz {target} --input FILE`, see {}", log.display());
    }
    let statistic = |name: &str| {
        let (_, rest) = said.split_once(name)?;
        Some(rest.lines().next()?.trim().to_owned())
    };
    let inputs = statistic("stat::number_of_executed_units:").context("it did not say how many inputs it tried")?;
    let memory = statistic("stat::peak_rss_mb:").unwrap_or_default();
    println!("{target:<16} {inputs:>10} inputs, at most {memory} MiB");
    Ok(())
}

/// Builds the binaries and answers where they are.
fn build(with_engine: bool) -> Result<PathBuf> {
    let target = host_target()?;
    let directory = workspace::target().join("fuzz/build");
    let mut cargo = process::cargo();
    cargo.args(["build", "--release", "--locked", "--bins", "--target", &target]).current_dir(crate_directory());
    if with_engine {
        cargo.args(["--features", "components"]);
    }
    // With a target of its own the flags are kept from build scripts and macros.
    cargo.arg("--target-dir").arg(&directory).env("RUSTFLAGS", FLAGS.join(" ")).env_remove("CARGO_TARGET_DIR");
    process::run(&mut cargo)?;
    Ok(directory.join(target).join("release"))
}

/// The targets: one file each.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(crate_directory().join("fuzz_targets"))? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn host_target() -> Result<String> {
    let version = process::output(Command::new("rustc").arg("-vV").current_dir(workspace::root()))?;
    let version = String::from_utf8(version)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not name its host")?.to_owned())
}

fn crate_directory() -> PathBuf {
    workspace::root().join("tests/fuzz/libfuzzer")
}
