//! Real time, where what is tested is real waiting.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use peat_core::ports::Clock;

/// Wall clock when it was made: 2026-01-01T00:00:00Z.
const START_MS: u64 = 1_767_225_600_000;

/// A clock that goes on as the machine's does.
#[derive(Debug)]
pub struct RealClock(Instant);

impl Default for RealClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

#[async_trait]
impl Clock for RealClock {
    fn now_ms(&self) -> u64 {
        START_MS + self.elapsed_ms()
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
