//! `cargo xtask simulate`: as many schedules as you like, on all cores, with progress and a summary.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use peat_fault_tests::simulation::{Counts, Failure, Options, run};

const USAGE: &str = "\
cargo xtask simulate [--schedules N] [--seed S] [--sqlite] [--trace] [--keep-going]

  --schedules N   how many (default 10000)
  --seed S        the first seed (default 0); with --schedules 1 that one alone
  --sqlite        the real SQLite store on every host, in temporary directories
  --trace         shows what led to a failure
  --keep-going    counts failures instead of ending with the first
";

/// How often progress is shown.
const PROGRESS: Duration = Duration::from_secs(10);

struct Arguments {
    schedules: u64,
    seed: u64,
    options: Options,
    keep_going: bool,
}

/// What all threads add to.
#[derive(Default)]
struct Totals {
    next: AtomicU64,
    done: AtomicU64,
    stop: AtomicBool,
    counts: Mutex<(Counts, u64, u64, u64)>,
    failures: Mutex<Vec<Failure>>,
}

fn main() -> ExitCode {
    let Some(arguments) = parse(std::env::args().skip(1)) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    let (totals, began) = (Totals::default(), Instant::now());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| work(&arguments, &totals))).collect();
        let mut shown = Instant::now();
        while !workers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            std::thread::sleep(Duration::from_millis(50));
            if shown.elapsed() >= PROGRESS {
                shown = Instant::now();
                progress(&totals, &arguments, began);
            }
        }
    });
    summary(&totals, began)
}

fn work(arguments: &Arguments, totals: &Totals) {
    while !totals.stop.load(Ordering::Relaxed) {
        let number = totals.next.fetch_add(1, Ordering::Relaxed);
        if number >= arguments.schedules {
            return;
        }
        match run(arguments.seed + number, arguments.options) {
            Ok(report) => {
                let mut sum = lock(&totals.counts);
                sum.0.add(&report.counts);
                sum.1 += report.commits;
                sum.2 += report.steps;
                sum.3 += report.virtual_ms;
            }
            Err(failure) => {
                eprintln!("{}{failure}", failure.trace.iter().fold(String::new(), |text, line| text + line + "\n"));
                lock(&totals.failures).push(failure);
                totals.stop.store(!arguments.keep_going, Ordering::Relaxed);
            }
        }
        totals.done.fetch_add(1, Ordering::Relaxed);
    }
}

fn progress(totals: &Totals, arguments: &Arguments, began: Instant) {
    let done = totals.done.load(Ordering::Relaxed);
    let rate = done as f64 / began.elapsed().as_secs_f64();
    let failures = lock(&totals.failures).len();
    eprintln!("{done} of {} schedules, {rate:.0} a second, {failures} failed", arguments.schedules);
}

fn summary(totals: &Totals, began: Instant) -> ExitCode {
    let (seconds, done) = (began.elapsed().as_secs_f64(), totals.done.load(Ordering::Relaxed));
    let (counts, commits, steps, virtual_ms) = *lock(&totals.counts);
    let failures = lock(&totals.failures);
    println!("{done} schedules in {seconds:.1} s, {:.0} a second; {} failed", done as f64 / seconds, failures.len());
    println!(
        "{} commands ({} succeeded at once), {commits} commits, {} requests ({} with a fault), {} kills, {} pauses, {} \
         other troubles; {steps} steps, {} h of virtual time",
        counts.commands,
        counts.successes,
        counts.requests,
        counts.faults,
        counts.kills,
        counts.pauses,
        counts.troubles,
        virtual_ms / 3_600_000
    );
    for failure in failures.iter() {
        println!("failed: seed {}: {}", failure.seed, failure.violation);
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(arguments: impl Iterator<Item = String>) -> Option<Arguments> {
    let mut parsed = Arguments { schedules: 10_000, seed: 0, options: Options::default(), keep_going: false };
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--schedules" => parsed.schedules = arguments.next()?.parse().ok()?,
            "--seed" => parsed.seed = arguments.next()?.parse().ok()?,
            "--sqlite" => parsed.options.sqlite = true,
            "--trace" => parsed.options.trace = true,
            "--keep-going" => parsed.keep_going = true,
            _ => return None,
        }
    }
    Some(parsed)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
