//! What tests share: virtual time, seeded randomness, in-memory and failing ports. No wasmtime, no product logic.

pub mod clock;
pub mod datastore;
pub mod executor;
pub mod local_store;
pub mod locks;
pub mod objects;
pub mod random;
