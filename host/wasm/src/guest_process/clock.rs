//! Time in a runner: the host's clocks, as they were when the call began, moved on by the time that has passed since.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use peat_core::ports::{Clock, Random};

/// The clocks of one call.
#[derive(Debug)]
pub(super) struct HostTime {
    pub(super) now_ms: u64,
    pub(super) elapsed_ms: u64,
    pub(super) since: Instant,
}

impl HostTime {
    fn passed_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[async_trait]
impl Clock for HostTime {
    fn now_ms(&self) -> u64 {
        self.now_ms.saturating_add(self.passed_ms())
    }

    fn elapsed_ms(&self) -> u64 {
        self.elapsed_ms.saturating_add(self.passed_ms())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The randomness of the system.
#[derive(Debug)]
pub(super) struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the system has randomness");
    }
}
