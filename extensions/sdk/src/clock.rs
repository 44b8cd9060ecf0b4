//! Time, by the clock of the host.

use std::time::Duration;

use crate::bindings::host::peat::host::clock;

/// Wall clock, milliseconds since the Unix epoch. Machines disagree: never a basis for safety.
pub fn now_ms() -> u64 {
    clock::now_ms()
}

/// Monotonic, and running on while the machine sleeps. Only differences mean something.
pub fn elapsed_ms() -> u64 {
    clock::elapsed_ms()
}

/// Waits; other futures of this guest go on. Dropping the future ends the wait.
pub async fn sleep(duration: Duration) {
    clock::sleep(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)).await;
}
