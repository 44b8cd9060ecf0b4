//! `peat:host/random`: bytes of the host's random port.

use crate::bindings::imports::interfaces::random::Host;
use crate::limits::RANDOM_BYTES_MAX;
use crate::state::GuestState;

impl Host for GuestState {
    fn bytes(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        if length > RANDOM_BYTES_MAX {
            return Err(self.limit("random bytes in one call", u64::from(RANDOM_BYTES_MAX)).into());
        }
        let mut bytes = vec![0; length as usize];
        self.services.random.fill(&mut bytes);
        Ok(bytes)
    }
}
