//! What a host and a runner say to each other: frames over a pair of byte streams (`docs/runner-protocol.md`).
//!
//! Both ends are of one build: another version is refused by the first frame. Neither end trusts the other: every value is
//! bounded before it is taken in, and what the host takes from a runner is validated exactly as what it takes from a guest
//! in its own process.

mod codec;
mod failure;
mod frame;
mod import;
mod message;
mod types;

pub(crate) use self::codec::{Malformed, Reader, Wire, decode, encode};
pub(crate) use self::failure::GuestFailure;
pub(crate) use self::frame::{Frame, HEADER_BYTES, Header, Kind};
pub(crate) use self::import::Import;
pub(crate) use self::message::{Answered, CallBegin, GuestLimits, Hello, PROTOCOL_VERSION, Ready};
