//! Where Peat keeps things: the local store of this machine (SQLite and files), object stores over a directory and over a
//! bucket, locks among the processes of one host, and the clock, randomness and identity of the system.
//!
//! Every directory is reached through cap-std: nothing named by a store or by a guest can lead out of the directory the
//! caller chose. Deliberately absent: what is stored (the core's), the shared-store protocol (an extension's), wasmtime.

#![forbid(unsafe_code)]

mod bucket;
mod clock;
mod durability;
mod file_content;
mod identity;
mod key_rule;
mod local;
mod locks;
mod objects;
mod random;
mod renewal_thread;
mod temporary_file;

pub use bucket::{AccessKeys, BucketObjects, BucketSettings, EtagForm, NO_PROGRESS_DEFAULT};
pub use clock::SystemClock;
pub use identity::ProcessIdentity;
pub use local::{COMMANDS_MAX, Departure, ExpiredVersion, PartitionSize, SqliteStore, StoreSettings};
pub use locks::FileLocks;
pub use objects::DirectoryObjects;
pub use random::SystemRandom;
pub use renewal_thread::RenewalThread;
