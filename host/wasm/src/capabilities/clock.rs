//! `peat:host/clock`: time through the host's clock port.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Accessor;

use crate::bindings::imports::interfaces::clock::{Host, HostWithStore};
use crate::state::{Capabilities, GuestState};

impl Host for GuestState {
    fn now_ms(&mut self) -> wasmtime::Result<u64> {
        Ok(self.services.clock.now_ms())
    }

    fn elapsed_ms(&mut self) -> wasmtime::Result<u64> {
        Ok(self.services.clock.elapsed_ms())
    }
}

impl<T: 'static> HostWithStore<T> for Capabilities {
    async fn sleep(accessor: &Accessor<T, Self>, duration_ms: u64) -> wasmtime::Result<()> {
        let clock = accessor.with(|mut access| Arc::clone(&access.get().services.clock));
        clock.sleep(Duration::from_millis(duration_ms)).await;
        Ok(())
    }
}
