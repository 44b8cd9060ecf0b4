//! placeholder
use peat_core::ports::ExtensionError;
use crate::grants::DatastoreBinding;
use crate::host::{ExtensionSource, Host};
/// x
#[derive(Debug)]
pub struct ComponentDatastore;
impl ComponentDatastore {
    pub(crate) async fn open(_: Host, _: ExtensionSource, _: DatastoreBinding) -> Result<Self, ExtensionError> { Ok(Self) }
}
