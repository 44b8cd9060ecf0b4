//! Processes, watched: how long they took, and how much memory they had at most.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How often a process is looked at. Its peak never falls, so what happens between the last look and its end is all that can
/// be missed.
const LOOK: Duration = Duration::from_millis(1);

/// What a process that works does comes by then.
const PATIENCE: Duration = Duration::from_secs(120);

/// Clock ticks of a second, as the kernel tells times to programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// What became of a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ran {
    pub(crate) wall: Duration,
    /// Resident at most, in MiB: memory of its own and mapped files.
    pub(crate) peak_mib: f64,
    /// Processor time.
    pub(crate) cpu_s: f64,
}

/// A process under way.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    shown: String,
    errors: File,
    began: Instant,
}

/// Starts it; what it prints is kept for the message of its failure.
pub(crate) fn start(mut command: Command) -> Running {
    let errors = tempfile::tempfile().unwrap();
    command.stdout(errors.try_clone().unwrap()).stderr(errors.try_clone().unwrap());
    let shown = format!("{command:?}");
    let began = Instant::now();
    Running { child: command.spawn().unwrap(), shown, errors, began }
}

/// Runs it to its end. Panics when that is not a good one.
pub(crate) fn run(command: Command) -> Ran {
    start(command).watch()
}

impl Running {
    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Watches it to its end.
    pub(crate) fn watch(self) -> Ran {
        let directory = format!("/proc/{}", self.child.id());
        let mut peak_kib = 0;
        loop {
            let status = std::fs::read_to_string(format!("{directory}/status")).unwrap_or_default();
            match field(&status, "VmHWM") {
                Some(text) => peak_kib = text.trim_end_matches(" kB").parse().unwrap_or(peak_kib),
                // It has given its memory back: it is over.
                None => break,
            }
            std::thread::sleep(LOOK);
        }
        let wall = self.began.elapsed();
        // It was not waited for yet, so its times are still there.
        let cpu_s = cpu_seconds(&std::fs::read_to_string(format!("{directory}/stat")).unwrap_or_default());
        self.end();
        Ran { wall, peak_mib: f64::from(peak_kib) / 1024.0, cpu_s }
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) {
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{} ended with {status}:\n{}", self.shown, self.printed());
    }

    /// Kills it and waits for its end.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn printed(&self) -> String {
        use std::os::unix::fs::FileExt as _;
        let mut text = vec![0; 8 * 1024];
        let length = self.errors.read_at(&mut text, 0).unwrap_or(0);
        String::from_utf8_lossy(&text[..length]).into_owned()
    }
}

/// Waits until a process has made this file.
pub(crate) fn wait_for(file: &Path) {
    let began = Instant::now();
    while !file.exists() {
        assert!(began.elapsed() < PATIENCE, "{} never came", file.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Processor time of all processes that this one has waited for, in seconds.
pub(crate) fn cpu_of_ended() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = after_name(&stat).split_whitespace().collect();
    ticks(fields.get(13)) + ticks(fields.get(14))
}

/// Processor time of this process so far, in seconds.
pub(crate) fn cpu_of_this() -> f64 {
    cpu_seconds(&std::fs::read_to_string("/proc/self/stat").unwrap())
}

fn cpu_seconds(stat: &str) -> f64 {
    let fields: Vec<&str> = after_name(stat).split_whitespace().collect();
    ticks(fields.get(11)) + ticks(fields.get(12))
}

/// What follows the name of the program, which may hold anything.
fn after_name(stat: &str) -> &str {
    stat.rsplit_once(')').map_or("", |(_, rest)| rest)
}

fn ticks(field: Option<&&str>) -> f64 {
    field.and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0) / TICKS_PER_SECOND
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}
