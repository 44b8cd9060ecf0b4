//! Where Peat keeps things on this machine: the local store (SQLite and files), object stores over a directory, locks
//! among the processes of one host, and the clock, randomness and identity of the system.
//!
//! Every directory is reached through cap-std: nothing named by a store or by a guest can lead out of the directory the
//! caller chose. Deliberately absent: what is stored (the core's), the shared-store protocol (an extension's), wasmtime.

#![forbid(unsafe_code)]

mod clock;
mod durability;
mod file_content;
mod identity;
mod local;
mod locks;
mod objects;
mod random;
mod temporary_file;

pub use clock::SystemClock;
pub use identity::ProcessIdentity;
pub use local::{SqliteStore, StoreSettings};
pub use locks::FileLocks;
pub use objects::DirectoryObjects;
pub use random::SystemRandom;
