//! Runs extensions: the only crate that names wasmtime.
//!
//! ```text
//! Host::new(HostOptions { .. })                       cheap; no engine, no file is touched
//!   .inspect(bytes, &granted)        -> Inspected     what it is, without compiling (`extension add`, `inspect`)
//!   .typecheck(bytes, &inspected, &granted)           compiles, links and loads it once (`extension add`)
//!   .model_executor(source, binding) -> ModelExecutor implements ports::MethodExecutor; compiles on first execution
//!   .datastore(source, binding)      -> ComponentDatastore implements ports::Datastore
//!   .bundle(source)                  -> Bundle            what an execution outside of this process needs; made on first use
//!   .optimise(source)                -> bool              what a first execution of a large component leaves for later
//! ```
//!
//! Everything needs a multi-threaded tokio runtime with time enabled. A guest runs on the task of its caller and yields
//! at every epoch, so that a busy guest starves nobody. Every call has its own `Store`, its own limits and a deadline;
//! what a guest does wrong is an `ExtensionError`, never the end of the host.
//!
//! Deliberately absent: configuration files, the extension index, the choice of a datastore (all in the CLI), and what
//! stands behind the capabilities (ports of `peat-core`, implemented by `peat-store`).

mod artifacts;
mod bindings;
mod call;
mod capabilities;
mod convert;
mod datastore;
mod deadline;
mod engine;
mod epoch;
mod exports;
mod failure;
mod grants;
pub mod guest_process;
mod host;
mod imports;
mod inspect;
mod instances;
mod limits;
mod linker;
mod model;
mod preparation;
mod runner;
mod state;
mod store_refusal;
mod wire;

pub use artifacts::{ArtifactCache, BUNDLE_ARTIFACT, Bundle, Freed, KeptArtifact, RejectedArtifact};
pub use datastore::ComponentDatastore;
pub use grants::{Capability, DatastoreBinding, GrantedCapabilities, ModelBinding, UnknownCapability};
pub use host::{ExtensionSource, Host, HostOptions};
pub use inspect::{Inspected, InspectedKind};
pub use limits::{COMPONENT_BYTES_MAX, Limits, QUICK_COMPONENT_BYTES};
pub use model::ModelExecutor;
pub use runner::{Confinement, LaunchError, LaunchRequest, LaunchedRunner, Launcher, RunnerProcess};
