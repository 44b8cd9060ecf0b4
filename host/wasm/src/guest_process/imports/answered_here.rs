//! What a runner answers by itself: time and randomness.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Accessor;

use crate::bindings::imports::interfaces::{clock, random};
use crate::guest_process::state::{Forwarded, RunnerState};
use crate::limits::RANDOM_BYTES_MAX;
use crate::state::LimitReached;

impl clock::Host for RunnerState {
    fn now_ms(&mut self) -> wasmtime::Result<u64> {
        Ok(self.clock.now_ms())
    }

    fn elapsed_ms(&mut self) -> wasmtime::Result<u64> {
        Ok(self.clock.elapsed_ms())
    }
}

impl<T: 'static> clock::HostWithStore<T> for Forwarded {
    async fn sleep(accessor: &Accessor<T, Self>, duration_ms: u64) -> wasmtime::Result<()> {
        let clock = accessor.with(|mut access| Arc::clone(&access.get().clock));
        clock.sleep(Duration::from_millis(duration_ms)).await;
        Ok(())
    }
}

impl random::Host for RunnerState {
    fn bytes(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        if length > RANDOM_BYTES_MAX {
            return Err(
                LimitReached::of(&mut self.accounting, "random bytes in one call", RANDOM_BYTES_MAX.into()).into()
            );
        }
        let mut bytes = vec![0; length as usize];
        self.random.fill(&mut bytes);
        Ok(bytes)
    }
}
