//! `cargo xtask bad-day`: a bad day of any length, its report, and its picture.

use std::process::ExitCode;
use std::time::Duration;

use peat_bad_day::{Plan, live, plot};

const USAGE: &str = "\
cargo xtask bad-day [--seconds N] [--plot FILE.svg] [--json FILE]

  --seconds N      how long the day is (300); the store fails for a fifteenth of it
  --plot FILE.svg  who ran what when, and how it ended
  --json FILE      the report once more, for machines
";

fn main() -> ExitCode {
    let mut plan = Plan { length: Duration::from_secs(300) };
    let (mut picture, mut json) = (None, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next();
        match (argument.as_str(), value) {
            ("--seconds", Some(seconds)) => match seconds.parse() {
                Ok(seconds @ 20..=86_400) => plan.length = Duration::from_secs(seconds),
                _ => return refused("--seconds: a number from 20 to 86400"),
            },
            ("--plot", Some(path)) => picture = Some(path),
            ("--json", Some(path)) => json = Some(path),
            ("--help" | "-h", _) => {
                print!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            (other, _) => return refused(&format!("{other}: unknown, or without a value")),
        }
    }
    let report = live(&plan);
    print!("{report}");
    let files = [(picture, plot(&report)), (json, format!("{:#}\n", report.to_json()))];
    for (path, text) in files.into_iter().filter_map(|(path, text)| Some((path?, text))) {
        if let Err(error) = std::fs::write(&path, text) {
            return refused(&format!("{path}: {error}"));
        }
    }
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn refused(why: &str) -> ExitCode {
    eprintln!("bad-day: {why}\n\n{USAGE}");
    ExitCode::from(2)
}
