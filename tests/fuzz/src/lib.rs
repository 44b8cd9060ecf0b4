//! What must hold for every input: one function a target, used by libFuzzer (`libfuzzer/`) and by plain tests that change
//! the seeds at random.
//!
//! A target takes any bytes. It must not panic, must come to its end with bounded work, and what it accepts must be the same
//! after it was written and read again. It answers whether the input was accepted, so that seeds can be told from noise.
//!
//! Deliberately absent: ways into a crate that its users do not have. What is private is reached through what is public.

#[cfg(feature = "components")]
mod components;
mod documents;
pub mod mutations;
mod names;
mod protocol;
mod records;
mod replica;
#[cfg(feature = "components")]
mod runner;
pub mod seeds;

/// A decoder under test.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: that of the directory of its seeds and of its libFuzzer binary.
    pub name: &'static str,
    /// Reads any bytes. Panics when a rule is broken; answers whether they were accepted.
    pub read: fn(&[u8]) -> bool,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "metadata", read: documents::metadata },
    Target { name: "config", read: documents::config },
    Target { name: "model", read: documents::model },
    Target { name: "lock_file", read: documents::lock_file },
    Target { name: "names", read: names::names },
    Target { name: "head", read: records::head },
    Target { name: "namespace_root", read: records::namespace_root },
    Target { name: "store_record", read: records::store_record },
    Target { name: "segment", read: protocol::segment },
    Target { name: "store", read: protocol::store },
    Target { name: "replica", read: replica::replica },
    #[cfg(feature = "components")]
    Target { name: "component", read: components::component },
    #[cfg(feature = "components")]
    Target { name: "runner", read: runner::runner },
];

/// Reads `input` with the target of that name; what libFuzzer calls.
pub fn read(target: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|known| known.name == target).expect("every binary is named after a target");
    (target.read)(input);
}
