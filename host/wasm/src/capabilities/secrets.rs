//! `peat:host/secrets`: values the operator granted by name. They are never logged here.

use crate::bindings::imports::interfaces::errors::{Error, ErrorKind};
use crate::bindings::imports::interfaces::secrets::Host;
use crate::capabilities::error;
use crate::state::GuestState;

impl Host for GuestState {
    fn get(&mut self, name: String) -> wasmtime::Result<Result<String, Error>> {
        let found = self.services.secrets.iter().find(|(granted, _)| granted.as_str() == name);
        Ok(match found {
            Some((_, value)) => Ok(value.clone()),
            None => {
                let granted: Vec<&str> = self.services.secrets.keys().map(|name| name.as_str()).collect();
                let message = format!("no such secret is granted; granted are [{}]", granted.join(", "));
                Err(error(ErrorKind::Denied, &name, message))
            }
        })
    }
}
