//! The shared-store protocol over the in-memory world. One program: the protocol is generic over its world, and each program
//! would compile it again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod check;
mod collection;
mod collection_faults;
mod faults;
mod inspect;
mod integrity;
mod leases;
mod moves;
mod namespaces;
mod queue;
mod replica;
mod scopes;
mod setup;
mod structural;
mod support;
