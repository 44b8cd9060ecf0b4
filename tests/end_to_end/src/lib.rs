//! The real `peat` binary in scratch directories: what the end-to-end tests are written with.
//!
//! A [`Machine`] is a `PEAT_HOME` of its own, a [`Checkout`] a directory with `peat.yaml`. Two machines see each other's
//! data only through a shared datastore, as two computers would.
//!
//! Deliberately absent: building. `cargo xtask test` builds the binary and the guests before any test runs; a test that
//! misses one says how to make it.

mod bucket;
mod isolation;
mod namespace;
mod outcome;
mod random;
mod repository;
mod snapshot;
mod two_clones;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

pub use bucket::TestBucket;
pub use isolation::{children_of, containers, containers_of, eventually, is_running, runner, shell_image};
pub use namespace::{in_mount_namespace, in_pid_namespace};
pub use outcome::Outcome;
pub use random::Random;
pub use repository::{Checkout, Machine};
pub use snapshot::{Place, assert_outcome};
pub use two_clones::two_clones_share_what_they_write;

/// A directory that goes with the test.
#[derive(Debug)]
pub struct Scratch {
    directory: tempfile::TempDir,
    machines: AtomicU32,
}

impl Scratch {
    /// A new, empty one.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("peat-test-").tempdir().expect("a test can make a directory");
        Self { directory, machines: AtomicU32::new(0) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A machine of its own. What other tests have compiled is compiled on it too.
    pub fn machine(&self) -> Machine {
        let variables = if bucket::is_elsewhere() { bucket::passed_on() } else { Vec::new() };
        Machine::new(self.next()).with_variables(&variables)
    }

    /// A machine of its own that has compiled nothing.
    pub fn cold_machine(&self) -> Machine {
        Machine::cold(self.next())
    }

    fn next(&self) -> PathBuf {
        let number = self.machines.fetch_add(1, Ordering::Relaxed) + 1;
        self.path().join(format!("machine-{number}"))
    }

    /// An empty directory for a shared datastore.
    pub fn shared_directory(&self) -> PathBuf {
        let shared = self.path().join("shared");
        std::fs::create_dir_all(&shared).expect("the scratch directory is ours");
        shared
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

/// Another binary than the one for development: what is measured is a release build.
pub const BINARY_VARIABLE: &str = "PEAT_TEST_BINARY";

/// The binary under test.
pub fn peat_binary() -> PathBuf {
    let chosen = std::env::var_os(BINARY_VARIABLE).map(PathBuf::from);
    let binary = chosen.unwrap_or_else(|| build_directory().join("debug/peat"));
    assert!(binary.is_file(), "{} is missing; run `cargo build --workspace --bin peat`", binary.display());
    binary
}

/// A component built from the guests of this project, by its file name without `.wasm`.
pub fn component(name: &str) -> PathBuf {
    let file = build_directory().join("guests/components").join(format!("{name}.wasm"));
    assert!(file.is_file(), "{} is missing; run `cargo xtask guests`", file.display());
    file
}

/// The root of this project.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this crate lies in the project")
}

/// Whether `program` runs here at all.
pub(crate) fn runs(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

fn build_directory() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => project().join(directory),
        None => project().join("target"),
    }
}
