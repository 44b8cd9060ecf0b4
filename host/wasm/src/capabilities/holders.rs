//! `peat:host/holders`: who this process is, through the identity port.

use crate::bindings::imports::interfaces::holders::{Holder, Host};
use crate::convert::lease;
use crate::state::GuestState;

impl Host for GuestState {
    fn current(&mut self) -> wasmtime::Result<Holder> {
        match &self.services.identity {
            Some(identity) => Ok(lease::holder_to_guest(identity.current())),
            None => Err(wasmtime::Error::msg("holders belong to datastore extensions")),
        }
    }

    fn is_dead(&mut self, holder: Holder) -> wasmtime::Result<bool> {
        let identity = self.services.identity.as_ref();
        Ok(identity.is_some_and(|identity| identity.is_dead(&lease::holder_from_guest(holder))))
    }
}
