//! A run of the binary whose memory is watched.

use std::process::{Command, Stdio};
use std::time::Duration;

use peat_end_to_end_tests::Outcome;

/// How often the process is looked at. Its peak never falls, so only what happens between the last look and its end can be
/// missed.
const LOOK: Duration = Duration::from_millis(2);

/// Runs `command` to its end; answers what became of it and its peak of resident memory in MiB.
pub(crate) fn run(mut command: Command, shown: String) -> (Outcome, u64) {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let status = format!("/proc/{}/status", child.id());
    let watching = std::thread::spawn(move || {
        let mut peak_kib = 0;
        // It is there, without memory, until it is waited for.
        while let Some(now) = peak_kib_in(&std::fs::read_to_string(&status).unwrap_or_default()) {
            peak_kib = now;
            std::thread::sleep(LOOK);
        }
        peak_kib
    });
    let output = child.wait_with_output().expect("the binary was just started");
    (Outcome::of(shown, output), watching.join().expect("looking does not fail") / 1024)
}

fn peak_kib_in(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
}
