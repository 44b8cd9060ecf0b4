//! Compiled components, kept between commands.
//!
//! ```text
//! {cache}/v1/{engine key}/{key fingerprint}/{sha256 of wasm}.cwasm     native code
//!                                          /{sha256 of wasm}.record    what it must be, authenticated (record.rs)
//!                                          /{sha256 of wasm}.bundle/   both for an execution elsewhere (bundling.rs)
//!                                          /{sha256 of wasm}.lock      single flight between processes (lock.rs)
//! ```
//! Loading native code runs it with the rights of this process, so nothing is loaded that this user's key does not vouch
//! for: an artifact is read once, verified, and those very bytes are loaded. Whatever does not fit is set aside and made
//! again; a cache that cannot be used costs time, never an error. Files are written under a unique name, synced and
//! renamed; none is ever written in place.
//!
//! Every key has a directory of its own, so that two `PEAT_HOME` share a cache without seeing each other's artifacts as
//! forged. A bundle is made when a component is first run outside of this process, never before.
//!
//! The cache has a bound over all engines and keys. Whoever adds something removes what was not used for longest until the
//! rest fits; use is noted as the modification time of the record and of the manifest. Removing a file that another
//! process has open takes nothing from it; a bundle that is in use stays.

mod bundle;
mod bundling;
mod cache;
mod directory;
mod inventory;
mod key_file;
mod lock;
mod manifest;
mod native_code;
mod origin;
mod record;
mod shelf;

use std::io;
use std::path::Path;

use peat_core::digest::Digest;
use peat_core::metadata::Metadata;
use peat_core::ports::ExtensionError;
use tracing::{debug, warn};
use wasmtime::Engine;
use wasmtime::component::Component;

pub use self::bundle::{BUNDLE_ARTIFACT, Bundle};
pub use self::cache::ArtifactCache;
pub use self::inventory::{Freed, KeptArtifact, RejectedArtifact};
pub(crate) use self::origin::Origin;

use self::bundling::BundleError;
use self::directory::OwnedDirectory;
use self::shelf::Shelf;

/// Largest artifact that is read, in bytes: native code is up to eight times its wasm, and the largest wasm has 64 MiB.
const ARTIFACT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Version of the layout, and the directory of everything that has it.
const VERSION: &str = "v1";

/// Names one artifact.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ArtifactKey<'a> {
    /// The engine's key.
    pub(crate) engine: &'a str,
    /// SHA-256 of the component.
    pub(crate) wasm: Digest,
}

/// The artifacts of one user.
#[derive(Debug)]
pub(crate) struct Artifacts<'a> {
    /// Where they lie.
    pub(crate) cache_dir: &'a Path,
    /// What vouches for them.
    pub(crate) key_file: &'a Path,
    /// Most bytes that they have together.
    pub(crate) bytes_max: u64,
}

impl Artifacts<'_> {
    /// The component, from its artifact or compiled, and whether it had to be compiled. Blocks: on the disk, on another
    /// process that compiles the same, and for as long as compiling takes.
    pub(crate) fn component(
        &self,
        extension: &str,
        engine: &Engine,
        key: &ArtifactKey<'_>,
        origin: Origin,
    ) -> Result<(Component, bool), ExtensionError> {
        match self.open(key) {
            Ok(shelf) => {
                let (component, made) = shelf.component(extension, engine, key, origin)?;
                if made {
                    self.make_room(&shelf, key);
                }
                Ok((component, made))
            }
            Err(error) => {
                warn!(cache = %self.cache_dir.display(), %error, "compiled extensions cannot be kept; compiling again");
                native_code::compile(engine, &origin.read(extension, &key.wasm)?, extension).map(|made| (made, true))
            }
        }
    }

    /// The bundle of a component, and whether it had to be made; compiled only where there is no artifact either. Blocks as
    /// [`Artifacts::component`] does. Where nothing can be kept there is no bundle: it is a place on a disk.
    pub(crate) fn bundle(
        &self,
        engine: &Engine,
        key: &ArtifactKey<'_>,
        origin: Origin,
        metadata: &Metadata,
    ) -> Result<(Bundle, bool), ExtensionError> {
        let shelf = self.open(key).map_err(BundleError::Place);
        let bundled = shelf.and_then(|shelf| {
            let (bundle, made) = shelf.bundle(engine, key, origin, metadata)?;
            if made {
                self.make_room(&shelf, key);
            }
            Ok((bundle, made))
        });
        bundled.map_err(|error| match error {
            BundleError::Extension(error) => error,
            BundleError::Place(error) => ExtensionError::Host {
                extension: metadata.name.to_string(),
                call: "making its bundle".to_owned(),
                reason: format!(
                    "{}: {error}; to run outside of this process it needs a place there: set PEAT_CACHE_DIR to another \
                     directory, or run it in-process",
                    self.cache_dir.display()
                ),
            },
        })
    }

    fn open(&self, key: &ArtifactKey<'_>) -> io::Result<Shelf> {
        let authentication = key_file::load_or_create(self.key_file)?;
        let cache = OwnedDirectory::create(&std::path::absolute(self.cache_dir)?)?;
        let directory = cache.child(VERSION)?.child(key.engine)?.child(&authentication.fingerprint())?;
        Ok(Shelf { directory, authentication })
    }

    /// Removes what was not used for longest, until the rest fits. What was just made always stays.
    fn make_room(&self, shelf: &Shelf, newest: &ArtifactKey<'_>) {
        let fingerprint = shelf.authentication.fingerprint();
        let is_newest = |artifact: &KeptArtifact| {
            artifact.component == newest.wasm && artifact.engine == newest.engine && artifact.key == fingerprint
        };
        let made_room = inventory::list(self.cache_dir).and_then(|artifacts| {
            let mut room = self.bytes_max;
            let mut doomed = Vec::new();
            let (first, others): (Vec<_>, Vec<_>) = artifacts.into_iter().partition(is_newest);
            for artifact in first.into_iter().chain(others) {
                match room.checked_sub(artifact.bytes) {
                    Some(left) => room = left,
                    None if is_newest(&artifact) => room = 0,
                    None => doomed.push(artifact),
                }
            }
            if doomed.is_empty() { Ok(Freed::default()) } else { inventory::remove(self.cache_dir, &doomed) }
        });
        match made_room {
            Ok(Freed { bytes: 0, .. }) => {}
            Ok(Freed { bytes, .. }) => debug!(bytes, "removed compiled extensions that were not used for longest"),
            Err(error) => warn!(%error, "cannot keep the compiled extensions within their bound"),
        }
    }
}

#[cfg(test)]
mod tests;
