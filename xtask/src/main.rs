//! Commands for people who work on Peat: `cargo xtask demo`, `bad-day`, `test`, `ceph`, `bench`, `guests`, `fuzz`, `runner`, `simulate`.
//!
//! Deliberately absent: anything a user of Peat needs, and any tool that is not fetched by these commands themselves.

mod bad_day;
mod bench;
mod demo;
mod fuzz;
mod guests;
mod peat;
mod process;
mod runner;
mod simulate;
mod test;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask COMMAND

  bad-day   thirteen jobs and eight pipelines on a store on which everything goes wrong (bad-day --help says more)
  demo      builds everything and runs the main job, with nothing but Rust present
  test      every check and test; the last line counts what passed and failed
  ceph      the tests of buckets once more, against a real Ceph of tests/ceph
  bench     measures whole-process times with a release build; `bench store` the shared store over a bucket
  fuzz      gives the decoders inputs that libFuzzer thinks up (fuzz --help says more)
  guests    builds the WebAssembly components (guests --help says more)
  runner    builds peat-runner, for extensions in processes and containers, beside peat (--release)
  simulate  runs schedules of the simulation of docs/simulation.md (simulate --help says more)
";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<String>) -> Result<ExitCode> {
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("--help", &[][..]),
    };
    match command {
        "guests" => {
            guests::build(&guests::Options::parse(rest)?)?;
            Ok(ExitCode::SUCCESS)
        }
        "bad-day" => bad_day::run(rest),
        "bench" => bench::run(rest),
        "ceph" => test::run_on_ceph(),
        "demo" => demo::run(),
        "fuzz" => fuzz::command(rest),
        "runner" => {
            runner::run(rest)?;
            Ok(ExitCode::SUCCESS)
        }
        "simulate" => simulate::run(rest),
        "test" => test::run(),
        "-h" | "--help" | "help" => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("there is no command {other:?}\n\n{USAGE}"),
    }
}
