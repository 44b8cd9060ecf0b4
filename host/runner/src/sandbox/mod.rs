//! What the runner gives up, before it has a second thread and before it reads a byte of a guest.
//!
//! The sandbox of a guest is WebAssembly; this is the second wall, for a defect of the first. What the kernel lacks is left
//! out and told: it is the host that decides whether to go on, and `peat doctor` that says what would help.

mod files;
mod limits;
mod namespaces;
mod privileges;
mod system_calls;

use std::path::PathBuf;

use peat_wasm::Confinement;

/// What became of each protection.
#[derive(Debug, Default)]
pub(crate) struct Protections {
    /// In force, by name.
    pub(crate) active: Vec<String>,
    /// Wanted and not to be had: the name, and why.
    pub(crate) missing: Vec<(String, String)>,
}

/// Confines this process for good. Only `readable` directories can be read afterwards, as far as the kernel can see to it.
/// Answers what is active. An error is a defect or a kernel that refuses what every Linux has.
pub(crate) fn confine(confinement: &Confinement, readable: &[PathBuf]) -> Result<Vec<String>, String> {
    protect(confinement, readable).map(|protections| protections.active)
}

/// The same, with what is missing.
pub(crate) fn protect(confinement: &Confinement, readable: &[PathBuf]) -> Result<Protections, String> {
    let mut protections = Protections::default();
    let mut note = |name: &str, outcome: Result<(), String>| match outcome {
        Ok(()) => protections.active.push(name.to_owned()),
        Err(reason) => protections.missing.push((name.to_owned(), reason)),
    };
    limits::set(confinement)?;
    note("limits", Ok(()));
    // Before capabilities are given up: in a user namespace of its own a process has them all again.
    if confinement.namespaces {
        note("namespaces", namespaces::leave());
    }
    privileges::drop_all()?;
    note("privileges", Ok(()));
    if confinement.landlock {
        note("landlock", files::only(readable));
    }
    // Last: it forbids what the others are made of.
    if confinement.seccomp {
        note("seccomp", system_calls::only_needed());
    }
    Ok(protections)
}
