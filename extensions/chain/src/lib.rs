//! The shared-store protocol (docs/shared-store.md) as a library for datastore extensions: heads that hold lease and index
//! root in one object, immutable segments and packs, commits by compare-and-swap.
//!
//! Pure by intent: the world comes in through [`ports`]; there is no file, clock, thread or random source here, and no
//! iteration order that differs from run to run, so a seeded simulation reproduces everything.

pub mod keys;
pub mod limits;
#[cfg(any(test, feature = "memory"))]
pub mod memory;
pub mod ports;
pub mod record;
pub mod types;

#[cfg(feature = "component")]
pub mod component;

mod acquire;
mod carry;
mod chain;
mod commit;
mod content;
mod delta;
mod erase;
mod error;
mod fetch;
mod fold;
mod gate;
pub mod head;
mod index;
mod inspect;
mod integrity;
mod known;
mod lease;
pub mod maintenance;
pub mod meta;
mod migrate;
mod namespace;
mod probe;
mod pull;
mod queue;
mod refusal;
mod root;
mod scope;
mod seal;
mod segment;
mod setup;
mod spill;
mod structural;
mod wait;

pub use chain::Chain;
pub use error::{Error, ErrorKind, Result};
