//! Time and randomness.

use std::time::Duration;

use async_trait::async_trait;

/// Time. Nothing in the core reads a clock except through this.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Wall clock, milliseconds since the Unix epoch. Shown to people, never trusted for safety.
    fn now_ms(&self) -> u64;

    /// Monotonic milliseconds that run on while the machine is suspended (CLOCK_BOOTTIME).
    fn elapsed_ms(&self) -> u64;

    /// Waits. Cancel safe.
    async fn sleep(&self, duration: Duration);
}

/// Randomness.
pub trait Random: Send + Sync {
    /// Fills `buffer` with cryptographically secure bytes.
    fn fill(&self, buffer: &mut [u8]);
}
