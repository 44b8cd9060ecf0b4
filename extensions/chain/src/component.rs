//! What every datastore extension on this protocol shares: the world of a component and the traits of the SDK. An extension
//! adds how its store is opened, its metadata, and nothing else.

mod convert;
mod world;

pub use world::{HostBlob, HostWorld};
