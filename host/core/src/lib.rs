//! Domain and ports of Peat: the words of the product as types, and the traits through which the host reaches the world.
//!
//! Deliberately absent: wasmtime, a terminal, files, clocks, sockets and an async runtime. What is here runs unchanged in
//! a simulation. Values flow one way: `run` is an orchestrator of steps that never call each other, and ports never call
//! back.

pub mod audit;
pub mod collection;
pub mod content;
pub mod copying;
pub mod digest;
pub mod entry;
mod fetch;
pub mod health;
pub mod hold;
pub mod hydrate;
pub mod identifiers;
pub mod interrupt;
pub mod lease;
pub mod metadata;
pub mod namespace;
pub mod ports;
pub mod prune;
pub mod renewal;
pub mod repository;
pub mod run;
pub mod schema;
pub mod statistics;
pub mod sync;
pub mod transfer;
