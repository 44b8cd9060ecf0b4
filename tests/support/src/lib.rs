//! What tests share: virtual time, seeded randomness, in-memory and failing ports, an S3 server. No wasmtime, no product logic.

#![allow(clippy::unwrap_used, reason = "a test whose own values are not valid ends")]

pub mod chain_values;
pub mod clock;
pub mod datastore;
pub mod executor;
pub mod local_store;
pub mod locks;
pub mod objects;
pub mod random;
pub mod real_clock;
pub mod renewal;
pub mod run;
pub mod s3;
pub mod scarce_disk;
