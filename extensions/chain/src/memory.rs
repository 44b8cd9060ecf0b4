//! A world in memory: one shared store with virtual time and seeded faults, any number of machines on it, and a scheduler
//! that interleaves them by a seed. For tests; the same seed gives the same schedule.

mod machine;
mod schedule;
mod store;

pub use machine::Machine;
pub use schedule::Schedule;
pub use store::{Bytes, Fault, Faults, Store, Traffic};
