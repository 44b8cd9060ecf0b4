//! The system's clocks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use peat_core::ports::Clock;
use rustix::time::{ClockId, clock_gettime};

/// Milliseconds of a second.
const MS_PER_SECOND: u64 = 1_000;

/// Nanoseconds of a millisecond.
const NS_PER_MS: u64 = 1_000_000;

/// The clocks of this machine. Waiting needs a tokio runtime with time enabled.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        wall_ms()
    }

    fn elapsed_ms(&self) -> u64 {
        let now = clock_gettime(ClockId::Boottime);
        // Both parts are never negative: the clock counts from the boot.
        now.tv_sec.unsigned_abs() * MS_PER_SECOND + now.tv_nsec.unsigned_abs() / NS_PER_MS
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Wall clock in milliseconds since the Unix epoch; 0 before it.
pub(crate) fn wall_ms() -> u64 {
    milliseconds(SystemTime::now())
}

/// `time` in milliseconds since the Unix epoch; 0 before it.
pub(crate) fn milliseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suspend_aware_clock_never_falls_and_the_wall_clock_is_of_this_century() {
        let first = SystemClock.elapsed_ms();
        std::thread::sleep(Duration::from_millis(20));
        let second = SystemClock.elapsed_ms();
        assert!(second >= first + 15, "{first} then {second}");
        assert!(SystemClock.now_ms() > 1_600_000_000_000);
    }
}
