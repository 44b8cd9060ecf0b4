//! A bad day: thirteen periodic jobs and eight pipelines write to one namespace of a bucket from four machines, all the time,
//! while holders are killed, the store fails, the namespace is moved and rubbish is collected. In the end every acknowledged
//! write must be there, once, and nobody may have repaired anything.
//!
//! Everything is real: processes of the binary, SIGKILL, sockets. The server is the tests' own, which can be told to fail.

mod day;
mod plot;
mod report;
mod worker;

pub use day::{Plan, live};
pub use plot::plot;
pub use report::Report;
