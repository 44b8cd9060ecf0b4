//! SIGINT and SIGTERM: the first asks the work to stop, the second ends the process.

use std::thread;
use std::time::Duration;

use peat_core::interrupt::Interrupt;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit_code::ExitCode;
use crate::failure::Failure;

/// How long work may take to stop: leases are released and children ended well within it.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// From now on signals trigger the answered interrupt. Commands that never call this end at once, as by default.
pub(super) fn interrupt_on_signals() -> Result<Interrupt, Failure> {
    let failed = |error: std::io::Error| Failure::Internal(format!("cannot watch for signals: {error}"));
    let interrupt = Interrupt::new();
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
    let triggered = interrupt.clone();
    let watch = move || {
        for _ in signals.forever() {
            if triggered.is_triggered() {
                end_now();
            }
            triggered.trigger();
            // Without this thread work still stops; only its time is not bounded then.
            let _ = thread::Builder::new().name("stop-timeout".to_owned()).spawn(|| {
                thread::sleep(STOP_TIMEOUT);
                end_now();
            });
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(watch).map_err(failed)?;
    Ok(interrupt)
}

fn end_now() -> ! {
    std::process::exit(i32::from(ExitCode::Interrupted.number()))
}
