//! `@peat/directory`: the shared store in a directory that the operator granted: on this machine, or on a file system that
//! several machines mount.
//!
//! Everything is the protocol of `peat-chain` over the host's directory capability. The setting `path` is resolved by the
//! host, which grants exactly that directory; nothing here knows it.

use peat_sdk::Error;
use peat_sdk::datastore::host::{ObjectStore, directory};

/// The granted directory.
async fn open() -> Result<ObjectStore, Error> {
    directory::open().await
}

peat_chain::datastore_on_chain! {
    /// The datastore of one call.
    Directory, crate::open
}

peat_sdk::export_datastore! {
    type: Directory,
    name: "@peat/directory",
    summary: "Keeps shared data in a directory",
    wants: { "directory": "to keep the shared data in it" },
    settings: {
        "type": "object",
        "additionalProperties": false,
        "properties": { "path": { "type": "string" } },
        "required": ["path"]
    },
    features: [locks, hydration, maintenance, namespaces],
}
