//! `peat:host/config`: the settings as the operator wrote them.

use crate::bindings::imports::interfaces::config::Host;
use crate::state::GuestState;

impl Host for GuestState {
    fn settings(&mut self) -> wasmtime::Result<String> {
        Ok(self.services.settings.to_string())
    }
}
