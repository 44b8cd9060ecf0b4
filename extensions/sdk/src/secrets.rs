//! Values that the operator granted by name. Never log them, never write them as data.

use crate::Error;
use crate::bindings::host::peat::host::secrets;

/// The secret `name`; `denied` when it was not granted.
pub fn get(name: &str) -> Result<String, Error> {
    secrets::get(name)
}
