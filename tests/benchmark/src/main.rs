//! The benchmark of the shared store, for `cargo xtask bench store`: real processes of a release build and `@peat/s3`, over a
//! socket to a server that adds 20 ms to every request.
//!
//! Its data set follows from a seed. Each figure stands beside its target. What is counted (requests, bytes, memory, order)
//! does not depend on the machine: a target that is missed fails the command. Times do, and are only told.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

#[cfg(test)]
mod checks;
mod data_set;
mod figures;
mod machine;
mod native;
mod process;
mod rows;
mod traffic;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use figures::Figures;
use rows::Rows;
use world::{Size, World};

const USAGE: &str = "\
cargo xtask bench store [--quick] [--seed N] [--only ROWS]

  --quick      a tenth of the data: to try it out
  --seed N     another data set [1]
  --only ROWS  nothing else: clones, writes, bulk, partitions, machines, queue,
               killed or moves
";

struct Arguments {
    size: Size,
    seed: u64,
    only: Option<Rows>,
    json: PathBuf,
}

fn main() -> ExitCode {
    let Some(arguments) = parse(std::env::args().skip(1)) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let began = Instant::now();
    let machine = machine::describe();
    println!("{machine}");
    let world = World::new(&runtime, arguments.size, arguments.seed);
    println!("{} objects in {} partitions, {:.0} s\n", world.size.objects(), world.size.partitions(), elapsed(began));
    let mut figures = Figures::default();
    match arguments.only {
        None => rows::measure_all(&world, &mut figures),
        Some(rows) => rows::measure(rows, &world, &mut figures),
    }
    figures.write(&arguments.json, &machine, &world, began.elapsed());
    println!("\n{:.0} s; written to {}", elapsed(began), arguments.json.display());
    if figures.missed().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn elapsed(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

fn parse(words: impl Iterator<Item = String>) -> Option<Arguments> {
    let mut arguments = Arguments { size: Size::FULL, seed: 1, only: None, json: PathBuf::from("store.json") };
    let mut words = words;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => arguments.size = Size::QUICK,
            "--seed" => arguments.seed = words.next()?.parse().ok()?,
            "--only" => arguments.only = Some(Rows::named(&words.next()?)?),
            "--json" => arguments.json = words.next()?.into(),
            _ => return None,
        }
    }
    Some(arguments)
}
