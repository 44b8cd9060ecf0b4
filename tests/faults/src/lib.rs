//! Faults at every step: what must hold is in `tests/`, the simulated world that it holds in is here.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

pub mod simulation;
