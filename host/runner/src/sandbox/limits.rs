//! Limits of the process (`setrlimit`): what holds whatever else the kernel has.

use peat_wasm::Confinement;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Sets what `confinement` says, and that no core is ever written: it would hold what a guest was told in confidence.
pub(super) fn set(confinement: &Confinement) -> Result<(), String> {
    limit(Resource::Core, "core", Some(0))?;
    limit(Resource::Data, "memory", confinement.writable_bytes)?;
    limit(Resource::Nofile, "open files", confinement.open_files)?;
    limit(Resource::Cpu, "processor time", confinement.processor_seconds)
}

fn limit(resource: Resource, name: &str, wanted: Option<u64>) -> Result<(), String> {
    let Some(wanted) = wanted else { return Ok(()) };
    // A lower limit that is in force already stays.
    let value = getrlimit(resource).maximum.map_or(wanted, |maximum| maximum.min(wanted));
    setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })
        .map_err(|error| format!("the limit of {name} cannot be set to {value}: {error}"))
}
